// Rate limits of servers, our own cap, and the pure parts of both.
#include "tests/unit/transport/origin/hub_fixture.h"
#include "transport/origin/host_pauses.h"
#include "transport/origin/rate_bucket.h"

#include <algorithm>
#include <string>

#include <gmock/gmock.h>

namespace shoal::testing_hub {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

constexpr Time kStart{std::chrono::hours(1)};

TEST(RateBucket, GivesItsRateOverTime) {
  RateBucket bucket;
  bucket.set_rate(1'000'000, kStart);
  std::uint64_t spent = 0;
  Time now = kStart;
  while (now < kStart + seconds(10)) {
    if (bucket.may_spend(now)) {
      bucket.spend(16'384);
      spent += 16'384;
    } else {
      const Time ready = bucket.ready_at(now);
      ASSERT_GT(ready, now);
      now = ready;
    }
  }
  EXPECT_NEAR(static_cast<double>(spent), 10e6, 0.02 * 10e6);
}

TEST(RateBucket, SavesNoMoreThanATenthOfASecond) {
  RateBucket bucket;
  bucket.set_rate(1'000'000, kStart);
  std::uint64_t spent = 0;
  while (bucket.may_spend(kStart + std::chrono::hours(1))) {
    bucket.spend(10'000);
    spent += 10'000;
  }
  EXPECT_EQ(spent, 100'000U);
}

TEST(RateBucket, WithoutALimitIsNeverEmpty) {
  RateBucket bucket;
  bucket.set_rate(0, kStart);
  bucket.spend(1ULL << 50U);
  EXPECT_TRUE(bucket.may_spend(kStart));
}

TEST(HostPauses, KeepTheLongestAndForgetThePast) {
  HostPauses pauses;
  EXPECT_TRUE(pauses.pause("a", kStart + seconds(5), kStart));
  EXPECT_FALSE(pauses.pause("a", kStart + seconds(3), kStart));
  EXPECT_TRUE(pauses.pause("a", kStart + seconds(7), kStart));
  EXPECT_EQ(pauses.free_at("a"), kStart + seconds(7));
  EXPECT_LE(pauses.free_at("b"), kStart);
  EXPECT_FALSE(pauses.pause("b", kStart, kStart));
  for (int i = 0; i < 1000; ++i) pauses.pause(std::to_string(i), kStart + seconds(9), kStart);
  EXPECT_FALSE(pauses.pause("one more", kStart + seconds(9), kStart));
  EXPECT_TRUE(pauses.pause("later", kStart + seconds(20), kStart + seconds(10)));
}

using Pacing = HubFixture;

TEST_F(Pacing, A429OfTheCdnPausesTheHostForAllSlices) {
  std::atomic<int> asked = 0;
  on_cdn = [&](const SeenRequest& request) {
    if (asked++ == 0)
      return reply(429, {{"Retry-After", "0"}, {"RateLimit", "\"resolvers\";r=0"}}, "slow down");
    return file_reply(request, content);
  };
  options.rate_limit_pause_max = milliseconds(150);
  options.max_connections = 1;
  start();
  const auto began = std::chrono::steady_clock::now();
  const FetchId one = fetch(0, 1000, std::make_shared<MemorySink>());
  const FetchId two = fetch(1000, 1000, std::make_shared<MemorySink>());
  EXPECT_TRUE(wait(one));
  EXPECT_TRUE(wait(two));
  EXPECT_GE(std::chrono::steady_clock::now() - began, milliseconds(150));
  EXPECT_EQ(asked, 3);
  ASSERT_EQ(limited().size(), 1U);
  EXPECT_EQ(limited().at(0), cdn.url() + " limits requests (resolvers)");
}

TEST_F(Pacing, A429OfTheHubIsWaitedOutByManyAttempts) {
  std::atomic<int> asked = 0;
  on_hub = [&](const SeenRequest&) { return asked++ < 10 ? reply(429) : redirect_to_cdn(); };
  start();
  expect_slice(0, 1000);
  EXPECT_EQ(asked, 11);
}

TEST_F(Pacing, A429InTheMiddleGoesOnWhereTheSliceWas) {
  std::atomic<int> asked = 0;
  on_cdn = [&](const SeenRequest& request) {
    const int turn = asked++;
    if (turn >= 1 && turn <= 8) return reply(429);
    ScriptedReply out = file_reply(request, content);
    if (turn == 0) {
      out.bytes.resize(out.bytes.find("\r\n\r\n") + 4 + 5000);
      out.end = ScriptedReply::End::close;
    }
    return out;
  };
  start();
  expect_slice(0, 10'000);
  EXPECT_EQ(cdn.seen().back().header("range"), "bytes=5000-9999");
}

TEST_F(Pacing, A429WithoutEndFailsAsRateLimited) {
  options.rate_limit_patience = milliseconds(30);
  on_cdn = [](const SeenRequest&) { return reply(429); };
  start();
  EXPECT_EQ(expect_failure(0, 1000).code, Code::rate_limited);
}

TEST_F(Pacing, APausedSliceCanBeCancelledAndOthersGoOn) {
  ScriptedServer other([this](const SeenRequest& request) { return file_reply(request, content); });
  on_cdn = [](const SeenRequest&) { return reply(429, {{"Retry-After", "300"}}); };
  std::atomic<bool> to_other = false;
  on_hub = [&](const SeenRequest&) {
    if (!to_other) return redirect_to_cdn();
    Headers headers = linked();
    headers.emplace_back("Location", other.url() + "/x");
    return reply(302, headers);
  };
  options.max_connections = 1;
  start();
  const FetchId paused = fetch(0, 1000, std::make_shared<MemorySink>());
  ASSERT_TRUE(cdn.wait_for_requests(1));
  to_other = true;
  const auto sink = std::make_shared<MemorySink>();
  OriginFile another = file();
  another.path = "another";
  client->fetch({FetchId{500}, another, 0, 1000, sink});
  EXPECT_TRUE(wait(FetchId{500}));
  client->cancel(paused);
  EXPECT_EQ(wait(paused).error().code, Code::cancelled);
  EXPECT_EQ(cdn.seen().size(), 1U);
}

TEST_F(Pacing, TheCapHoldsOverAllSlicesAndIsNoStall) {
  options.rate_limit = 1'000'000;
  options.stall_time = milliseconds(100);  // 33 kB of each slice: a stall, if the cap were not known
  options.stall_bytes = 64 * kKiB;
  start();
  const auto began = std::chrono::steady_clock::now();
  std::vector<FetchId> ids;
  for (std::uint64_t i = 0; i < 3; ++i)
    ids.push_back(fetch(i * 100'000, 100'000, std::make_shared<MemorySink>()));
  for (const FetchId id : ids) EXPECT_TRUE(wait(id));
  const auto took = std::chrono::steady_clock::now() - began;
  // 300 kB at 1 MB/s, less the debt of a last read for each.
  EXPECT_GE(took, milliseconds(220));
  EXPECT_LE(took, milliseconds(1500));
  EXPECT_EQ(cdn.seen().size(), 3U);
}

TEST_F(Pacing, TheCapCanBeLifted) {
  options.rate_limit = 1000;
  start();
  const auto sink = std::make_shared<MemorySink>();
  const FetchId id = fetch(0, content.size(), sink);
  ASSERT_TRUE(cdn.wait_for_requests(1));
  client->set_rate_limit(0);
  EXPECT_TRUE(wait(id));
  EXPECT_TRUE(sink->text() == content);
}

TEST_F(Pacing, ACappedSliceEndsWithItsSinksError) {
  options.rate_limit = 200'000;
  start();
  const auto result = wait(fetch(0, content.size(), std::make_shared<MemorySink>(20'000)));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::no_space);
}

TEST_F(Pacing, ASlowSinkIsNotHeldAgainstTheConnection) {
  // Each write takes longer than the stall time; the other connection gets nothing meanwhile.
  class SlowSink final : public SliceSink {
   public:
    Result<void> write(std::span<const std::byte> bytes) override {
      std::unique_lock lock(mutex_);
      never_.wait_for(lock, milliseconds(120));
      size += bytes.size();
      return {};
    }
    std::atomic<std::size_t> size = 0;

   private:
    std::mutex mutex_;
    std::condition_variable never_;
  };
  options.stall_time = milliseconds(60);
  options.stall_bytes = 64 * kKiB;
  options.sink_batch = 64 * kKiB;
  start();
  const auto one = std::make_shared<SlowSink>();
  const auto two = std::make_shared<SlowSink>();
  const FetchId first = fetch(0, 150'000, one);
  const FetchId second = fetch(150'000, 150'000, two);
  EXPECT_TRUE(wait(first));
  EXPECT_TRUE(wait(second));
  EXPECT_EQ(one->size + two->size, content.size());
  EXPECT_EQ(cdn.seen().size(), 2U);
}

}  // namespace
}  // namespace shoal::testing_hub
