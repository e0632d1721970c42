#include "node/daemon/loop.h"

#include <vector>

#include <gtest/gtest.h>

namespace shoal {
namespace {

TEST(Loop, WorkRunsOffTheLoopAndItsResultComesBackToIt) {
  Loop loop;
  bool worked_on_loop = true;
  bool done_on_loop = false;
  int result = 0;
  loop.post([&] {
    loop.run(
        [&] {
          worked_on_loop = loop.on_loop();
          return 42;
        },
        [&](int value) {
          result = value;
          done_on_loop = loop.on_loop();
          loop.stop();
        });
  });
  loop.run_until_stopped();
  loop.join_workers();
  EXPECT_FALSE(worked_on_loop);
  EXPECT_TRUE(done_on_loop);
  EXPECT_EQ(result, 42);
}

TEST(Loop, ManyRequestsGiveOneTurnAfterWhatIsQueued) {
  Loop loop;
  std::vector<int> order;
  loop.set_turn([&] {
    order.push_back(0);
    loop.stop();
  });
  loop.post([&] {
    order.push_back(1);
    loop.request_turn();
    loop.request_turn();
  });
  loop.post([&] {
    order.push_back(2);
    loop.request_turn();
  });
  loop.run_until_stopped();
  loop.join_workers();
  EXPECT_EQ(order, (std::vector{1, 2, 0}));
}

TEST(Loop, RecordedWorkKeepsItsOrder) {
  Loop loop;
  std::vector<int> order;
  loop.post([&] {
    for (int i = 0; i < 100; ++i) {
      loop.record([&order, i] { order.push_back(i); },
                  [&loop, i] {
                    if (i == 99) loop.stop();
                  });
    }
  });
  loop.run_until_stopped();
  loop.join_workers();
  ASSERT_EQ(order.size(), 100U);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
}

TEST(Loop, ALaterWakeReplacesAnEarlierOne) {
  Loop loop;
  int turns = 0;
  const Time begin = std::chrono::steady_clock::now();
  loop.set_turn([&] {
    ++turns;
    loop.stop();
  });
  loop.post([&] {
    loop.request_turn_at(begin + std::chrono::hours(1));
    loop.request_turn_at(begin + std::chrono::milliseconds(1));
  });
  loop.run_until_stopped();
  loop.join_workers();
  EXPECT_EQ(turns, 1);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::minutes(1));
}

}  // namespace
}  // namespace shoal
