#include "node/daemon/end_watch.h"

#include "node/daemon/loop.h"

#include <chrono>
#include <vector>

#include <gtest/gtest.h>

namespace shoal {
namespace {

using std::chrono::milliseconds;
constexpr std::chrono::seconds kLong{600};

TEST(EndWatch, TheEndOfThePullRunsThoseWhoWaitForItAndNobodyElse) {
  Loop loop;
  EndWatch watch(loop);
  std::vector<int> run;
  loop.post([&] {
    EXPECT_TRUE(watch.wait(PullId{1}, kLong, [&] { run.push_back(1); }));
    EXPECT_TRUE(watch.wait(PullId{2}, kLong, [&] { run.push_back(2); }));
    EXPECT_TRUE(watch.wait(PullId{1}, kLong, [&] { run.push_back(3); }));
    watch.ended(PullId{1});
    EXPECT_TRUE(run.empty()) << "not in the middle of the change";
    loop.post([&] {
      watch.ended(PullId{1});
      loop.post([&] { loop.stop(); });
    });
  });
  loop.run_until_stopped();
  EXPECT_EQ(run, (std::vector<int>{1, 3}));
}

TEST(EndWatch, TimeThatIsOverRunsItOnce) {
  Loop loop;
  EndWatch watch(loop);
  int runs = 0;
  const auto begin = std::chrono::steady_clock::now();
  loop.post([&] {
    EXPECT_TRUE(watch.wait(PullId{1}, milliseconds(30), [&] {
      ++runs;
      watch.ended(PullId{1});
      loop.post([&] { loop.stop(); });
    }));
  });
  loop.run_until_stopped();
  EXPECT_EQ(runs, 1);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, milliseconds(30));
}

TEST(EndWatch, TooManyAreTurnedAwayUntilSomeLeft) {
  Loop loop;
  EndWatch watch(loop);
  loop.post([&] {
    for (std::size_t i = 0; i < EndWatch::kWaitingMax; ++i) EXPECT_TRUE(watch.wait(PullId{1}, kLong, [] {}));
    EXPECT_FALSE(watch.wait(PullId{1}, kLong, [] { FAIL(); }));
    watch.ended(PullId{1});
    loop.post([&] {
      EXPECT_TRUE(watch.wait(PullId{1}, kLong, [] {}));
      loop.stop();
    });
  });
  loop.run_until_stopped();
}

}  // namespace
}  // namespace shoal
