// A node's requests to the origin: connections, bytes, faults.
#include "node/core/piece_bits.h"
#include "tests/sim/content.h"
#include "tests/sim/sim_node.h"
#include "tests/sim/sim_node_later.h"

#include <algorithm>
#include <utility>

namespace shoal::sim {
namespace {

constexpr double kProgress = 0.2;
constexpr double kStallTimeout = 10.0;  // the origin client's minimum-progress timer

}  // namespace

void SimNode::start_fetch(const act::FetchSlice& slice) {
  const Options& o = site_.options();
  Fetch fetch;
  fetch.key = slice.key;
  fetch.next = to_int(slice.first);
  fetch.end = fetch.next + slice.count;
  double wait = random_.between(o.request_min_s, o.request_max_s);
  if (!idle_connections_.empty()) {
    fetch.cap = idle_connections_.back();
    idle_connections_.pop_back();
  } else {
    fetch.cap = random_.log_between(o.connection_min_bytes_per_s, o.connection_max_bytes_per_s);
    wait += 2 * random_.between(o.request_min_s, o.request_max_s);
  }
  Code failure = Code::io;
  if (site_.faults_on()) {
    const double length = static_cast<double>(
        disk(slice.key.blob)
            .geometry.bytes_in(slice.key.index, mask_of_run(to_int(slice.first), slice.count)));
    if (random_.chance(o.origin_5xx))
      failure = Code::unavailable;
    else if (random_.chance(o.origin_429))
      failure = Code::rate_limited;
    else if (random_.chance(o.origin_stall))
      fetch.stall_after = length * random_.unit();
    else if (random_.chance(o.origin_cut))
      fetch.cut_after = length * random_.unit();
  }
  fetches_[slice.id] = fetch;
  if (!std::exchange(reporting_, true)) later(kProgress, [this] { report_progress(); });
  update_fetching(slice.key);
  if (failure != Code::io) {
    fail_fetch(slice.id, failure, wait);
  } else {
    later(wait, [this, id = slice.id] { begin_bytes(id); });
  }
}

void SimNode::fail_fetch(FetchId id, Code code, double after_s) {
  later(after_s, [this, id, code] { end_fetch(id, shoal::fail(code, "the origin failed")); });
}

void SimNode::begin_bytes(FetchId id) {
  const auto it = fetches_.find(id);
  if (it == fetches_.end()) return;
  Fetch& fetch = it->second;
  const double first =
      disk(fetch.key.blob).geometry.piece_length(fetch.key.index, static_cast<PieceIndex>(fetch.next));
  fetch.flow =
      site_.flows().start({site_.wan(), down_}, hung_ ? 0 : fetch.cap, first,
                          [this, id, run = run_] { return run == run_ ? on_piece_arrived(id) : 0.0; });
  const auto breaks = [&](double after, Code code, double patience) {
    if (after < 0) return;
    // Roughly where the fault strikes: when so many bytes should have come at the present rate.
    later(std::max(0.01, after / fetch.cap), [this, id, code, patience] {
      const auto at = fetches_.find(id);
      if (at == fetches_.end() || !at->second.flow) return;
      site_.flows().stall(*at->second.flow);
      fail_fetch(id, code, patience);
    });
  };
  breaks(fetch.stall_after, Code::timeout, kStallTimeout);
  breaks(fetch.cut_after, Code::unavailable, 0.0);
  if (hung_) fail_fetch(id, Code::timeout, kStallTimeout * 100);
}

double SimNode::on_piece_arrived(FetchId id) {
  const auto it = fetches_.find(id);
  if (it == fetches_.end()) return 0;
  Fetch& fetch = it->second;
  const SegmentKey key = fetch.key;
  const auto piece = static_cast<PieceIndex>(fetch.next);
  Disk& d = disk(key.blob);
  const double length = d.geometry.piece_length(key.index, piece);
  site_.count_wan(*this, length);
  site_.count_piece(key, piece, static_cast<std::uint64_t>(length));
  scheduler_->on_fetch_progress(id, static_cast<std::uint64_t>(std::max(0.0, length - fetch.reported)),
                                site_.events().now());
  origin_bytes_ += static_cast<std::uint64_t>(length);
  fetch.reported = 0;
  fetch.passed += length;
  std::uint64_t content = 0;
  if (lies_about_hashes() && random_.chance(0.5)) content = 666;
  if (site_.faults_on() && random_.chance(site_.options().origin_wrong)) content = 555;
  later(length / site_.options().hash_bytes_per_s, [this, key, piece, content] {
    Disk& landed = disk(key.blob);
    const Hash256 hash = hash_of_content(key, piece, content);
    if ((landed.have[to_int(key.index)] & mask_of(piece)) == 0) {
      landed.have[to_int(key.index)] |= mask_of(piece);
      landed.content[to_int(key.index)][at(piece)] = content;
      landed.hashes[to_int(key.index)][at(piece)] = hash;
    }
    scheduler_->on_piece_fetched(key, piece, hash, site_.events().now());
    turn_soon();
  });
  ++fetch.next;
  turn_soon();
  if (fetch.next < fetch.end) {
    update_fetching(key);
    return d.geometry.piece_length(key.index, static_cast<PieceIndex>(fetch.next));
  }
  if (fetch.keep_connection) idle_connections_.push_back(fetch.cap);
  fetch.flow.reset();
  end_fetch(id, {});
  return 0;
}

void SimNode::end_fetch(FetchId id, const Result<void>& result) {
  const auto it = fetches_.find(id);
  if (it == fetches_.end()) return;
  const SegmentKey key = it->second.key;
  if (it->second.flow) {
    site_.count_cut(*this, site_.flows().arrived(*it->second.flow));
    site_.flows().stop(*it->second.flow);
  }
  fetches_.erase(it);
  update_fetching(key);
  scheduler_->on_fetch_done(id, result, site_.events().now());
  turn_soon();
}

void SimNode::report_progress() {
  if (fetches_.empty()) {
    reporting_ = false;
    return;
  }
  for (auto& [id, fetch] : fetches_) {
    if (!fetch.flow) continue;
    const double arrived = site_.flows().arrived(*fetch.flow);
    const auto bytes = static_cast<std::uint64_t>(std::max(0.0, arrived - fetch.reported));
    if (bytes == 0) continue;
    fetch.reported += static_cast<double>(bytes);
    scheduler_->on_fetch_progress(id, bytes, site_.events().now());
  }
  later(kProgress, [this] { report_progress(); });
}

void SimNode::update_fetching(const SegmentKey& key) {
  PieceMask pieces = 0;
  for (const auto& [id, fetch] : fetches_) {
    if (fetch.key == key && fetch.next < fetch.end) pieces |= mask_of_run(fetch.next, fetch.end - fetch.next);
  }
  site_.on_fetching(*this, key, pieces);
}

void SimNode::fetch_small(const BlobId& blob) {
  const Options& o = site_.options();
  const bool fails = site_.faults_on() && random_.chance(o.origin_5xx + o.origin_429);
  later(random_.between(o.request_min_s, o.request_max_s) * 2, [this, blob, fails] {
    if (!scheduler_->wants(blob)) return;
    if (fails) {
      scheduler_->on_small_failed(blob, std::nullopt, Error{Code::unavailable, "the origin failed", 503},
                                  site_.events().now());
      turn_soon();
      return;
    }
    site_.count_wan(*this, static_cast<double>(blob.size));
    hold(blob);
  });
}

}  // namespace shoal::sim
