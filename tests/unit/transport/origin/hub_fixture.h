// A client between a scripted Hub and a scripted CDN, with short deadlines.
//
// By default the Hub redirects HEAD and GET of `/resolve/` to the CDN as the public one does, and the CDN
// serves `content` correctly. A test replaces one of the handlers before start().
#pragma once

#include "tests/unit/transport/origin/scripted_server.h"
#include "transport/origin/hub_client.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace shoal::testing_hub {

inline constexpr std::chrono::seconds kPatience{5};

// Keeps the bytes of one slice; can refuse after some.
class MemorySink final : public SliceSink {
 public:
  explicit MemorySink(std::size_t refuse_after = SIZE_MAX) : refuse_after_(refuse_after) {}
  Result<void> write(std::span<const std::byte> bytes) override {
    const std::lock_guard lock(mutex_);
    if (text_.size() + bytes.size() > refuse_after_) return fail(Code::no_space, "the disk is full", 28);
    text_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return {};
  }
  [[nodiscard]] std::string text() const {
    const std::lock_guard lock(mutex_);
    return text_;
  }

 private:
  mutable std::mutex mutex_;
  std::string text_;
  const std::size_t refuse_after_;
};

// The result of one asynchronous call.
template <typename T>
class Waited {
 public:
  [[nodiscard]] HubClient::Done<T> callback() {
    return [state = state_](Result<T> result) {
      const std::lock_guard lock(state->mutex);
      state->result = std::move(result);
      ++state->calls;
      state->changed.notify_all();
    };
  }
  // The test ends here if nothing comes.
  Result<T> get() {
    std::unique_lock lock(state_->mutex);
    if (!state_->changed.wait_for(lock, kPatience, [&] { return state_->result.has_value(); })) {
      ADD_FAILURE() << "no answer in time";
      return fail(Code::timeout, "the test waited in vain");
    }
    return *state_->result;
  }

 private:
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    std::optional<Result<T>> result;
    int calls = 0;
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

class HubFixture : public testing::Test {
 protected:
  static constexpr const char* kCommit = "0123456789012345678901234567890123456789";
  static constexpr const char* kSha = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
  static constexpr const char* kOtherSha = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
  static constexpr const char* kToken = "hf_secret";

  HubFixture() {
    content.resize(300'000);
    for (std::size_t i = 0; i < content.size(); ++i)
      content[i] = static_cast<char>('a' + (i * i / 7 + i) % 26);
    options.user_agent = "shoal/test";
    options.proxy = "";
    options.token = kToken;
    options.stall_time = std::chrono::milliseconds(200);
    options.stall_bytes = 1000;
    options.connect_timeout = std::chrono::milliseconds(2000);
    options.metadata_timeout = std::chrono::milliseconds(2000);
    options.backoff = {std::chrono::milliseconds(4), std::chrono::milliseconds(20)};
    options.max_attempts = 4;
    options.max_metadata_attempts = 3;
    on_hub = [this](const SeenRequest&) { return redirect_to_cdn(); };
    on_cdn = [this](const SeenRequest& request) { return file_reply(request, content); };
  }
  ~HubFixture() override { client.reset(); }

  void start() {
    Origin::Callbacks callbacks;
    callbacks.on_progress = [this](FetchId id, std::uint64_t bytes) {
      const std::lock_guard lock(mutex_);
      progress_[id] += bytes;
      ++reports_[id];
    };
    callbacks.on_done = [this](FetchId id, Result<void> result) {
      const std::lock_guard lock(mutex_);
      done_.emplace(id, std::move(result));
      changed_.notify_all();
    };
    HubClient::Notices notices;
    notices.on_limited = [this](Time, std::string reason) {
      const std::lock_guard lock(mutex_);
      limited_.push_back(std::move(reason));
    };
    notices.on_retry = [this](FetchId, Error why, Duration) {
      const std::lock_guard lock(mutex_);
      retries_.push_back(std::move(why));
    };
    if (options.endpoint == HubClient::Options{}.endpoint) options.endpoint = hub.url();
    auto created = HubClient::create(options, std::move(callbacks), std::move(notices));
    ASSERT_TRUE(created) << created.error().message;
    client = std::move(*created);
  }

  [[nodiscard]] OriginFile file() const {
    return {repo, kCommit, "sub/model 1.safetensors", *BlobId::from_etag(kSha, content.size())};
  }
  FetchId fetch(std::uint64_t offset, std::uint64_t length, std::shared_ptr<SliceSink> to) {
    const FetchId id{next_id_++};
    client->fetch({id, file(), offset, length, std::move(to)});
    return id;
  }
  Result<void> wait(FetchId id) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, kPatience, [&] { return done_.contains(id); })) {
      ADD_FAILURE() << "the fetch did not end in time";
      return fail(Code::timeout, "the test waited in vain");
    }
    return done_.at(id);
  }
  // A slice of the given bytes that arrives whole.
  void expect_slice(std::uint64_t offset, std::uint64_t length) {
    const auto sink = std::make_shared<MemorySink>();
    const auto result = wait(fetch(offset, length, sink));
    EXPECT_TRUE(result) << result.error().message;
    EXPECT_TRUE(sink->text() == content.substr(offset, length));
  }
  // A slice that fails, with nothing but right bytes in the sink.
  Error expect_failure(std::uint64_t offset, std::uint64_t length, std::string* got = nullptr) {
    const auto sink = std::make_shared<MemorySink>();
    const auto result = wait(fetch(offset, length, sink));
    EXPECT_FALSE(result);
    EXPECT_TRUE(content.substr(offset).starts_with(sink->text()));
    if (got) *got = sink->text();
    if (result) return {};
    EXPECT_EQ(result.error().message.find("Signature"), std::string::npos) << result.error().message;
    EXPECT_EQ(result.error().message.find(kToken), std::string::npos) << result.error().message;
    return result.error();
  }

  [[nodiscard]] std::string signed_url() const {
    return cdn.url() + "/bridge/file?Expires=4102444800&Signature=geheim" + std::to_string(++signatures);
  }
  [[nodiscard]] Headers linked() const {
    return {{"X-Repo-Commit", kCommit},
            {"X-Linked-Size", std::to_string(content.size())},
            {"X-Linked-ETag", std::string("\"") + kSha + "\""},
            {"Accept-Ranges", "bytes"}};
  }
  [[nodiscard]] ScriptedReply redirect_to_cdn() const {
    Headers headers = linked();
    headers.emplace_back("Location", signed_url());
    return reply(302, headers, "Found. Redirecting to somewhere");
  }

  std::uint64_t progress(FetchId id) {
    const std::lock_guard lock(mutex_);
    return progress_[id];
  }
  int reports(FetchId id) {
    const std::lock_guard lock(mutex_);
    return reports_[id];
  }
  std::vector<std::string> limited() {
    const std::lock_guard lock(mutex_);
    return limited_;
  }
  std::vector<Error> retries() {
    const std::lock_guard lock(mutex_);
    return retries_;
  }

  const RepoRef repo{RepoType::model, "org/name"};
  std::string content;
  mutable std::atomic<int> signatures = 0;
  HubClient::Options options;
  ScriptedServer::Handler on_hub;
  ScriptedServer::Handler on_cdn;
  ScriptedServer hub{[this](const SeenRequest& request) { return on_hub(request); }};
  ScriptedServer cdn{[this](const SeenRequest& request) { return on_cdn(request); }};
  std::unique_ptr<HubClient> client;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<FetchId, Result<void>> done_;
  std::map<FetchId, std::uint64_t> progress_;
  std::map<FetchId, int> reports_;
  std::vector<std::string> limited_;
  std::vector<Error> retries_;
  std::uint64_t next_id_ = 1;
};

}  // namespace shoal::testing_hub
