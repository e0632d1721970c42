#include "node/api/event_feed.h"

#include "node/core/result.h"

#include <utility>

namespace shoal {

class EventStream : public BodyStream {
 public:
  explicit EventStream(std::size_t queue_max) : queue_max_(queue_max) {}

  void push(const std::string& frame) {
    Ready ready;
    {
      const std::scoped_lock lock(mutex_);
      if (overflowed_) return;
      if (++queued_ > queue_max_) {
        overflowed_ = true;
        pending_.clear();
      } else {
        pending_ += frame;
      }
      ready = std::exchange(waiting_, nullptr);
    }
    if (ready) next(std::move(ready));
  }

  void next(Ready ready) override {
    std::string bytes;
    {
      const std::scoped_lock lock(mutex_);
      if (pending_.empty() && !overflowed_) {
        waiting_ = std::move(ready);
        return;
      }
      if (!overflowed_) bytes = std::exchange(pending_, {});
      queued_ = 0;
    }
    if (bytes.empty()) return ready(fail(Code::unavailable, "the client reads too slowly"));
    ready(std::move(bytes));
  }

  [[nodiscard]] std::string keepalive() const override { return ": still here\n\n"; }

 private:
  const std::size_t queue_max_;
  std::mutex mutex_;
  std::string pending_;     // guarded by mutex_, like all below
  std::size_t queued_ = 0;  // frames in pending_
  bool overflowed_ = false;
  Ready waiting_;
};

void EventFeed::forget_the_gone() {
  std::erase_if(streams_, [](const auto& stream) { return stream.expired(); });
}

void EventFeed::publish(const std::string& frame) {
  std::vector<std::shared_ptr<EventStream>> streams;
  {
    const std::scoped_lock lock(mutex_);
    forget_the_gone();
    for (const auto& weak : streams_) {
      if (auto stream = weak.lock()) streams.push_back(std::move(stream));
    }
  }
  for (const auto& stream : streams) stream->push(frame);
}

bool EventFeed::has_clients() {
  const std::scoped_lock lock(mutex_);
  forget_the_gone();
  return !streams_.empty();
}

std::shared_ptr<BodyStream> EventFeed::subscribe(const std::string& first) {
  const std::scoped_lock lock(mutex_);
  forget_the_gone();
  if (streams_.size() >= limits_.clients_max) return nullptr;
  auto stream = std::make_shared<EventStream>(limits_.queue_max);
  // Says at once that the subscription stands: whatever happens from here on arrives.
  stream->push(": listening\n\n" + first);
  streams_.push_back(stream);
  return stream;
}

}  // namespace shoal
