// Bodies out of files: sent whole or cut, never wrong.
#include "node/api/http_server.h"
#include "raw_client.h"

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace shoal {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

class TempFile final : public BlobFile {
 public:
  explicit TempFile(std::string_view text) {
    std::string name = testing::TempDir() + "/shoal-file-body-XXXXXX";
    fd_ = mkstemp(name.data());
    EXPECT_EQ(write(fd_, text.data(), text.size()), static_cast<ssize_t>(text.size()));
    unlink(name.c_str());
  }
  ~TempFile() override { close(fd_); }
  TempFile(const TempFile&) = delete;
  TempFile& operator=(const TempFile&) = delete;
  [[nodiscard]] const BlobId& id() const override { return id_; }
  Result<void> read_at(std::uint64_t, std::span<std::byte>) override { return fail(Code::io, "not used"); }
  Result<void> write_at(std::uint64_t, std::span<const std::span<const std::byte>>) override {
    return fail(Code::io, "not used");
  }
  [[nodiscard]] int descriptor() const override { return fd_; }

 private:
  BlobId id_;
  int fd_ = -1;
};

// Regions from a list; after the last one an error.
class ListedRegions final : public FileStream {
 public:
  ListedRegions(std::uint64_t length, std::vector<FileRegion> regions)
      : length_(length), regions_(std::move(regions)) {}
  [[nodiscard]] std::uint64_t length() const override { return length_; }
  void next(Ready ready) override {
    if (at_ == regions_.size()) return ready(fail(Code::corrupt, "the hash does not match"));
    ready(regions_[at_++]);
  }

 private:
  const std::uint64_t length_;
  const std::vector<FileRegion> regions_;
  std::size_t at_ = 0;
};

// Never has anything, and tells when it is dropped.
class SilentFile final : public FileStream {
 public:
  explicit SilentFile(std::atomic<bool>& dropped) : dropped_(dropped) {}
  ~SilentFile() override { dropped_ = true; }
  SilentFile(const SilentFile&) = delete;
  SilentFile& operator=(const SilentFile&) = delete;
  [[nodiscard]] std::uint64_t length() const override { return 10; }
  void next(Ready ready) override { ready_ = std::move(ready); }

 private:
  std::atomic<bool>& dropped_;
  Ready ready_;
};

class FileBodyTest : public testing::Test {
 protected:
  void start(std::function<HttpResponse(const HttpRequest&)> handler) {
    HttpServerOptions options;
    options.listen = {"127.0.0.1", 0};
    auto server = HttpServer::start(
        std::move(options), [handler = std::move(handler)](const HttpRequest& request, Responder respond) {
          respond(handler(request));
        });
    ASSERT_TRUE(server);
    server_ = std::move(*server);
  }
  static HttpResponse answer(std::uint64_t length, std::vector<FileRegion> regions) {
    HttpResponse response;
    response.body = std::make_shared<ListedRegions>(length, std::move(regions));
    return response;
  }
  std::unique_ptr<HttpServer> server_;
};

const std::string kGet = "GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n";

TEST_F(FileBodyTest, RegionsOfSeveralFilesFollowEachOtherAndTheConnectionStays) {
  const auto a = std::make_shared<TempFile>("0123456789");
  const auto b = std::make_shared<TempFile>("abcdefghij");
  start([=](const HttpRequest&) { return answer(7, {{a, 2, 3}, {b, 0, 4}}); });
  RawClient client(server_->endpoint());
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(client.send(kGet));
    const std::string text = client.read_until("234abcd");
    EXPECT_THAT(text, HasSubstr("Content-Length: 7\r\n"));
    EXPECT_THAT(text, EndsWith("\r\n\r\n234abcd"));
    client.forget();
  }
}

TEST_F(FileBodyTest, ALargeFileArrivesWhole) {
  std::string text;
  for (int i = 0; text.size() < 24'000'000; ++i) text += std::to_string(i) + "\n";
  const auto file = std::make_shared<TempFile>(text);
  start([=, size = text.size()](const HttpRequest&) { return answer(size, {{file, 0, size}}); });
  RawClient client(server_->endpoint());
  ASSERT_TRUE(client.send("GET /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
  const std::string got = client.read_all();
  ASSERT_GE(got.size(), text.size());
  EXPECT_TRUE(got.substr(got.size() - text.size()) == text);
}

TEST_F(FileBodyTest, AHeadSaysTheLengthAndSendsNothing) {
  start([](const HttpRequest& request) {
    EXPECT_TRUE(request.head);
    HttpResponse response;
    response.head_length = 123'456'789'012;
    return response;
  });
  RawClient client(server_->endpoint());
  ASSERT_TRUE(client.send("HEAD /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
  const std::string text = client.read_all();
  EXPECT_THAT(text, HasSubstr("Content-Length: 123456789012\r\n"));
  EXPECT_THAT(text, EndsWith("\r\n\r\n"));
}

TEST_F(FileBodyTest, AnErrorEndsTheConnectionShortWithoutAReset) {
  const auto file = std::make_shared<TempFile>("0123456789");
  start([=](const HttpRequest&) { return answer(10, {{file, 0, 4}}); });
  RawClient client(server_->endpoint());
  ASSERT_TRUE(client.send(kGet));
  EXPECT_THAT(client.read_all(), EndsWith("\r\n\r\n0123"));
  EXPECT_TRUE(client.closed());
}

TEST_F(FileBodyTest, AFileThatIsShorterThanItSaysIsCutNotPadded) {
  const auto file = std::make_shared<TempFile>("0123456789");
  start([=](const HttpRequest&) { return answer(100, {{file, 0, 100}}); });
  RawClient client(server_->endpoint());
  ASSERT_TRUE(client.send(kGet));
  EXPECT_THAT(client.read_all(), EndsWith("\r\n\r\n0123456789"));
  EXPECT_TRUE(client.closed());
}

TEST_F(FileBodyTest, MoreThanWasPromisedIsNotSent) {
  const auto file = std::make_shared<TempFile>("0123456789");
  start([=](const HttpRequest&) { return answer(5, {{file, 0, 10}}); });
  RawClient client(server_->endpoint());
  ASSERT_TRUE(client.send(kGet));
  EXPECT_THAT(client.read_all(), EndsWith("\r\n\r\n"));
}

TEST_F(FileBodyTest, AClientThatLeavesWhileItWaitsIsNoticed) {
  std::atomic<bool> dropped{false};
  start([&](const HttpRequest&) {
    HttpResponse response;
    response.body = std::make_shared<SilentFile>(dropped);
    return response;
  });
  {
    RawClient client(server_->endpoint());
    ASSERT_TRUE(client.send(kGet));
    client.read_until("\r\n\r\n");
    EXPECT_FALSE(dropped);
  }
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while (!dropped && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_TRUE(dropped);
}

TEST_F(FileBodyTest, TheServerEndsWhileAClientDoesNotRead) {
  const std::string text(32'000'000, 'x');
  const auto file = std::make_shared<TempFile>(text);
  start([=](const HttpRequest&) { return answer(32'000'000, {{file, 0, 32'000'000}}); });
  RawClient client(server_->endpoint());
  ASSERT_TRUE(client.send(kGet));
  client.read_until("\r\n\r\n");
  server_.reset();
}

}  // namespace
}  // namespace shoal
