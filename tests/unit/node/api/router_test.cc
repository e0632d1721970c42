#include "node/api/router.h"

#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

namespace shoal {
namespace {

struct Routed {
  HttpResponse response;
  std::string header(const std::string& name) const {
    for (const auto& [key, value] : response.headers) {
      if (key == name) return value;
    }
    return "";
  }
  std::string body() const { return std::get<std::string>(response.body); }
};

class RouterTest : public testing::Test {
 protected:
  RouterTest() {
    const auto echo = [](const char* name) {
      return [name](const HttpRequest&, const PathParams& params, const Responder& respond) {
        std::string text = name;
        for (const auto& [key, value] : params) text += " " + key + "=" + value;
        HttpResponse response;
        response.body = text;
        respond(std::move(response));
      };
    };
    router_.add("GET", "/a", echo("a"));
    router_.add("POST", "/a", echo("post"));
    router_.add("GET", "/a/{id}", echo("one"));
    router_.add("DELETE", "/repos/{type}/{repo...}", echo("rest"));
    router_.add("GET", "/broken", [](const HttpRequest&, const PathParams&, const Responder&) {
      throw std::runtime_error("out of order");
    });
  }

  Routed ask(const std::string& method, const std::string& raw_path) {
    HttpRequest request;
    request.method = method;
    request.raw_path = raw_path;
    request.path = raw_path;
    Routed out;
    router_.handle(request, [&](HttpResponse response) { out.response = std::move(response); });
    return out;
  }

  Router router_;
};

TEST_F(RouterTest, PathsFindTheirHandlers) {
  EXPECT_EQ(ask("GET", "/a").body(), "a");
  EXPECT_EQ(ask("POST", "/a").body(), "post");
  EXPECT_EQ(ask("GET", "/a/5").body(), "one id=5");
  EXPECT_EQ(ask("GET", "/a/5%2F6").body(), "one id=5/6");
  EXPECT_EQ(ask("DELETE", "/repos/model/org/name").body(), "rest repo=org/name type=model");
}

TEST_F(RouterTest, UnknownPathsAre404) {
  for (const char* path : {"/", "/b", "/a/", "/a/1/2", "/repos/model", "/aa"}) {
    EXPECT_EQ(ask(path == std::string("/repos/model") ? "DELETE" : "GET", path).response.status, 404U)
        << path;
  }
}

TEST_F(RouterTest, AWrongMethodIs405WithTheRightOnes) {
  const auto answer = ask("PUT", "/a");
  EXPECT_EQ(answer.response.status, 405U);
  EXPECT_EQ(answer.header("Allow"), "GET, HEAD, POST");
}

TEST_F(RouterTest, TheFallbackGetsWhatNoPatternMatchesAndMayDecline) {
  router_.set_fallback([](const HttpRequest& request, const Responder& respond) {
    if (request.path != "/org/name/resolve/main/x") return false;
    HttpResponse response;
    response.body = request.method;
    respond(std::move(response));
    return true;
  });
  EXPECT_EQ(ask("GET", "/org/name/resolve/main/x").body(), "GET");
  EXPECT_EQ(ask("BREW", "/org/name/resolve/main/x").body(), "BREW");
  EXPECT_EQ(ask("GET", "/other").response.status, 404U);
  EXPECT_EQ(ask("PUT", "/a").response.status, 405U) << "a known path is not the fallback's";
}

TEST_F(RouterTest, AHandlerThatThrowsIs500) {
  const auto answer = ask("GET", "/broken");
  EXPECT_EQ(answer.response.status, 500U);
  EXPECT_NE(answer.body().find("out of order"), std::string::npos);
}

}  // namespace
}  // namespace shoal
