#include "fake_backend.h"
#include "node/api/api_server.h"
#include "raw_client.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace shoal {
namespace {

using testing::HasSubstr;
using Json = nlohmann::json;

struct Answer {
  unsigned status = 0;
  std::string head;
  Json body;
  std::string message() const { return body["error"]["message"].get<std::string>(); }
};

class ApiRoutesTest : public testing::Test {
 protected:
  ApiRoutesTest() {
    ApiServerOptions options;
    options.http.listen = {"127.0.0.1", 0};
    options.event_clients_max = 1;
    server_ = std::move(*ApiServer::start(std::move(options), backend_));
  }

  Answer ask(const std::string& method, const std::string& path, const std::string& body = "",
             const std::string& type = "application/json") {
    RawClient raw(server_->endpoint());
    std::string request = method + " " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
    if (!body.empty()) {
      request += "Content-Type: " + type + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n";
    }
    raw.send(request + "\r\n" + body);
    const std::string all = raw.read_all();
    Answer out;
    const auto end = all.find("\r\n\r\n");
    if (end == std::string::npos) return out;
    out.head = all.substr(0, end);
    out.status = static_cast<unsigned>(std::stoul(out.head.substr(9, 3)));
    out.body = Json::parse(all.substr(end + 4), nullptr, false);
    return out;
  }
  Answer get(const std::string& path) { return ask("GET", path); }

  FakeBackend backend_;
  std::unique_ptr<ApiServer> server_;
};

TEST_F(ApiRoutesTest, APullIsStartedWithEverythingThatWasAsked) {
  const auto answer = ask("POST", "/shoal/v1/pulls",
                          R"({"repo":"org/name","type":"dataset","revision":"refs/pr/3","include":["*.json"],
                             "exclude":["a","b"],"source":"lan","priority":"high"})");
  EXPECT_EQ(answer.status, 202U);
  EXPECT_EQ(answer.body["id"], 7);
  EXPECT_THAT(answer.head, HasSubstr("Location: /shoal/v1/pulls/7"));
  ASSERT_EQ(backend_.pull_requests.size(), 1U);
  const PullRequest& request = backend_.pull_requests[0];
  EXPECT_EQ(request.repo, (RepoRef{RepoType::dataset, "org/name"}));
  EXPECT_EQ(request.revision, "refs/pr/3");
  EXPECT_EQ(request.include, std::vector<std::string>{"*.json"});
  EXPECT_EQ(request.exclude, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(request.source, SourcePolicy::lan_only);
  EXPECT_EQ(request.priority, Priority::high);
}

TEST_F(ApiRoutesTest, BadPullRequestsAreRefusedWithAReason) {
  struct Case {
    const char* body;
    const char* reason;
  };
  const std::vector<Case> cases{
      {"{", "not valid JSON"},
      {"[]", "must be a JSON object"},
      {"[[[[[[[[[[[[1]]]]]]]]]]]]", "not valid JSON"},
      {"{}", "'repo' is missing"},
      {R"({"repo":7})", "'repo' must be a string"},
      {R"({"repo":"../etc"})", "no repo name"},
      {R"({"repo":"a/b","revison":"x"})", "unknown field 'revison'"},
      {R"({"repo":"a/b","type":"kernel"})", "model, dataset or space"},
      {R"({"repo":"a/b","revision":"../x"})", "no revision"},
      {R"({"repo":"a/b","include":"*"})", "'include' must be an array"},
      {R"({"repo":"a/b","exclude":[""]})", "'exclude' has an entry"},
      {R"({"repo":"a/b","source":"moon"})", "auto, lan or origin"},
      {R"({"repo":"a/b","priority":1})", "'priority' must be a string"},
  };
  for (const Case& one : cases) {
    const auto answer = ask("POST", "/shoal/v1/pulls", one.body);
    EXPECT_EQ(answer.status, 400U) << one.body;
    EXPECT_EQ(answer.body["error"]["code"], "invalid") << one.body;
    EXPECT_THAT(answer.message(), HasSubstr(one.reason)) << one.body;
  }
  EXPECT_THAT(ask("POST", "/shoal/v1/pulls", R"({"repo":"a/b"})", "text/plain").message(),
              HasSubstr("application/json"));
  EXPECT_TRUE(backend_.pull_requests.empty());
}

TEST_F(ApiRoutesTest, APullIsShownWithItsFilesUnderColumnNames) {
  auto detail = fake_pull(7, PullState::running, 1000, 415);
  detail.files = {fake_file("b.safetensors", 900, 315, FileState::fetching),
                  fake_file("config.json", 100, 100, FileState::held)};
  backend_.pull_answers = {detail};
  const auto answer = get("/shoal/v1/pulls/7");
  EXPECT_EQ(answer.status, 200U);
  EXPECT_EQ(answer.body["state"], "running");
  EXPECT_EQ(answer.body["percent"], 41.5);
  EXPECT_EQ(answer.body["error"], nullptr);
  EXPECT_EQ(answer.body["finished_at"], nullptr);
  EXPECT_EQ(answer.body["created_at"], "2023-11-14T22:13:20.000Z");
  EXPECT_EQ(answer.body["status"].size(), 2U);
  const Json& file = answer.body["status"][0];
  for (const char* column :
       {"repo", "revision", "commit_id", "path", "blob_id", "size", "bytes_done", "bytes_lan", "bytes_origin",
        "bytes_local", "percent", "bytes_per_s", "eta_s", "state", "waiting_for", "error", "updated_at"}) {
    EXPECT_TRUE(file.contains(column)) << column;
  }
  EXPECT_EQ(file["blob_id"], "sha256:" + std::string(64, 'b'));
  EXPECT_EQ(get("/shoal/v1/pulls/7?files=active").body["status"].size(), 1U);
  EXPECT_EQ(get("/shoal/v1/pulls/7?files=none").body["status"].size(), 0U);
  EXPECT_EQ(get("/shoal/v1/pulls/7?limit=1").body["truncated"], true);
}

TEST_F(ApiRoutesTest, AClientMayWaitForTheEndOfAPullUpToThirtySeconds) {
  backend_.pull_answers = {fake_pull(7, PullState::running, 1000, 415)};
  for (const char* query : {"", "?wait_ms=0", "?wait_ms=500", "?files=none&wait_ms=30000"}) {
    EXPECT_EQ(get(std::string("/shoal/v1/pulls/7") + query).status, 200U) << query;
  }
  for (const char* wrong : {"30001", "-1", "x", "", "1s", "99999999999999999999"}) {
    const auto answer = get(std::string("/shoal/v1/pulls/7?wait_ms=") + wrong);
    EXPECT_EQ(answer.status, 400U) << wrong;
    EXPECT_EQ(answer.message(), "'wait_ms' must be a number from 0 to 30000");
  }
  const std::scoped_lock lock(backend_.mutex);
  using std::chrono::milliseconds;
  EXPECT_EQ(backend_.waits,
            (std::vector{milliseconds(0), milliseconds(0), milliseconds(500), milliseconds(30'000)}));
}

TEST_F(ApiRoutesTest, PullsThatDoNotExistOrHaveNoNumberAreRefused) {
  EXPECT_EQ(get("/shoal/v1/pulls/9").status, 404U);
  EXPECT_EQ(get("/shoal/v1/pulls/0").status, 400U);
  EXPECT_EQ(get("/shoal/v1/pulls/x").status, 400U);
  EXPECT_EQ(get("/shoal/v1/pulls/99999999999999999999").status, 400U);
  EXPECT_EQ(get("/shoal/v1/pulls/7?files=some").status, 400U);
  EXPECT_EQ(get("/shoal/v1/pulls?limit=0").status, 400U);
  EXPECT_EQ(get("/shoal/v1/pulls?limit=1001").status, 400U);
  EXPECT_EQ(get("/shoal/v1/pulls?what=1").status, 400U);
}

TEST_F(ApiRoutesTest, APullIsCancelled) {
  EXPECT_EQ(ask("DELETE", "/shoal/v1/pulls/7").status, 200U);
  EXPECT_EQ(backend_.cancelled, std::vector<std::int64_t>{7});
}

TEST_F(ApiRoutesTest, CodesOfTheNodeBecomeHttpStatuses) {
  const std::vector<std::pair<Code, unsigned>> cases{
      {Code::not_found, 404},   {Code::unauthorized, 403}, {Code::gated, 403},   {Code::corrupt, 422},
      {Code::no_space, 507},    {Code::io, 500},           {Code::timeout, 504}, {Code::rate_limited, 429},
      {Code::unavailable, 503}, {Code::cancelled, 409},    {Code::invalid, 400}, {Code::expired, 502},
      {Code::changed, 409}};
  for (const auto& [code, status] : cases) {
    {
      const std::scoped_lock lock(backend_.mutex);
      backend_.error = Error{code, "a sentence", 0};
    }
    const auto answer = ask("POST", "/shoal/v1/pulls", R"({"repo":"a/b"})");
    EXPECT_EQ(answer.status, status) << to_string(code);
    EXPECT_EQ(answer.body["error"]["code"], to_string(code));
    EXPECT_EQ(answer.message(), "a sentence");
  }
}

TEST_F(ApiRoutesTest, StatusRowsAreFilteredAndLimited) {
  auto file = fake_file("a.bin", 10, 10, FileState::held);
  file.path = "bad \xff name";
  backend_.status_page.rows = {{file, {1'700'000'000'000}}, {fake_file("b", 10, 0, FileState::queued), {}}};
  const auto answer = get("/shoal/v1/status?repo=org/name");
  ASSERT_EQ(answer.status, 200U);
  EXPECT_EQ(answer.body["status"].size(), 2U);
  EXPECT_EQ(answer.body["status"][0]["updated_at"], "2023-11-14T22:13:20.000Z");
  EXPECT_EQ(answer.body["status"][0]["path"], "bad \xef\xbf\xbd name");
  EXPECT_EQ(answer.body["truncated"], false);
  EXPECT_EQ(get("/shoal/v1/status?repo=other/name").body["status"].size(), 0U);
  EXPECT_EQ(get("/shoal/v1/status?limit=1").body["truncated"], true);
  EXPECT_EQ(get("/shoal/v1/status?repo=a%20b").status, 400U);
  EXPECT_EQ(get("/shoal/v1/status?type=kernel").status, 400U);
}

TEST_F(ApiRoutesTest, PeersComeFromTheSnapshot) {
  auto snapshot = std::make_shared<StatusSnapshot>();
  PeerStatus peer;
  peer.name = "gpu8";
  peer.endpoint = {"fe80::1", 8421};
  peer.alive = true;
  peer.load.busy = true;
  peer.last_seen = {1'700'000'000'000};
  snapshot->peers = {peer};
  backend_.set_snapshot(snapshot);
  const auto answer = get("/shoal/v1/peers");
  ASSERT_EQ(answer.body["peers"].size(), 1U);
  const Json& row = answer.body["peers"][0];
  EXPECT_EQ(row["endpoint"], "[fe80::1]:8421");
  EXPECT_EQ(row["busy"], true);
  EXPECT_EQ(row["banned_until"], nullptr);
  EXPECT_EQ(row["last_seen"], "2023-11-14T22:13:20.000Z");
}

TEST_F(ApiRoutesTest, HoldingsAreListedWithTheTotal) {
  backend_.holdings_page.rows = {{{RepoType::model, "org/name"},
                                  "main",
                                  std::string(40, 'a'),
                                  "x.bin",
                                  *BlobId::parse("git-sha1:" + std::string(40, 'c'), 5)}};
  backend_.holdings_page.blobs_held = 1;
  backend_.holdings_page.bytes_held = 5;
  const auto answer = get("/shoal/v1/blobs");
  EXPECT_EQ(answer.body["blobs"][0]["blob_id"], "git-sha1:" + std::string(40, 'c'));
  EXPECT_EQ(answer.body["bytes_held"], 5);
}

TEST_F(ApiRoutesTest, SeedTakesAPathOrARepo) {
  EXPECT_EQ(ask("POST", "/shoal/v1/seed", R"({"path":"/models"})").body["id"], 3);
  EXPECT_EQ(ask("POST", "/shoal/v1/seed", R"({"repo":"org/name"})").status, 202U);
  ASSERT_EQ(backend_.seed_requests.size(), 2U);
  EXPECT_EQ(backend_.seed_requests[0].path, "/models");
  EXPECT_EQ(backend_.seed_requests[1].repo->name, "org/name");
  for (const char* body : {"{}", R"({"path":"relative"})", R"({"path":"/a","repo":"a/b"})", R"({"path":5})",
                           R"({"path":"/a\u0000b"})"}) {
    EXPECT_EQ(ask("POST", "/shoal/v1/seed", body).status, 400U) << body;
  }
}

TEST_F(ApiRoutesTest, VerifyTakesARepoOrNothing) {
  EXPECT_EQ(ask("POST", "/shoal/v1/verify").status, 202U);
  EXPECT_EQ(ask("POST", "/shoal/v1/verify", "{}").status, 202U);
  EXPECT_EQ(ask("POST", "/shoal/v1/verify", R"({"repo":"org/name"})").body["id"], 4);
  ASSERT_EQ(backend_.verify_requests.size(), 3U);
  EXPECT_FALSE(backend_.verify_requests[0]);
  EXPECT_FALSE(backend_.verify_requests[1]);
  EXPECT_EQ(backend_.verify_requests[2]->name, "org/name");
}

TEST_F(ApiRoutesTest, JobsAreShownWithTheirFindings) {
  JobStatus job;
  job.id = JobId{3};
  job.kind = JobKind::verify;
  job.state = PullState::done;
  job.findings = {{"a.bin", Code::corrupt, "does not match"}};
  job.findings_count = 1;
  backend_.job_answers = {job};
  const auto answer = get("/shoal/v1/jobs/3");
  EXPECT_EQ(answer.body["kind"], "verify");
  EXPECT_EQ(answer.body["findings"][0]["code"], "corrupt");
  EXPECT_EQ(get("/shoal/v1/jobs").body["jobs"].size(), 1U);
  EXPECT_EQ(ask("DELETE", "/shoal/v1/jobs/3").status, 200U);
}

TEST_F(ApiRoutesTest, AReposRevisionIsRemoved) {
  const auto answer = ask("DELETE", "/shoal/v1/repos/dataset/org/name?revision=v1.0");
  EXPECT_EQ(answer.status, 200U);
  EXPECT_EQ(answer.body["bytes_freed"], 4096);
  EXPECT_EQ(ask("DELETE", "/shoal/v1/repos/model/gpt2").status, 200U);
  ASSERT_EQ(backend_.remove_requests.size(), 2U);
  EXPECT_EQ(backend_.remove_requests[0].repo, (RepoRef{RepoType::dataset, "org/name"}));
  EXPECT_EQ(backend_.remove_requests[0].revision, "v1.0");
  EXPECT_EQ(backend_.remove_requests[1].revision, "");
  for (const char* path :
       {"/shoal/v1/repos/kernel/a/b", "/shoal/v1/repos/model/..%2F..%2Fetc", "/shoal/v1/repos/model/a/b/c",
        "/shoal/v1/repos/model/a/b?revision=", "/shoal/v1/repos/model/a/b?rev=x"}) {
    EXPECT_EQ(ask("DELETE", path).status, 400U) << path;
  }
}

TEST_F(ApiRoutesTest, RoomIsMadeAndExplained) {
  EvictionChoice kept;
  kept.repo = {RepoType::model, "org/name"};
  kept.commit = std::string(40, 'a');
  kept.verdict = Verdict::last_copy;
  kept.frees = 5;
  kept.last_copies = 1;
  backend_.gc_result = {.dry_run = true,
                        .bytes_held = 10,
                        .bytes_needed = 5,
                        .bytes_freed = 0,
                        .neighbours = 3,
                        .choices = {kept}};
  const auto answer = ask("POST", "/shoal/v1/gc", R"({"to":5,"dry_run":true})");
  EXPECT_EQ(answer.status, 200U);
  EXPECT_EQ(answer.body["neighbours"], 3);
  EXPECT_EQ(answer.body["choices"][0]["reason"], "the last copy on the site");
  EXPECT_EQ(answer.body["choices"][0]["evict"], false);
  EXPECT_EQ(ask("POST", "/shoal/v1/gc", R"({"even_last_copies":true})").status, 200U);
  ASSERT_EQ(backend_.gc_requests.size(), 2U);
  EXPECT_EQ(backend_.gc_requests[0].to, 5U);
  EXPECT_TRUE(backend_.gc_requests[0].dry_run);
  EXPECT_EQ(backend_.gc_requests[1].to, std::nullopt);
  EXPECT_TRUE(backend_.gc_requests[1].even_last_copies);
  for (const char* body : {R"({"to":-1})", R"({"to":"5GiB"})", R"({"dry_run":1})", R"({"all":true})"}) {
    EXPECT_EQ(ask("POST", "/shoal/v1/gc", body).status, 400U) << body;
  }
}

TEST_F(ApiRoutesTest, ReposArePinnedAndUnpinned) {
  EXPECT_EQ(ask("POST", "/shoal/v1/pins", R"({"repo":"org/name","type":"dataset"})").body["pinned"], true);
  EXPECT_EQ(get("/shoal/v1/pins").body["pins"][0]["repo"], "org/name");
  EXPECT_EQ(ask("DELETE", "/shoal/v1/pins/dataset/org/name").body["pinned"], false);
  EXPECT_TRUE(get("/shoal/v1/pins").body["pins"].empty());
  EXPECT_EQ(ask("POST", "/shoal/v1/pins", R"({"repo":"../x"})").status, 400U);
}

TEST_F(ApiRoutesTest, TheBusyMarkIsSet) {
  EXPECT_EQ(ask("POST", "/shoal/v1/load", R"({"busy":true,"for_s":90})").body["busy"], true);
  EXPECT_EQ(ask("POST", "/shoal/v1/load", R"({"busy":false})").status, 200U);
  ASSERT_EQ(backend_.busy_requests.size(), 2U);
  EXPECT_EQ(backend_.busy_requests[0].second, std::chrono::seconds(90));
  EXPECT_EQ(backend_.busy_requests[1], std::make_pair(false, std::optional<std::chrono::seconds>()));
  for (const char* body : {"{}", R"({"busy":"on"})", R"({"busy":true,"for_s":0})",
                           R"({"busy":true,"for_s":1.5})", R"({"busy":true,"for_s":1e30})",
                           R"({"busy":true,"for_s":99999999999999999999})", R"({"busy":false,"for_s":5})"}) {
    EXPECT_EQ(ask("POST", "/shoal/v1/load", body).status, 400U) << body;
  }
}

TEST_F(ApiRoutesTest, HealthAndNodeAnswer) {
  backend_.node_info.node_name = "gpu7";
  backend_.node_info.hub = "https://huggingface.co";
  EXPECT_EQ(get("/healthz").body["status"], "ok");
  EXPECT_EQ(get("/shoal/v1/node").body["name"], "gpu7");
  EXPECT_EQ(get("/shoal/v1/load").body["busy"], false);
}

TEST_F(ApiRoutesTest, WrongMethodsAndPathsAreRefused) {
  const auto answer = ask("PUT", "/shoal/v1/pulls", "{}");
  EXPECT_EQ(answer.status, 405U);
  EXPECT_THAT(answer.head, HasSubstr("Allow: GET, HEAD, POST"));
  EXPECT_EQ(get("/shoal/v2/pulls").status, 404U);
}

TEST_F(ApiRoutesTest, EventsAreListed) {
  EventRow event;
  event.kind = "pull_done";
  event.text = "done";
  event.pull = PullId{7};
  backend_.event_list = {event};
  const auto answer = get("/shoal/v1/events");
  EXPECT_EQ(answer.body["events"][0]["kind"], "pull_done");
  EXPECT_EQ(answer.body["events"][0]["pull"], 7);
  EXPECT_EQ(answer.body["events"][0]["repo"], nullptr);
}

TEST_F(ApiRoutesTest, EventsAreStreamedAsTheyHappen) {
  const std::string request =
      "GET /shoal/v1/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n";
  RawClient raw(server_->endpoint());
  raw.send(request);
  const auto head = raw.read_until(": listening\n\n");
  EXPECT_THAT(head, HasSubstr("Content-Type: text/event-stream"));
  EventRow event;
  event.kind = "peer_up";
  event.text = "line one\nline two";
  server_->publish(event);
  const auto got = raw.read_until("\"}\n\n");
  EXPECT_THAT(got, HasSubstr("event: peer_up\ndata: {"));
  EXPECT_THAT(got, HasSubstr("line one\\nline two"));

  RawClient second(server_->endpoint());
  second.send(request);
  EXPECT_THAT(second.read_until("\r\n\r\n"), HasSubstr("503"));
}

TEST_F(ApiRoutesTest, StoppingWhileARequestWaitsIsSafe) {
  backend_.silent = true;
  RawClient raw(server_->endpoint());
  raw.send("GET /shoal/v1/node HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while (std::chrono::steady_clock::now() < deadline) {
    const std::scoped_lock lock(backend_.mutex);
    if (!backend_.kept.empty()) break;
  }
  server_.reset();
  ASSERT_EQ(backend_.kept.size(), 1U);
  backend_.kept[0]();
  backend_.kept.clear();
}

}  // namespace
}  // namespace shoal
