#include "node/daemon/self_check.h"

#include "node/daemon/write_times.h"

#include <chrono>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace shoal {
namespace {

using testing::HasSubstr;

TEST(SelfCheck, ARepoThatDoesNotExistShowsThatTheHubIsThere) {
  const DoctorCheck known = judge_hub("https://hub.example", true, fail(Code::not_found, "no such repo"));
  EXPECT_EQ(known.result, "ok");
  EXPECT_THAT(known.text, HasSubstr("takes the token"));
  // A stranger is told 401 for what does not exist.
  EXPECT_EQ(judge_hub("https://hub.example", false, fail(Code::unauthorized, "log in")).result, "ok");
}

TEST(SelfCheck, ARefusedTokenAndAnUnreachableHubAreBad) {
  const DoctorCheck refused =
      judge_hub("https://hub.example", true, fail(Code::unauthorized, "Invalid credentials"));
  EXPECT_EQ(refused.result, "bad");
  EXPECT_THAT(refused.text, HasSubstr("refuses the token"));
  const DoctorCheck away =
      judge_hub("https://hub.example", false, fail(Code::unavailable, "no route to host"));
  EXPECT_EQ(away.result, "bad");
  EXPECT_THAT(away.text, HasSubstr("no route to host"));
}

TEST(SelfCheck, EveryCheckHasAResultAndASentence) {
  for (const DoctorCheck& check : check_surroundings(true)) {
    EXPECT_THAT(check.result, testing::AnyOf("ok", "warning", "bad")) << check.check;
    EXPECT_FALSE(check.text.empty()) << check.check;
  }
}

// A sink that keeps the processor busy for as long as it is told.
class BusySink final : public SliceSink {
 public:
  Result<void> write(std::span<const std::byte>) override {
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(20);
    while (std::chrono::steady_clock::now() < until) {
    }
    return {};
  }
};

TEST(WriteTimes, ProcessorTimeOfAWriteIsHashing) {
  auto times = std::make_shared<WriteTimes>();
  Time now{std::chrono::hours(1)};
  (void)times->sample(now);
  const auto sink = timed(times, std::make_shared<BusySink>());
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(sink->write({}));
  const auto shares = times->sample(now + std::chrono::milliseconds(60));
  // How much of it another program took is the machine's business; ours is not all waiting.
  EXPECT_GT(shares.hashing_permille, 0);
  EXPECT_GT(shares.hashing_permille + shares.disk_wait_permille, 450);
}

}  // namespace
}  // namespace shoal
