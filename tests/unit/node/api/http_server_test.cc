#include "node/api/http_server.h"

#include "raw_client.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace shoal {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
using testing::StartsWith;

// A body from a list of chunks; a chunk of "!" is an error.
class ListStream : public BodyStream {
 public:
  ListStream(std::vector<std::string> chunks, std::optional<std::uint64_t> length)
      : chunks_(std::move(chunks)), length_(length) {}
  std::optional<std::uint64_t> length() const override { return length_; }
  void next(Ready ready) override {
    if (at_ >= chunks_.size()) return ready(std::string());
    std::string chunk = chunks_[at_++];
    if (chunk == "!") return ready(fail(Code::io, "the disk is gone"));
    ready(std::move(chunk));
  }

 private:
  std::vector<std::string> chunks_;
  std::optional<std::uint64_t> length_;
  std::size_t at_ = 0;
};

// A body that never says anything, and tells when it was dropped.
class SilentStream : public BodyStream {
 public:
  explicit SilentStream(std::atomic<bool>& dropped) : dropped_(dropped) {}
  ~SilentStream() override { dropped_ = true; }
  void next(Ready ready) override { ready_ = std::move(ready); }
  std::string keepalive() const override { return ": alive\n\n"; }

 private:
  std::atomic<bool>& dropped_;
  Ready ready_;
};

class HttpServerTest : public testing::Test {
 protected:
  void start(HttpServerOptions options = {}) {
    options.listen = {"127.0.0.1", 0};
    auto server = HttpServer::start(
        std::move(options),
        [this](const HttpRequest& request, Responder respond) { handle(request, std::move(respond)); });
    ASSERT_TRUE(server) << server.error().message;
    server_ = std::move(*server);
  }

  void handle(const HttpRequest& request, Responder respond) {
    HttpResponse response;
    if (request.path == "/echo") {
      response.body = request.method + " " + request.body;
    } else if (request.path == "/chunks") {
      response.body = std::make_shared<ListStream>(std::vector<std::string>{"ab", "cde"}, std::nullopt);
    } else if (request.path == "/sized") {
      response.body = std::make_shared<ListStream>(std::vector<std::string>{"ab", "cde"}, 5);
    } else if (request.path == "/short") {
      response.body = std::make_shared<ListStream>(std::vector<std::string>{"ab"}, 5);
    } else if (request.path == "/cut") {
      response.body = std::make_shared<ListStream>(std::vector<std::string>{"ab", "!"}, std::nullopt);
    } else if (request.path == "/silent") {
      response.body = std::make_shared<SilentStream>(dropped_);
    } else if (request.path == "/big") {
      response.body = std::string(8 * 1024 * 1024, 'x');
    } else if (request.path == "/header") {
      response.with("X-Bad", "a\r\nX-Injected: b").with("X-Good", "c");
      response.body = std::string("ok");
    } else if (request.path == "/drop") {
      return;
    } else if (request.path == "/keep") {
      const std::scoped_lock lock(mutex_);
      kept_.push_back(std::move(respond));
      arrived_.notify_all();
      return;
    } else if (request.path == "/twice") {
      response.body = std::string("first");
      respond(response);
      response.body = std::string("second");
    }
    respond(std::move(response));
  }

  RawClient client() const { return RawClient(server_->endpoint()); }
  std::string ask(const std::string& request) const {
    RawClient raw(server_->endpoint());
    raw.send(request);
    return raw.read_all();
  }
  static std::string get(const std::string& path, const std::string& more = "Connection: close\r\n") {
    return "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n" + more + "\r\n";
  }
  template <typename Predicate>
  static bool eventually(Predicate predicate) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (!predicate()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::yield();
    }
    return true;
  }

  std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<Responder> kept_;
  std::atomic<bool> dropped_{false};
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, AnswersARequestWithBody) {
  start();
  const auto answer =
      ask("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("Server: shoald\r\n"));
  EXPECT_THAT(answer, HasSubstr("X-Content-Type-Options: nosniff\r\n"));
  EXPECT_THAT(answer, HasSubstr("\r\n\r\nPOST hello"));
}

TEST_F(HttpServerTest, KeepsTheConnectionAndTakesRequestsThatWereSentAhead) {
  start();
  auto raw = client();
  raw.send(get("/echo", "") + get("/sized", "") + get("/echo"));
  const auto all = raw.read_all();
  EXPECT_TRUE(raw.closed());
  EXPECT_THAT(all, HasSubstr("GET HTTP/1.1 200 OK"));
  EXPECT_THAT(all, HasSubstr("abcdeHTTP/1.1 200 OK"));
}

TEST_F(HttpServerTest, HeadSendsTheHeaderOnly) {
  start();
  const auto answer = ask("HEAD /sized HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(answer, HasSubstr("Content-Length: 5\r\n"));
  EXPECT_TRUE(answer.ends_with("\r\n\r\n"));
}

TEST_F(HttpServerTest, StreamsBodiesOfUnknownAndKnownLength) {
  start();
  EXPECT_THAT(ask(get("/chunks")), HasSubstr("\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n"));
  EXPECT_THAT(ask(get("/sized")), HasSubstr("Content-Length: 5\r\n"));
  EXPECT_TRUE(ask(get("/sized")).ends_with("\r\n\r\nabcde"));
}

TEST_F(HttpServerTest, ABrokenStreamCutsTheConnectionInsteadOfLookingWhole) {
  start();
  const auto cut = ask(get("/cut", ""));
  EXPECT_TRUE(cut.ends_with("2\r\nab\r\n")) << cut;
  const auto shorter = ask(get("/short", ""));
  EXPECT_TRUE(shorter.ends_with("\r\n\r\nab")) << shorter;
}

TEST_F(HttpServerTest, AClientThatLeavesEndsItsStream) {
  start();
  {
    auto raw = client();
    raw.send(get("/silent", ""));
    EXPECT_THAT(raw.read_until("\r\n\r\n"), HasSubstr("Transfer-Encoding: chunked"));
    EXPECT_FALSE(dropped_);
  }
  EXPECT_TRUE(eventually([&] { return dropped_.load() && server_->connections() == 0; }));
}

TEST_F(HttpServerTest, AWaitingStreamIsKeptAlive) {
  HttpServerOptions options;
  options.stream_keepalive = milliseconds(10);
  start(options);
  auto raw = client();
  raw.send(get("/silent", ""));
  EXPECT_THAT(raw.read_until("alive\n\n\r\n9\r\n: alive\n\n\r\n"),
              HasSubstr("9\r\n: alive\n\n\r\n9\r\n: alive"));
}

TEST_F(HttpServerTest, HeadersOfAHandlerCannotInjectOthers) {
  start();
  const auto answer = ask(get("/header"));
  EXPECT_THAT(answer, HasSubstr("X-Good: c"));
  EXPECT_THAT(answer, testing::Not(HasSubstr("X-Injected")));
}

TEST_F(HttpServerTest, AHugeHeaderIsRefused) {
  start();
  const auto answer = ask(get("/echo", "X-Big: " + std::string(20'000, 'a') + "\r\n"));
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 431 "));
  EXPECT_THAT(answer, HasSubstr("Connection: close"));
}

TEST_F(HttpServerTest, AHugeBodyIsRefusedWhetherAnnouncedOrNot) {
  HttpServerOptions options;
  options.body_bytes_max = 1000;
  start(options);
  EXPECT_THAT(ask("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n"),
              StartsWith("HTTP/1.1 413 "));
  const std::string sent =
      "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500000\r\n\r\n" + std::string(500'000, 'a');
  EXPECT_THAT(ask(sent), StartsWith("HTTP/1.1 413 "));
  std::string chunked = "POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 20; ++i) chunked += "64\r\n" + std::string(100, 'a') + "\r\n";
  EXPECT_THAT(ask(chunked), StartsWith("HTTP/1.1 413 "));
}

TEST_F(HttpServerTest, WhatIsNotHttpIsAnswered400) {
  start();
  EXPECT_THAT(ask("\x16\x03\x01 hello\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(ask("GET http://x/ HTTP/1.1\r\nHost: localhost\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(ask("GET /a%zz HTTP/1.1\r\nHost: localhost\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(ask("GET / HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
}

TEST_F(HttpServerTest, ForeignHostAndOriginAreRefusedBeforeTheBodyIsRead) {
  start();
  EXPECT_THAT(ask("GET /echo HTTP/1.1\r\nHost: evil.example\r\n\r\n"), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(ask("POST /echo HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\nContent-Length: "
                  "5\r\nExpect: 100-continue\r\n\r\n"),
              StartsWith("HTTP/1.1 403 "));
}

TEST_F(HttpServerTest, ExpectContinueIsAnswered) {
  start();
  auto raw = client();
  raw.send(
      "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: "
      "close\r\n\r\n");
  EXPECT_THAT(raw.read_until("\r\n\r\n"), StartsWith("HTTP/1.1 100 Continue\r\n\r\n"));
  raw.send("hi");
  EXPECT_THAT(raw.read_all(), HasSubstr("POST hi"));
}

TEST_F(HttpServerTest, SlowClientsAreCutOff) {
  HttpServerOptions options;
  options.header_timeout = milliseconds(50);
  options.body_timeout = milliseconds(50);
  options.idle_timeout = milliseconds(50);
  start(options);
  auto silent = client();
  EXPECT_EQ(silent.read_all(), "");
  EXPECT_TRUE(silent.closed());

  auto half_header = client();
  half_header.send("GET /echo HTTP/1.1\r\nHost: lo");
  half_header.read_all();
  EXPECT_TRUE(half_header.closed());

  auto half_body = client();
  half_body.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc");
  half_body.read_all();
  EXPECT_TRUE(half_body.closed());

  auto idle = client();
  idle.send(get("/echo", ""));
  EXPECT_THAT(idle.read_all(), HasSubstr("GET "));
  EXPECT_TRUE(idle.closed());
}

TEST_F(HttpServerTest, AClientThatDoesNotReadIsCutOffAndOthersAreServed) {
  HttpServerOptions options;
  options.write_timeout = milliseconds(100);
  start(options);
  auto stuck = client();
  stuck.send(get("/big", ""));
  EXPECT_THAT(ask(get("/echo")), HasSubstr("200 OK"));
  EXPECT_TRUE(eventually([&] { return server_->connections() == 0; }));
}

TEST_F(HttpServerTest, TooManyConnectionsAreTold) {
  HttpServerOptions options;
  options.connections_max = 2;
  start(options);
  auto a = client();
  auto b = client();
  ASSERT_TRUE(eventually([&] { return server_->connections() == 2; }));
  EXPECT_THAT(ask(get("/echo")), StartsWith("HTTP/1.1 503 "));
}

TEST_F(HttpServerTest, ADroppedOrLateAnswerDoesNotHang) {
  HttpServerOptions options;
  options.handler_timeout = milliseconds(50);
  start(options);
  EXPECT_THAT(ask(get("/drop")), StartsWith("HTTP/1.1 500 "));
  EXPECT_THAT(ask(get("/keep")), StartsWith("HTTP/1.1 504 "));
  const auto twice = ask(get("/twice"));
  EXPECT_THAT(twice, HasSubstr("first"));
  EXPECT_THAT(twice, testing::Not(HasSubstr("second")));
}

TEST_F(HttpServerTest, AnswersMayComeFromAnyThreadAndAfterTheServerIsGone) {
  start();
  auto raw = client();
  raw.send(get("/keep", ""));
  auto other = client();
  other.send(get("/keep", ""));
  std::unique_lock lock(mutex_);
  ASSERT_TRUE(arrived_.wait_for(lock, std::chrono::seconds(5), [&] { return kept_.size() == 2; }));
  HttpResponse response;
  response.body = std::string("late");
  std::thread thread([&] { kept_[0](response); });
  thread.join();
  EXPECT_THAT(raw.read_until("late"), HasSubstr("late"));
  server_.reset();
  EXPECT_EQ(other.read_all(), "");
  kept_[1](response);
  kept_.clear();
}

// A request whose last byte was read in the moment the server was told to end began to wait for its answer,
// and the server waited with it: for a minute, once in some fifty times.
TEST_F(HttpServerTest, EndsAtOnceWhileRequestsArrive) {
  const auto began = std::chrono::steady_clock::now();
  for (int round = 0; round < 200; ++round) {
    start();
    RawClient one = client();
    RawClient other = client();
    one.send(get("/keep"));
    other.send(get("/keep"));
    server_.reset();
    kept_.clear();
  }
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(15));
}

TEST_F(HttpServerTest, WideListeningNeedsAToken) {
  HttpServerOptions options;
  options.listen = {"0.0.0.0", 0};
  const auto ignore = [](const HttpRequest&, const Responder&) {};
  auto refused = HttpServer::start(options, ignore);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::invalid);
  options.bearer_token = "t";
  EXPECT_TRUE(HttpServer::start(options, ignore));
}

TEST_F(HttpServerTest, ATakenPortIsAnError) {
  start();
  HttpServerOptions options;
  options.listen = server_->endpoint();
  auto second = HttpServer::start(options, [](const HttpRequest&, const Responder&) {});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::unavailable);
  EXPECT_THAT(second.error().message, HasSubstr(server_->endpoint().text()));
}

}  // namespace
}  // namespace shoal
