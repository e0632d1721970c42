// What is left to libcurl: proxies, TLS.
#include "tests/unit/transport/origin/hub_fixture.h"
#include "tests/unit/transport/origin/tls_server.h"

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

std::string info_answer(const std::string& commit) {
  return reply(200, {{"Connection", "close"}}, "{\"sha\":\"" + commit + "\"}").bytes;
}

TEST_F(CurlPolicy, TakesACertificateThatItsRootsVouchFor) {
  const TlsServer tls(info_answer(kCommit));
  options.endpoint = tls.url();
  options.ca_file = tls.certificate_path();
  start();
  Waited<RepoInfo> waited;
  client->resolve(repo, "main", waited.callback());
  const auto result = waited.get();
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->commit, kCommit);
}

TEST_F(CurlPolicy, SaysNothingToACertificateItDoesNotKnow) {
  const TlsServer tls(info_answer(kCommit));
  options.endpoint = tls.url();
  start();
  Waited<RepoInfo> waited;
  client->resolve(repo, "main", waited.callback());
  const auto result = waited.get();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::unavailable);
  EXPECT_THAT(result.error().message, HasSubstr("certificate was not accepted"));
  EXPECT_EQ(tls.requests(), 0);
}

TEST_F(CurlPolicy, DoesNotFollowARedirectFromTlsToPlainHttp) {
  const std::string plain = cdn.url() + "/bridge";
  const TlsServer tls(reply(302, {{"Connection", "close"}, {"Location", plain}}).bytes);
  options.endpoint = tls.url();
  options.ca_file = tls.certificate_path();
  start();
  const Error error = expect_failure(0, 1000);
  EXPECT_EQ(error.code, Code::invalid);
  EXPECT_THAT(error.message, HasSubstr("redirects to the unencrypted"));
  EXPECT_TRUE(cdn.seen().empty());
}

}  // namespace
}  // namespace shoal::testing_hub
