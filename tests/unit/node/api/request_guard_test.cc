#include "node/api/request_guard.h"

#include <map>
#include <string>

#include <gtest/gtest.h>

namespace shoal {
namespace {

unsigned refused(const GuardRules& rules, std::map<std::string, std::string> headers,
                 const std::string& local = "127.0.0.1", const std::string& path = "/shoal/v1/pulls",
                 const std::string& method = "GET") {
  HttpRequest request;
  request.method = method;
  request.path = path;
  request.headers = std::move(headers);
  const auto refusal = refuse_request(rules, request, local);
  return refusal ? refusal->status : 0;
}

TEST(RequestGuard, LoopbackAddressesAreKnown) {
  for (const char* text : {"127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"}) {
    EXPECT_TRUE(is_loopback_address(text)) << text;
  }
  for (const char* text :
       {"128.0.0.1", "10.0.0.1", "localhost", "127.1", "::2", "127.0.0.1.evil.example", ""}) {
    EXPECT_FALSE(is_loopback_address(text)) << text;
  }
}

TEST(RequestGuard, HostsAreReadWithoutPort) {
  EXPECT_EQ(host_of("LocalHost:8420"), "localhost");
  EXPECT_EQ(host_of("[::1]:8420"), "::1");
  EXPECT_EQ(host_of("gpu7.lab."), "gpu7.lab");
  for (const char* text : {"", ":80", "a:b", "a:123456", "[::1", "[::1]x", "::1"}) {
    EXPECT_FALSE(host_of(text).has_value()) << text;
  }
}

TEST(RequestGuard, OnlyNamesOfThisNodeAreServed) {
  const GuardRules rules{{"models.lab"}, ""};
  for (const char* host :
       {"localhost", "127.0.0.1:8420", "127.5.5.5", "[::1]:8420", "models.lab:8420", "MODELS.lab"}) {
    EXPECT_EQ(refused(rules, {{"host", host}}), 0U) << host;
  }
  EXPECT_EQ(refused(rules, {{"host", "10.0.0.7:8420"}}, "10.0.0.7"), 0U);
  for (const char* host :
       {"evil.example", "10.0.0.7", "localhost.evil.example", "0.0.0.0", "models.lab.evil"}) {
    EXPECT_EQ(refused(rules, {{"host", host}}), 403U) << host;
  }
  EXPECT_EQ(refused(rules, {}), 400U);
}

TEST(RequestGuard, OtherPagesAreRefused) {
  const GuardRules rules;
  EXPECT_EQ(refused(rules, {{"host", "localhost:8420"}, {"origin", "http://localhost:8420"}}), 0U);
  for (const char* origin : {"http://evil.example", "null", "http://localhost:3000", "http://localhost"}) {
    EXPECT_EQ(refused(rules, {{"host", "localhost:8420"}, {"origin", origin}}), 403U) << origin;
  }
  EXPECT_EQ(refused(rules, {{"host", "localhost"}, {"sec-fetch-site", "none"}}), 0U);
  EXPECT_EQ(refused(rules, {{"host", "localhost"}, {"sec-fetch-site", "same-origin"}}), 0U);
  EXPECT_EQ(refused(rules, {{"host", "localhost"}, {"sec-fetch-site", "cross-site"}}), 403U);
  EXPECT_EQ(refused(rules, {{"host", "localhost"}, {"sec-fetch-site", "same-site"}}), 403U);
}

TEST(RequestGuard, ALinkOnAnotherPageMayLeadHere) {
  const std::map<std::string, std::string> link{{"host", "localhost"},
                                                {"sec-fetch-site", "cross-site"},
                                                {"sec-fetch-mode", "navigate"},
                                                {"sec-fetch-dest", "document"}};
  EXPECT_EQ(refused({}, link, "127.0.0.1", "/"), 0U);
  EXPECT_EQ(refused({}, link, "127.0.0.1", "/", "POST"), 403U);
}

TEST(RequestGuard, ATokenIsWantedFromEverybodyButAProbe) {
  const GuardRules rules{{}, "s3cret"};
  EXPECT_EQ(refused(rules, {{"host", "localhost"}}), 401U);
  for (const char* given : {"Bearer s3cret2", "Bearer s3cre", "Bearer ", "Basic s3cret", "s3cret"}) {
    EXPECT_EQ(refused(rules, {{"host", "localhost"}, {"authorization", given}}), 401U) << given;
  }
  EXPECT_EQ(refused(rules, {{"host", "localhost"}, {"authorization", "Bearer s3cret"}}), 0U);
  EXPECT_EQ(refused(rules, {{"host", "localhost"}}, "127.0.0.1", "/healthz"), 0U);
}

TEST(RequestGuard, ThePageLoadsWithoutATokenAndAsksForItItself) {
  const GuardRules rules{{}, "s3cret"};
  EXPECT_EQ(refused(rules, {{"host", "localhost"}}, "127.0.0.1", "/"), 0U);
  EXPECT_EQ(refused(rules, {{"host", "localhost"}}, "127.0.0.1", "/page/main.js"), 0U);
  // Nothing else below, such as files of a repo called "page".
  EXPECT_EQ(refused(rules, {{"host", "localhost"}}, "127.0.0.1", "/page/resolve/main/config.json"), 401U);
}

}  // namespace
}  // namespace shoal
