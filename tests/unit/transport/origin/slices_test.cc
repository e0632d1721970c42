#include "tests/unit/transport/origin/hub_fixture.h"

#include <set>
#include <string>

#include <gmock/gmock.h>

namespace shoal::testing_hub {
namespace {

using testing::HasSubstr;

using Slices = HubFixture;

TEST_F(Slices, ComeFromTheCdnAndTheTokenDoesNotGoThere) {
  start();
  expect_slice(1000, 100'000);
  const SeenRequest asked = hub.seen().at(0);
  EXPECT_EQ(asked.method, "HEAD");
  EXPECT_EQ(asked.target, std::string("/org/name/resolve/") + kCommit + "/sub/model%201.safetensors");
  EXPECT_EQ(asked.header("authorization"), "Bearer hf_secret");
  EXPECT_EQ(asked.header("accept-encoding"), "identity");
  const SeenRequest got = cdn.seen().at(0);
  EXPECT_EQ(got.header("authorization"), "");
  EXPECT_EQ(got.header("range"), "bytes=1000-100999");
  EXPECT_EQ(got.header("accept-encoding"), "identity");
  EXPECT_THAT(got.target, HasSubstr("Signature=geheim1"));
}

TEST_F(Slices, OfOneFileAskTheHubOnce) {
  start();
  std::vector<std::pair<FetchId, std::shared_ptr<MemorySink>>> fetches;
  constexpr std::size_t kSlice = 10'000;
  for (std::size_t at = 0; at < content.size(); at += kSlice) {
    const auto sink = std::make_shared<MemorySink>();
    fetches.emplace_back(fetch(at, kSlice, sink), sink);
  }
  for (std::size_t i = 0; i < fetches.size(); ++i) {
    EXPECT_TRUE(wait(fetches[i].first));
    EXPECT_TRUE(fetches[i].second->text() == content.substr(i * kSlice, kSlice));
  }
  EXPECT_EQ(hub.seen().size(), 1U);
  EXPECT_EQ(cdn.seen().size(), 30U);
  std::set<int> connections;
  for (const SeenRequest& request : cdn.seen()) connections.insert(request.connection);
  EXPECT_LE(connections.size(), 16U);
  EXPECT_EQ(client->counters().resolves, 1U);
}

TEST_F(Slices, ReuseTheirConnection) {
  start();
  for (std::uint64_t i = 0; i < 5; ++i) expect_slice(i * 1000, 1000);
  for (const SeenRequest& request : cdn.seen()) EXPECT_EQ(request.connection, 0);
}

TEST_F(Slices, ComeFromTheHubItselfWithTheTokenWhenItDoesNotRedirect) {
  on_hub = [this](const SeenRequest& request) {
    return file_reply(request, content,
                      {{"ETag", std::string("\"") + kSha + "\""}, {"X-Repo-Commit", kCommit}});
  };
  start();
  expect_slice(5000, 5000);
  expect_slice(0, content.size());
  for (const SeenRequest& request : hub.seen())
    EXPECT_EQ(request.header("authorization"), "Bearer hf_secret");
}

TEST_F(Slices, TakeA200WhenTheSliceIsTheWholeFile) {
  on_cdn = [this](const SeenRequest&) { return reply(200, {}, content); };
  start();
  expect_slice(0, content.size());
}

TEST_F(Slices, FollowARenameOnTheHub) {
  on_hub = [this](const SeenRequest& request) {
    if (request.target.starts_with("/org/name/")) return reply(307, {{"Location", "/new/name/resolve/x"}});
    return redirect_to_cdn();
  };
  start();
  expect_slice(0, 100);
}

TEST_F(Slices, FollowTheCdnToAnotherHostOfIt) {
  ScriptedServer other([this](const SeenRequest& request) { return file_reply(request, content); });
  on_cdn = [&](const SeenRequest&) { return reply(307, {{"Location", other.url() + "/x"}}, "elsewhere"); };
  start();
  expect_slice(7, 100);
  EXPECT_EQ(other.seen().at(0).header("authorization"), "");
}

TEST_F(Slices, DoNotGiveTheTokenToAnotherPortOrNameOfTheSameMachine) {
  // The CDN is the same address on another port in every test; here the Hub goes by another name as well.
  on_hub = [this](const SeenRequest&) {
    Headers headers = linked();
    headers.emplace_back("Location", "http://localhost:" + std::to_string(hub.port()) + "/bridge");
    return reply(302, headers);
  };
  std::atomic<bool> leaked = false;
  const auto first = on_hub;
  on_hub = [&, first](const SeenRequest& request) {
    if (!request.target.starts_with("/bridge")) return first(request);
    if (!request.header("authorization").empty()) leaked = true;
    return file_reply(request, content);
  };
  start();
  expect_slice(0, 100);
  EXPECT_FALSE(leaked);
}

TEST_F(Slices, ReportTheirProgressInAFewSteps) {
  start();
  const auto sink = std::make_shared<MemorySink>();
  const FetchId id = fetch(0, content.size(), sink);
  ASSERT_TRUE(wait(id));
  EXPECT_EQ(progress(id), content.size());
  EXPECT_LE(reports(id), 20);
  EXPECT_EQ(client->counters().bytes_received, content.size());
}

TEST_F(Slices, EndWithTheSinksError) {
  start();
  const auto sink = std::make_shared<MemorySink>(50'000);
  const auto result = wait(fetch(0, content.size(), sink));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::no_space);
  EXPECT_EQ(result.error().raw, 28);
  EXPECT_EQ(cdn.seen().size(), 1U);
}

TEST_F(Slices, CanBeCancelledWhereverTheyAre) {
  on_cdn = [this](const SeenRequest& request) {
    const AskedRange range = asked_range(request);
    ScriptedReply out = file_reply(request, content);
    if (range.first == 0) {
      out.bytes.resize(out.bytes.find("\r\n\r\n") + 4 + 5000);
      out.end = ScriptedReply::End::hang;
    }
    return out;
  };
  options.stall_time = std::chrono::milliseconds(60'000);
  options.max_connections = 1;
  start();
  const auto sink = std::make_shared<MemorySink>();
  const FetchId running = fetch(0, 100'000, sink);
  ASSERT_TRUE(cdn.wait_for_requests(1));
  const FetchId queued = fetch(100'000, 1000, std::make_shared<MemorySink>());
  client->cancel(queued);
  EXPECT_EQ(wait(queued).error().code, Code::cancelled);
  client->cancel(running);
  client->cancel(running);
  client->cancel(FetchId{999});
  EXPECT_EQ(wait(running).error().code, Code::cancelled);
  EXPECT_TRUE(content.starts_with(sink->text()));
  EXPECT_EQ(sink.use_count(), 1);
  EXPECT_EQ(progress(running), sink->text().size());
  expect_slice(2000, 1000);
}

// The first 40,000 bytes come at once, the next ones one by one.
class TrimmedSlices : public HubFixture {
 protected:
  TrimmedSlices() {
    options.stall_time = std::chrono::seconds(10);
    on_cdn = [this](const SeenRequest& request) {
      ScriptedReply out = file_reply(request, content);
      const std::size_t head = out.bytes.find("\r\n\r\n") + 4;
      if (out.bytes.size() > head + 40'000) {
        out.drip = out.bytes.substr(head + 40'000);
        out.bytes.resize(head + 40'000);
      }
      return out;
    };
  }
  // Trims the slice to so many bytes once at least `seen` have come; the slice ends well.
  void expect_trimmed(std::uint64_t length, std::uint64_t seen, const std::shared_ptr<MemorySink>& sink) {
    const FetchId id = fetch(0, 200'000, sink);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (progress(id) < seen) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline);
      std::this_thread::yield();
    }
    client->trim(id, length);
    const auto result = wait(id);
    EXPECT_TRUE(result) << result.error().message;
    EXPECT_TRUE(content.starts_with(sink->text()));
  }
};

TEST_F(TrimmedSlices, EndAtTheirNewLengthOnAConnectionOfTheirOwn) {
  start();
  const auto sink = std::make_shared<MemorySink>();
  expect_trimmed(40'020, 1, sink);
  EXPECT_EQ(sink->text().size(), 40'020U);
  expect_slice(0, 1000);
  EXPECT_NE(cdn.seen().at(0).connection, cdn.seen().at(1).connection) << "the slow one was used again";
}

TEST_F(TrimmedSlices, ThatHaveMoreAlreadyEndAtOnce) {
  start();
  const auto sink = std::make_shared<MemorySink>();
  expect_trimmed(1000, 1001, sink);
  EXPECT_GE(sink->text().size(), 1000U);
}

TEST_F(TrimmedSlices, ToAllOfTheirLengthOnlyLoseTheirConnection) {
  start();
  const auto sink = std::make_shared<MemorySink>();
  const FetchId id = fetch(0, 40'030, sink);
  client->trim(id, 40'030);
  EXPECT_TRUE(wait(id));
  EXPECT_EQ(sink->text(), content.substr(0, 40'030));
  client->trim(id, 1);  // it has ended
  expect_slice(0, 1000);
}

TEST_F(Slices, KeepTheLimitOfConnectionsAndObeyANewOne) {
  std::mutex mutex;
  int open = 0;
  int most = 0;
  std::condition_variable release;
  bool released = false;
  on_cdn = [this](const SeenRequest& request) { return file_reply(request, content); };
  // The sink blocks nothing here: the server holds its answers back, so that requests pile up.
  options.max_connections = 2;
  options.stall_time = std::chrono::milliseconds(60'000);
  on_cdn = [&](const SeenRequest& request) {
    const std::lock_guard lock(mutex);
    most = std::max(most, ++open);
    ScriptedReply out = file_reply(request, content);
    if (!released) out = {"", "", ScriptedReply::End::hang};
    return out;
  };
  start();
  std::vector<FetchId> ids;
  for (std::uint64_t i = 0; i < 6; ++i) ids.push_back(fetch(i * 1000, 1000, std::make_shared<MemorySink>()));
  ASSERT_TRUE(cdn.wait_for_requests(2));
  EXPECT_EQ(cdn.seen().size(), 2U);
  client->set_max_connections(4);
  ASSERT_TRUE(cdn.wait_for_requests(4));
  EXPECT_EQ(cdn.seen().size(), 4U);
  EXPECT_EQ(most, 4);
  {
    const std::lock_guard lock(mutex);
    released = true;
  }
  for (std::size_t i = 0; i < 4; ++i) client->cancel(ids[i]);
  EXPECT_TRUE(wait(ids[4]));
  EXPECT_TRUE(wait(ids[5]));
}

TEST_F(Slices, OfNonsenseAreRefused) {
  start();
  const auto sink = std::make_shared<MemorySink>();
  EXPECT_EQ(wait(fetch(0, 0, sink)).error().code, Code::invalid);
  EXPECT_EQ(wait(fetch(content.size(), 1, sink)).error().code, Code::invalid);
  EXPECT_EQ(wait(fetch(1, UINT64_MAX, sink)).error().code, Code::invalid);
  EXPECT_EQ(wait(fetch(0, 1, nullptr)).error().code, Code::invalid);
  EXPECT_TRUE(hub.seen().empty());
}

TEST_F(Slices, EndWhenTheClientGoes) {
  on_cdn = [](const SeenRequest&) { return ScriptedReply{"", "", ScriptedReply::End::hang}; };
  start();
  const FetchId one = fetch(0, 1000, std::make_shared<MemorySink>());
  const FetchId two = fetch(5000, 1000, std::make_shared<MemorySink>());
  ASSERT_TRUE(cdn.wait_for_requests(1));
  client.reset();
  EXPECT_EQ(wait(one).error().code, Code::cancelled);
  EXPECT_EQ(wait(two).error().code, Code::cancelled);
}

TEST_F(Slices, AreResolvedAnewWithANewToken) {
  start();
  expect_slice(0, 100);
  client->set_token("hf_other");
  expect_slice(100, 100);
  EXPECT_EQ(hub.seen().at(1).header("authorization"), "Bearer hf_other");
}

}  // namespace
}  // namespace shoal::testing_hub
