// What is left to libcurl: proxies, TLS.
#include "tests/unit/transport/origin/hub_fixture.h"

#include <string>

#include <gmock/gmock.h>

namespace shoal::testing_hub {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

using CurlPolicy = HubFixture;

TEST_F(CurlPolicy, AsksThroughTheProxyItIsGiven) {
  ScriptedServer proxy([this](const SeenRequest& request) {
    return request.target.starts_with(hub.url()) ? redirect_to_cdn() : file_reply(request, content);
  });
  options.proxy = proxy.url();
  start();
  expect_slice(0, 1000);
  EXPECT_TRUE(hub.seen().empty());
  EXPECT_TRUE(cdn.seen().empty());
  EXPECT_THAT(proxy.seen().at(0).target, StartsWith(hub.url() + "/org/name/resolve/"));
  EXPECT_THAT(proxy.seen().at(1).target, StartsWith(cdn.url() + "/bridge/"));
  EXPECT_EQ(proxy.seen().at(1).header("authorization"), "");
}

TEST_F(CurlPolicy, DoesNotTakePlainHttpForTls) {
  options.endpoint = "https://127.0.0.1:" + std::to_string(hub.port());
  options.max_metadata_attempts = 1;
  options.metadata_timeout = std::chrono::milliseconds(100);
  start();
  Waited<RepoInfo> waited;
  client->resolve(repo, "main", waited.callback());
  const auto result = waited.get();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::timeout);  // it waits for the end of the TLS greeting's "request"
  EXPECT_TRUE(hub.seen().empty());
}

TEST_F(CurlPolicy, SaysWhenItsRootsCannotBeRead) {
  options.endpoint = "https://127.0.0.1:" + std::to_string(hub.port());
  options.ca_file = "/nonexistent/roots.pem";
  start();
  Waited<RepoInfo> waited;
  client->resolve(repo, "main", waited.callback());
  const auto result = waited.get();
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().message, HasSubstr("SSL_CERT_FILE"));
}

}  // namespace
}  // namespace shoal::testing_hub
