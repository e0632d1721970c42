// Blobs that programs read while they come in: where the readers are decides what comes next.
#include "node/core/scheduler.h"

#include <algorithm>
#include <utility>

namespace shoal {

void Scheduler::set_priority(Wanted& w) {
  const Priority in_force = w.readers.empty() ? w.wanted_priority : Priority::high;
  if (in_force == w.priority) return;
  const OrderKey before = order_key(w);
  w.priority = in_force;
  for (auto* set : {&dirty_, &dirty_small_, &hungry_}) {
    if (set->erase(before) > 0) set->insert(order_key(w));
  }
}

void Scheduler::on_readers(const BlobId& blob, const std::vector<std::uint64_t>& offsets, Time /*now*/) {
  Wanted* w = find(blob);
  if (w == nullptr) return;
  std::vector<std::pair<SegmentIndex, int>> readers;
  for (const std::uint64_t offset : offsets) {
    if (offset >= blob.size || readers.size() >= limits_.readers) continue;
    const auto index = static_cast<SegmentIndex>(offset / w->geometry.segment_size());
    const auto within = offset - w->geometry.segment_offset(index);
    const std::pair at{index, static_cast<int>(within / w->geometry.piece_size())};
    if (std::ranges::find(readers, at) == readers.end()) readers.push_back(at);
  }
  if (readers == w->readers) return;
  w->readers = std::move(readers);
  set_priority(*w);
  for (const auto& [index, piece] : read_next(*w)) {
    if (w->segments[to_int(index)].phase != Phase::complete) touch(*w, index);
  }
}

std::vector<std::pair<SegmentIndex, int>> Scheduler::read_next(const Wanted& w) const {
  auto next = w.readers;
  for (const auto& [index, piece] : w.readers) {
    if (to_int(index) + 1 < w.segments.size()) next.emplace_back(SegmentIndex{to_int(index) + 1}, 0);
  }
  return next;
}

bool Scheduler::readers_need(const Wanted& w, SegmentIndex index) const {
  const auto next = read_next(w);
  return std::ranges::find(next, index, &std::pair<SegmentIndex, int>::first) != next.end() &&
         static_cast<int>(loaded_.size()) < limits_.loaded_segments + limits_.loaded_to_read;
}

}  // namespace shoal
