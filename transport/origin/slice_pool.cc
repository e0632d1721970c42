#include "transport/origin/slice_pool.h"

#include "transport/origin/slice_fetch.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace shoal {

struct SlicePool::Entry {
  std::unique_ptr<SliceFetch> fetch;
  std::function<void()> on_end;
};

SlicePool::SlicePool(OriginContext& context, Resolver& resolver, Origin::Callbacks callbacks)
    : context_(context),
      resolver_(resolver),
      callbacks_(std::move(callbacks)),
      max_connections_(std::max(context.options.max_connections, 1)) {
  bucket_.set_rate(context.options.rate_limit, std::chrono::steady_clock::now());
}

SlicePool::~SlicePool() = default;

SliceFetch* SlicePool::find(FetchId id) {
  const auto found = entries_.find(id);
  return found == entries_.end() ? nullptr : found->second.fetch.get();
}

void SlicePool::start(SliceRequest request, std::function<void()> on_end) {
  const FetchId id = request.id;
  auto fetch = std::make_unique<SliceFetch>(*this, std::move(request), next_order_++);
  SliceFetch& reference = *fetch;
  entries_.emplace(id, Entry{std::move(fetch), std::move(on_end)});
  count_waiting();
  reference.locate();
}

void SlicePool::trim(FetchId id, std::uint64_t length) {
  SliceFetch* fetch = find(id);
  if (!fetch || fetch->trim(length)) return;
  fetch->abandon();
  end(*fetch, {});
}

void SlicePool::cancel(FetchId id) {
  SliceFetch* fetch = find(id);
  if (!fetch) return;
  fetch->abandon();
  end(*fetch, fail(Code::cancelled, "the fetch was cancelled"));
}

void SlicePool::cancel_all() {
  std::vector<FetchId> ids;
  for (const auto& [id, entry] : entries_) ids.push_back(id);
  for (const FetchId id : ids) cancel(id);
}

void SlicePool::set_max_connections(int connections) {
  max_connections_ = std::max(connections, 1);
  pump_soon();
}

void SlicePool::set_rate_limit(std::uint64_t bytes_per_s) {
  bucket_.set_rate(bytes_per_s, std::chrono::steady_clock::now());
  context_.loop.cancel(bucket_timer_);
  wake_paused();
}

void SlicePool::make_ready(SliceFetch& fetch) {
  ready_.emplace(fetch.order(), fetch.id());
  pump_soon();
}

void SlicePool::connection_closed(const std::string& host) {
  --active_;
  const auto found = active_by_host_.find(host);
  if (--found->second == 0) active_by_host_.erase(found);
  pump_soon();
}

void SlicePool::end(SliceFetch& fetch, Result<void> result) {
  const FetchId id = fetch.id();
  ready_.erase(fetch.order());
  std::erase(paused_, id);
  const auto found = entries_.find(id);
  const std::function<void()> on_end = std::move(found->second.on_end);
  fetch.drop_sink();
  // It may still be on the stack.
  context_.loop.defer([dead = std::shared_ptr<SliceFetch>(std::move(found->second.fetch))] {});
  entries_.erase(found);
  count_waiting();
  on_end();
  if (callbacks_.on_done) callbacks_.on_done(id, std::move(result));
}

void SlicePool::report(FetchId id, std::uint64_t bytes) {
  if (callbacks_.on_progress) callbacks_.on_progress(id, bytes);
}

void SlicePool::pump_soon() {
  if (std::exchange(pump_is_coming_, true)) return;
  context_.loop.defer([this] {
    pump_is_coming_ = false;
    pump();
  });
}

void SlicePool::pump() {
  const int per_host = std::max(context_.options.max_connections_per_host, 1);
  const Time now = std::chrono::steady_clock::now();
  Time first_free = Time::max();
  for (auto it = ready_.begin(); it != ready_.end() && active_ < max_connections_;) {
    SliceFetch& fetch = *find(it->second);
    const std::string host = fetch.host();
    const Time free_at = context_.pauses.free_at(host);
    if (free_at > now) {
      first_free = std::min(first_free, free_at);
      ++it;
      continue;
    }
    int& of_host = active_by_host_[host];
    if (of_host >= per_host) {
      ++it;
      continue;
    }
    ++of_host;
    ++active_;
    it = ready_.erase(it);
    fetch.receive();
  }
  if (first_free != Time::max()) arm_pause_timer(first_free);
  count_waiting();
}

void SlicePool::arm_pause_timer(Time when) {
  context_.loop.cancel(pause_timer_);
  pause_timer_ = context_.loop.at(when, [this] {
    pause_timer_ = {};
    pump();
  });
}

void SlicePool::wait_for_tokens(FetchId id) {
  paused_.push_back(id);
  arm_bucket_timer();
}

void SlicePool::arm_bucket_timer() {
  if (bucket_timer_ != CurlLoop::TimerId{} || paused_.empty()) return;
  const Time now = std::chrono::steady_clock::now();
  bucket_timer_ = context_.loop.at(bucket_.ready_at(now), [this] {
    bucket_timer_ = {};
    wake_paused();
  });
}

void SlicePool::wake_paused() {
  const Time now = std::chrono::steady_clock::now();
  // Who finds the bucket empty again joins at the end, behind those that were not woken at all.
  for (std::size_t turns = paused_.size(); turns > 0 && !paused_.empty() && bucket_.may_spend(now); --turns) {
    const FetchId id = paused_.front();
    paused_.pop_front();
    if (SliceFetch* fetch = find(id)) fetch->resume();
  }
  arm_bucket_timer();
}

void SlicePool::count_waiting() {
  context_.connections = static_cast<std::uint32_t>(active_);
  context_.waiting = static_cast<std::uint32_t>(entries_.size()) - static_cast<std::uint32_t>(active_);
}

}  // namespace shoal
