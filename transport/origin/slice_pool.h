// All slices that were asked for: which may have a connection, how fast all of them together may go.
//
// - First come, first served, at most `max_connections` at once and `max_connections_per_host` to one host.
//   Slices of a host that asked to be left alone step aside for others.
// - The byte rate is one token bucket; who finds it empty is paused and woken in turn.
// The loop's thread only.
#pragma once

#include "node/core/ports.h"
#include "transport/origin/origin_context.h"
#include "transport/origin/rate_bucket.h"
#include "transport/origin/resolver.h"

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>

namespace shoal {

class SliceFetch;

class SlicePool {
 public:
  SlicePool(OriginContext& context, Resolver& resolver, Origin::Callbacks callbacks);
  ~SlicePool();

  // `on_end` is called before the caller's on_done, to free its place in the client's queue.
  void start(SliceRequest request, std::function<void()> on_end);
  void trim(FetchId id, std::uint64_t length);
  void cancel(FetchId id);
  void cancel_all();
  void set_max_connections(int connections);
  void set_rate_limit(std::uint64_t bytes_per_s);

  // For SliceFetch.
  [[nodiscard]] OriginContext& context() { return context_; }
  [[nodiscard]] Resolver& resolver() { return resolver_; }
  [[nodiscard]] SliceFetch* find(FetchId id);
  void make_ready(SliceFetch& fetch);               // wants a connection
  void connection_closed(const std::string& host);  // of one that pump() had started
  void end(SliceFetch& fetch, Result<void> result);
  void report(FetchId id, std::uint64_t bytes);
  [[nodiscard]] bool may_receive(Time now) { return bucket_.may_spend(now); }
  void received(std::uint64_t bytes) { bucket_.spend(bytes); }
  void wait_for_tokens(FetchId id);

 private:
  struct Entry;

  void pump();
  void pump_soon();
  void arm_pause_timer(Time when);
  void arm_bucket_timer();
  void wake_paused();
  void count_waiting();

  OriginContext& context_;
  Resolver& resolver_;
  const Origin::Callbacks callbacks_;

  std::unordered_map<FetchId, Entry> entries_;
  std::map<std::uint64_t, FetchId> ready_;  // by order of arrival
  std::map<std::string, int> active_by_host_;
  int active_ = 0;
  int max_connections_;
  std::uint64_t next_order_ = 1;
  bool pump_is_coming_ = false;
  CurlLoop::TimerId pause_timer_{};  // when the first paused host may be asked again

  RateBucket bucket_;
  std::deque<FetchId> paused_;  // waiting for tokens, first to last
  CurlLoop::TimerId bucket_timer_{};
};

}  // namespace shoal
