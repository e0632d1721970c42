// Closed clusters over HTTP: what is asked of the daemon, and what is refused before it gets there.
#include "node/api/cluster_backend.h"
#include "node/api/router.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace shoal {
namespace {

using testing::HasSubstr;
using Json = nlohmann::json;

class FakeCluster final : public ClusterBackend {
 public:
  void cluster_state(Reply<ClusterState> reply) override { reply(state); }
  void init_cluster(Reply<void> reply) override { reply(fail(Code::changed, "already")); }
  void join_cluster(ClusterJoin join, Reply<void> reply) override {
    joined = std::move(join);
    reply(Result<void>{});
  }
  void invite(std::chrono::seconds asked, Reply<ClusterInvite> reply) override {
    life = asked;
    reply(ClusterInvite{"shoal1-00", {1'700'000'000'000}, {"10.0.0.1", 8422}});
  }
  void revoke(std::string node, Reply<ClusterRevoked> reply) override {
    reply(ClusterRevoked{{{NodeId{}, node, "a1", {1}, true}}, 3});
  }

  ClusterState state;
  ClusterJoin joined;
  std::chrono::seconds life{0};
};

class ClusterRoutes : public testing::Test {
 protected:
  ClusterRoutes() { add_cluster_routes(router, backend); }

  std::pair<unsigned, Json> ask(const std::string& method, const std::string& path,
                                const std::string& body = {}) {
    HttpRequest request;
    request.method = method;
    request.path = request.raw_path = path;
    request.body = body;
    if (!body.empty()) request.headers["content-type"] = "application/json";
    std::pair<unsigned, Json> out;
    router.handle(request, [&out](const HttpResponse& response) {
      out = {response.status, Json::parse(std::get<std::string>(response.body))};
    });
    return out;
  }
  std::pair<unsigned, Json> join_at(const std::string& at) {
    return ask("POST", "/shoal/v1/cluster/join", Json{{"token", "shoal1-00"}, {"at", at}}.dump());
  }

  FakeCluster backend;
  Router router;
};

TEST_F(ClusterRoutes, AnOpenClusterSaysNoMore) {
  backend.state.cluster = "lab";
  const auto [status, body] = ask("GET", "/shoal/v1/cluster");
  EXPECT_EQ(status, 200U);
  EXPECT_EQ(body, (Json{{"cluster", "lab"}, {"node", std::string(32, '0')}, {"closed", false}}));
}

TEST_F(ClusterRoutes, TheAuthorityTellsWhoWasLetIn) {
  backend.state.closed = backend.state.is_authority = true;
  backend.state.members = {{NodeId{}, "gpu-1", "a1", {1'700'000'000'000}, false}};
  const auto body = ask("GET", "/shoal/v1/cluster").second;
  EXPECT_EQ(body["members"][0]["name"], "gpu-1");
  EXPECT_TRUE(body["join_at"].is_null());
  backend.state.is_authority = false;
  EXPECT_FALSE(ask("GET", "/shoal/v1/cluster").second.contains("members"));
}

TEST_F(ClusterRoutes, WhereToJoinIsAHostWithOrWithoutAPort) {
  const std::vector<std::tuple<const char*, const char*, int>> good{{"head", "head", 8422},
                                                                    {"head.lab:9000", "head.lab", 9000},
                                                                    {"10.0.0.1:1", "10.0.0.1", 1},
                                                                    {"[fd00::7]:9000", "fd00::7", 9000},
                                                                    {"[fd00::7]", "fd00::7", 8422}};
  for (const auto& [at, host, port] : good) {
    EXPECT_EQ(join_at(at).first, 200U) << at;
    EXPECT_EQ(backend.joined.host, host) << at;
    EXPECT_EQ(backend.joined.port, port) << at;
  }
  for (const char* at :
       {"", ":8422", "head:", "head:0", "head:70000", "head:80x", "a b", "http://head", "[]:1"})
    EXPECT_EQ(join_at(at).first, 400U) << at;
}

TEST_F(ClusterRoutes, AnInvitationIsGoodForAnHourUnlessSaidOtherwise) {
  EXPECT_EQ(ask("POST", "/shoal/v1/cluster/invite", "{}").second["join_at"], "10.0.0.1:8422");
  EXPECT_EQ(backend.life, std::chrono::hours(1));
  EXPECT_EQ(ask("POST", "/shoal/v1/cluster/invite", R"({"for_s": 90})").first, 200U);
  EXPECT_EQ(backend.life, std::chrono::seconds(90));
  for (const char* body :
       {R"({"for_s": 0})", R"({"for_s": -1})", R"({"for_s": 1e99})", R"({"for_s": "1h"})", R"({"x": 1})"})
    EXPECT_EQ(ask("POST", "/shoal/v1/cluster/invite", body).first, 400U) << body;
}

TEST_F(ClusterRoutes, ErrorsKeepTheirSentence) {
  const auto [status, body] = ask("POST", "/shoal/v1/cluster/init", "{}");
  EXPECT_EQ(status, 409U);
  EXPECT_EQ(body["error"]["message"], "already");
  EXPECT_EQ(ask("POST", "/shoal/v1/cluster/init").first, 400U) << "a page of another site cannot send JSON";
  EXPECT_EQ(ask("POST", "/shoal/v1/cluster/revoke", "{}").first, 400U);
  EXPECT_EQ(ask("POST", "/shoal/v1/cluster/revoke", R"({"node": "gpu-1"})").second["members"][0]["name"],
            "gpu-1");
}

}  // namespace
}  // namespace shoal
