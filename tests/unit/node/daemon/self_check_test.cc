#include "node/daemon/self_check.h"

#include "node/daemon/network_check.h"
#include "node/daemon/write_times.h"
#include "storage/file.h"

#include <chrono>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

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
  for (const DoctorCheck& check : check_surroundings(true, {"127.0.0.1", 1})) {
    EXPECT_THAT(check.result, testing::AnyOf("ok", "warning", "bad")) << check.check;
    EXPECT_FALSE(check.text.empty()) << check.check;
  }
}

TEST(SelfCheck, APortThatNobodyListensAtIsBad) {
  const DoctorCheck closed = check_swarm_port({"127.0.0.1", 1});
  EXPECT_EQ(closed.result, "bad");
  EXPECT_THAT(closed.text, HasSubstr("127.0.0.1:1 (Connection refused)"));
  EXPECT_EQ(check_swarm_port({"nowhere", 1}).result, "warning");
}

TEST(SelfCheck, APortThatAnswersIsFine) {
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in any{};
  any.sin_family = AF_INET;
  any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(any);
  ASSERT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&any), length), 0);
  ASSERT_EQ(::listen(fd.get(), 1), 0);
  ASSERT_EQ(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&any), &length), 0);
  EXPECT_EQ(check_swarm_port({"127.0.0.1", ntohs(any.sin_port)}).result, "ok");
}

TEST(SelfCheck, WithoutDiscoveryMulticastDoesNotMatter) {
  EXPECT_EQ(check_multicast(false).result, "ok");
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
