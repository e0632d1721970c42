#include "tests/unit/transport/origin/hub_fixture.h"

#include <string>

#include <gmock/gmock.h>

namespace shoal::testing_hub {
namespace {

using testing::HasSubstr;

class Metadata : public HubFixture {
 protected:
  static constexpr const char* kBlob = "9876543210987654321098765432109876543210";

  Result<RepoInfo> resolve(const std::string& revision) {
    Waited<RepoInfo> waited;
    client->resolve(repo, revision, waited.callback());
    return waited.get();
  }
  Result<std::vector<RepoFile>> list() {
    Waited<std::vector<RepoFile>> waited;
    client->list_files(repo, kCommit, waited.callback());
    return waited.get();
  }
  Result<std::vector<std::byte>> fetch_small(const OriginFile& from) {
    Waited<std::vector<std::byte>> waited;
    client->fetch_small(from, waited.callback());
    return waited.get();
  }
  Result<bool> is_public() {
    Waited<bool> waited;
    client->is_public(repo, kCommit, "config.json", waited.callback());
    return waited.get();
  }
  static std::string info(const std::string& more = {}) {
    return std::string("{\"id\":\"org/name\",\"sha\":\"") + kCommit + "\"" + more + "}";
  }
  static std::string entry(const std::string& path) {
    return "{\"type\":\"file\",\"path\":\"" + path + "\",\"size\":3,\"oid\":\"" + kBlob + "\"}";
  }
  static OriginFile small_file(std::uint64_t size) {
    return {{RepoType::dataset, "org/d"}, kCommit, "config.json", *BlobId::from_etag(kBlob, size)};
  }
  static std::string text(const std::vector<std::byte>& bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
};

TEST_F(Metadata, ResolvesARevisionWithItsSlashEscaped) {
  on_hub = [](const SeenRequest&) { return reply(200, {}, info(",\"gated\":\"manual\"")); };
  start();
  const auto result = resolve("refs/pr/1");
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->commit, kCommit);
  EXPECT_TRUE(result->gated);
  const SeenRequest request = hub.seen().at(0);
  EXPECT_EQ(request.method, "GET");
  EXPECT_EQ(request.target, "/api/models/org/name/revision/refs%2Fpr%2F1");
  EXPECT_EQ(request.header("authorization"), "Bearer hf_secret");
  EXPECT_EQ(request.header("user-agent"), "shoal/test");
  EXPECT_EQ(request.header("accept-encoding"), "identity");
}

TEST_F(Metadata, FollowsARenameAndTellsTheNewName) {
  on_hub = [](const SeenRequest& request) {
    if (request.target.find("/org/name/") != std::string::npos) {
      return reply(307, {{"Location", "/api/models/new/name/revision/main"}});
    }
    return reply(200, {}, "{\"id\":\"new/name\",\"sha\":\"" + std::string(kCommit) + "\"}");
  };
  start();
  const auto result = resolve("main");
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->id, "new/name");
  EXPECT_EQ(hub.seen().at(1).header("authorization"), "Bearer hf_secret");
}

TEST_F(Metadata, UsesTheEndpointsPathAndNoTokenWhenThereIsNone) {
  options.endpoint = hub.url() + "/mirror/hf/";
  options.token.clear();
  on_hub = [](const SeenRequest&) { return reply(200, {}, info()); };
  start();
  ASSERT_TRUE(resolve("main"));
  EXPECT_EQ(hub.seen().at(0).target, "/mirror/hf/api/models/org/name/revision/main");
  EXPECT_EQ(hub.seen().at(0).header("authorization"), "");
}

TEST_F(Metadata, TellsMissingGatedAndUnauthorizedApart) {
  ScriptedReply next;
  std::mutex mutex;
  on_hub = [&](const SeenRequest&) {
    const std::lock_guard lock(mutex);
    return next;
  };
  start();
  const struct {
    int status;
    const char* error_code;
    Code code;
    const char* says;
  } rows[] = {
      {404, "RepoNotFound", Code::not_found, "org/name does not exist"},
      {404, "RevisionNotFound", Code::not_found, "no revision main"},
      {403, "GatedRepo", Code::gated, "accept its conditions"},
      {401, "", Code::unauthorized, "refused the token"},
  };
  for (const auto& row : rows) {
    {
      const std::lock_guard lock(mutex);
      next = reply(row.status, {{"X-Error-Code", row.error_code}}, "{\"error\":\"no\"}");
    }
    const auto result = resolve("main");
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, row.code);
    EXPECT_THAT(result.error().message, HasSubstr(row.says));
    EXPECT_EQ(result.error().raw, row.status);
  }
  EXPECT_EQ(hub.seen().size(), 4U);
}

TEST_F(Metadata, RefusesBadNamesWithoutARequest) {
  start();
  EXPECT_EQ(resolve("../../etc").error().code, Code::invalid);
  EXPECT_EQ(resolve("").error().code, Code::invalid);
  Waited<std::vector<RepoFile>> waited;
  client->list_files(repo, "main", waited.callback());
  EXPECT_EQ(waited.get().error().code, Code::invalid);
  EXPECT_TRUE(hub.seen().empty());
}

TEST_F(Metadata, TriesPassingTroubleAgainAndThenGivesUp) {
  std::atomic<int> asked = 0;
  on_hub = [&](const SeenRequest&) {
    ScriptedReply out = reply(200, {}, info());
    if (asked == 0) out = reply(503);
    if (asked == 1) out = {"", "", ScriptedReply::End::reset};
    ++asked;
    return out;
  };
  start();
  EXPECT_TRUE(resolve("main"));
  EXPECT_EQ(asked, 3);
}

TEST_F(Metadata, GivesUpAfterAFewAttempts) {
  on_hub = [](const SeenRequest&) { return reply(502); };
  start();
  const auto result = resolve("main");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::unavailable);
  EXPECT_EQ(hub.seen().size(), 3U);
}

TEST_F(Metadata, SaysWhenNobodyListens) {
  {
    ScriptedServer gone([](const SeenRequest&) { return reply(200); });
    options.endpoint = gone.url();
  }
  start();
  const auto result = resolve("main");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::unavailable);
  EXPECT_THAT(result.error().message, HasSubstr("cannot be reached"));
}

TEST_F(Metadata, TimesOutWhenTheHubSaysNothing) {
  options.metadata_timeout = std::chrono::milliseconds(50);
  on_hub = [](const SeenRequest&) { return ScriptedReply{"", "", ScriptedReply::End::hang}; };
  start();
  const auto result = resolve("main");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::timeout);
}

TEST_F(Metadata, WaitsOutA429) {
  std::atomic<int> asked = 0;
  on_hub = [&](const SeenRequest&) { return asked++ < 5 ? reply(429) : reply(200, {}, info()); };
  start();
  EXPECT_TRUE(resolve("main"));
  ASSERT_FALSE(limited().empty());
  EXPECT_EQ(limited().front(), hub.url() + " limits requests");
  EXPECT_EQ(client->counters().rate_limited, 5U);
}

TEST_F(Metadata, AProgramSeesA429OnlyWhenItLastsLongerThanItsPatience) {
  std::atomic<int> asked = 0;
  on_hub = [&](const SeenRequest& request) {
    if (request.target.find("short") != std::string::npos && asked++ >= 2) return reply(200, {}, "{}");
    return reply(429, {{"Retry-After", request.target.find("long") != std::string::npos ? "60" : "x"}},
                 "slow down");
  };
  start();
  const auto ask = [&](const std::string& path) {
    Waited<HubClient::Reply> waited;
    HubClient::Ask question;
    question.path = path;
    client->ask(std::move(question), waited.callback());
    return waited.get();
  };
  const auto waited_out = ask("/api/models/short/name");
  ASSERT_TRUE(waited_out) << waited_out.error().message;
  EXPECT_EQ(waited_out->status, 200);
  EXPECT_EQ(client->counters().rate_limited, 2U);
  const auto passed_on = ask("/api/models/long/name");
  ASSERT_TRUE(passed_on) << passed_on.error().message;
  EXPECT_EQ(passed_on->status, 429);
  // Nothing is asked of a Hub that wants to be left alone for longer.
  const auto spared = ask("/api/models/short/name");
  ASSERT_FALSE(spared);
  EXPECT_EQ(spared.error().code, Code::rate_limited);
}

TEST_F(Metadata, EndsARateLimitThatOutlastsItsPatience) {
  options.rate_limit_patience = std::chrono::milliseconds(30);
  on_hub = [](const SeenRequest&) { return reply(429); };
  start();
  const auto result = resolve("main");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::rate_limited);
}

TEST_F(Metadata, ListsAllPagesInOrder) {
  on_hub = [this](const SeenRequest& request) {
    if (request.target.find("cursor=2") != std::string::npos) return reply(200, {}, "[" + entry("c") + "]");
    return reply(200, {{"Link", "<" + hub.url() + "/api/models/org/name/tree/x?cursor=2>; rel=\"next\""}},
                 "[" + entry("a") + "," + entry("b/x") + "]");
  };
  start();
  const auto files = list();
  ASSERT_TRUE(files) << files.error().message;
  ASSERT_EQ(files->size(), 3U);
  EXPECT_EQ(files->at(0).path, "a");
  EXPECT_EQ(files->at(2).path, "c");
  EXPECT_EQ(files->at(2).blob, *BlobId::from_etag(kBlob, 3));
  EXPECT_EQ(hub.seen().at(0).target,
            std::string("/api/models/org/name/tree/") + kCommit + "?recursive=true&expand=false");
}

TEST_F(Metadata, RefusesListingsThatLieOrHaveNoEnd) {
  struct Row {
    std::string link;
    std::string body;
    std::string says;
  };
  Row row;
  std::mutex mutex;
  on_hub = [&](const SeenRequest& request) {
    const std::lock_guard lock(mutex);
    const Headers headers =
        row.link.empty()
            ? Headers{}
            : Headers{{"Link", "<" + (row.link == "self" ? request.target : row.link) + ">; rel=\"next\""}};
    return reply(200, headers, row.body);
  };
  options.max_tree_entries = 3;
  options.max_tree_page_bytes = 2000;
  start();
  for (const Row& each : {
           Row{cdn.url() + "/api/next", "[]", "not on " + hub.url()},
           Row{"ftp://x/", "[]", "no http or https URL"},
           Row{"self", "[]", "has no end"},
           Row{"/api/models/org/name/tree/x?again", "[" + entry("a") + "]", "has 'a' twice"},
           Row{"", "[" + entry("a") + "," + entry("a") + "]", "has 'a' twice"},
           Row{"", "[" + entry("a/b") + "," + entry("a") + "]", "'a' as a file and as a folder"},
           Row{"", "[" + entry("a") + "," + entry("a/b/c") + "]", "'a' as a file and as a folder"},
           Row{"", "[" + entry("../a") + "]", "'../a' is not an allowed path"},
           Row{"", "[" + entry("a") + "," + entry("b") + "," + entry("c") + "," + entry("d") + "]",
               "more than 3 files"},
           Row{"", "[" + std::string(2000, ' ') + "]", "more than 2000 bytes"},
           Row{"", "<html>", "no proper JSON"},
       }) {
    {
      const std::lock_guard lock(mutex);
      row = each;
    }
    const auto files = list();
    ASSERT_FALSE(files) << each.says;
    EXPECT_EQ(files.error().code, Code::invalid);
    EXPECT_THAT(files.error().message, HasSubstr(each.says));
    EXPECT_THAT(files.error().message, HasSubstr("org/name"));
  }
  EXPECT_TRUE(cdn.seen().empty());
}

TEST_F(Metadata, FetchesASmallFileByWayOfTheEdgeCachedCopy) {
  on_hub = [](const SeenRequest& request) {
    if (request.target.starts_with("/datasets/")) {
      return reply(307,
                   {{"X-Repo-Commit", kCommit}, {"Location", "/api/resolve-cache/datasets/org/d/x?etag=1"}},
                   "Temporary");
    }
    return reply(200, {{"ETag", std::string("\"") + kBlob + "\""}}, "{}\n");
  };
  start();
  const auto bytes = fetch_small(small_file(3));
  ASSERT_TRUE(bytes) << bytes.error().message;
  EXPECT_EQ(text(*bytes), "{}\n");
  EXPECT_EQ(hub.seen().at(0).target, std::string("/datasets/org/d/resolve/") + kCommit + "/config.json");
  EXPECT_EQ(hub.seen().at(0).header("range"), "");
}

TEST_F(Metadata, FetchesASmallLfsFileFromTheCdnWithoutTheToken) {
  content = "small";
  start();
  const auto bytes = fetch_small(file());
  ASSERT_TRUE(bytes) << bytes.error().message;
  EXPECT_EQ(text(*bytes), "small");
  EXPECT_EQ(hub.seen().at(0).header("authorization"), "Bearer hf_secret");
  EXPECT_EQ(cdn.seen().at(0).header("authorization"), "");
}

TEST_F(Metadata, FetchesAnEmptyFile) {
  on_hub = [](const SeenRequest&) { return reply(200); };
  start();
  const auto bytes = fetch_small(small_file(0));
  ASSERT_TRUE(bytes) << bytes.error().message;
  EXPECT_TRUE(bytes->empty());
}

TEST_F(Metadata, AsksTheHubAgainWhenASmallFilesSignedUrlHasEnded) {
  content = "small";
  std::atomic<int> asked = 0;
  on_cdn = [&](const SeenRequest& request) {
    return asked++ == 0 ? reply(403) : file_reply(request, content);
  };
  start();
  EXPECT_TRUE(fetch_small(file()));
  EXPECT_EQ(hub.seen().size(), 2U);
}

TEST_F(Metadata, RefusesASmallFileThatIsNotTheOneAskedFor) {
  ScriptedReply next;
  std::mutex mutex;
  on_hub = [&](const SeenRequest&) {
    const std::lock_guard lock(mutex);
    return next;
  };
  start();
  const struct {
    ScriptedReply reply;
    Code code;
  } rows[] = {
      {reply(200, {{"ETag", "\"0000000000000000000000000000000000000000\""}}, "abc"), Code::changed},
      {reply(200, {{"X-Repo-Commit", kBlob}}, "abc"), Code::changed},
      {reply(200, {}, "ab"), Code::changed},
      {reply(200, {}, "abcd"), Code::changed},
      {reply(200, {{"Transfer-Encoding", "chunked"}}, "2\r\nab\r\n0\r\n\r\n"), Code::changed},
      {reply(200, {{"Transfer-Encoding", "chunked"}}, "4\r\nabcd\r\n0\r\n\r\n"), Code::invalid},
      {reply(200, {{"Content-Encoding", "gzip"}}, "abc"), Code::invalid},
      {reply(404, {{"X-Error-Code", "EntryNotFound"}}), Code::not_found},
  };
  for (const auto& row : rows) {
    {
      const std::lock_guard lock(mutex);
      next = row.reply;
    }
    const auto bytes = fetch_small(small_file(3));
    ASSERT_FALSE(bytes) << row.reply.bytes;
    EXPECT_EQ(bytes.error().code, row.code) << row.reply.bytes << bytes.error().message;
  }
  EXPECT_EQ(fetch_small(small_file(kSmallBlobMax + 1)).error().code, Code::invalid);
}

TEST_F(Metadata, CallsContentPublicIfAStrangerIsGivenIt) {
  ScriptedReply next;
  std::mutex mutex;
  on_hub = [&](const SeenRequest&) {
    const std::lock_guard lock(mutex);
    return next;
  };
  start();
  const struct {
    ScriptedReply reply;
    bool is_public;
  } rows[] = {
      {redirect_to_cdn(), true},
      {reply(200, {}, "abc"), true},
      {reply(401, {{"X-Error-Code", "GatedRepo"}}), false},
      {reply(401), false},
      {reply(403), false},
      {reply(404, {{"X-Error-Code", "RepoNotFound"}}), false},
  };
  for (const auto& row : rows) {
    {
      const std::lock_guard lock(mutex);
      next = row.reply;
    }
    const auto result = is_public();
    ASSERT_TRUE(result) << result.error().message;
    EXPECT_EQ(*result, row.is_public) << row.reply.bytes;
  }
  for (const SeenRequest& request : hub.seen()) {
    EXPECT_EQ(request.method, "HEAD");
    EXPECT_EQ(request.header("authorization"), "");
  }
  EXPECT_TRUE(cdn.seen().empty());
  {
    const std::lock_guard lock(mutex);
    next = reply(500);
  }
  EXPECT_EQ(is_public().error().code, Code::unavailable);
}

TEST_F(Metadata, RefusesRedirectsInACircle) {
  on_hub = [](const SeenRequest& request) { return reply(307, {{"Location", request.target}}); };
  start();
  const auto result = resolve("main");
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().message, HasSubstr("in a circle"));
}

TEST_F(Metadata, RefusesHeadersWithoutEnd) {
  on_hub = [](const SeenRequest&) { return reply(200, {{"X-Long", std::string(70'000, 'x')}}, info()); };
  start();
  const auto result = resolve("main");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::invalid);
  EXPECT_THAT(result.error().message, HasSubstr("bytes of headers"));
}

TEST_F(Metadata, RefusesAHubThatSendsItsApiElsewhere) {
  on_hub = [this](const SeenRequest&) { return reply(302, {{"Location", cdn.url() + "/api"}}); };
  start();
  const auto result = resolve("main");
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().message, HasSubstr(cdn.url()));
  EXPECT_TRUE(cdn.seen().empty());
}

TEST_F(Metadata, EndsWaitingCallsWhenTheClientGoes) {
  on_hub = [](const SeenRequest&) { return ScriptedReply{"", "", ScriptedReply::End::hang}; };
  start();
  std::vector<Waited<RepoInfo>> waited(20);
  for (auto& each : waited) client->resolve(repo, "main", each.callback());
  ASSERT_TRUE(hub.wait_for_requests(static_cast<std::size_t>(options.max_metadata_requests)));
  client.reset();
  for (auto& each : waited) EXPECT_EQ(each.get().error().code, Code::cancelled);
}

TEST_F(Metadata, RefusesOnTheSpotWhenTooMuchIsWaiting) {
  options.max_waiting = 2;
  on_hub = [](const SeenRequest&) { return ScriptedReply{"", "", ScriptedReply::End::hang}; };
  start();
  Waited<RepoInfo> first;
  Waited<RepoInfo> second;
  Waited<RepoInfo> third;
  client->resolve(repo, "main", first.callback());
  client->resolve(repo, "main", second.callback());
  client->resolve(repo, "main", third.callback());
  EXPECT_EQ(third.get().error().code, Code::unavailable);
  EXPECT_EQ(wait(fetch(0, 10, std::make_shared<MemorySink>())).error().code, Code::unavailable);
}

TEST_F(Metadata, IsNotMadeForAnEndpointThatIsNoUrl) {
  HubClient::Options bad;
  bad.endpoint = "huggingface.co";
  const auto created = HubClient::create(bad, {});
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().code, Code::invalid);
  EXPECT_THAT(created.error().message, HasSubstr("HF_ENDPOINT"));
}

}  // namespace
}  // namespace shoal::testing_hub
