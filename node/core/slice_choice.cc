#include "node/core/slice_choice.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

namespace shoal {
namespace {

// splitmix64's finaliser: every input bit reaches every output bit.
std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27U)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31U);
}

std::uint64_t weight(NodeId node, const SegmentKey& key) {
  std::uint64_t w = 0;
  for (const std::uint8_t b : node.bytes) w = mix(w ^ b);
  for (std::size_t i = 0; i < 8; ++i) w = mix(w ^ key.blob.digest[i]);
  return mix(w ^ to_int(key.index));
}

std::optional<PieceRun> run_in(PieceMask free, int from, int to, int longest) {
  const PieceMask window = free & mask_of_run(from, to - from);
  if (window == 0) return std::nullopt;
  const int first = std::countr_zero(window);
  const int ones = std::countr_one(window >> static_cast<unsigned>(first));
  return PieceRun{first, std::min(ones, longest)};
}

}  // namespace

std::optional<PieceRun> choose_run(PieceMask free, int piece_count, int start, int longest) {
  if (longest <= 0) return std::nullopt;
  if (const auto run = run_in(free, start, piece_count, longest)) return run;
  return run_in(free, 0, start, longest);
}

int claim_start(NodeId self, std::span<const NodeId> participants, int piece_count) {
  const auto before = std::ranges::count_if(participants, [&](NodeId n) { return n < self; });
  const auto others = std::ranges::count_if(participants, [&](NodeId n) { return n != self; });
  return static_cast<int>(before * piece_count / (others + 1));
}

PieceMask claim_part(NodeId self, std::span<const NodeId> participants, int piece_count) {
  const auto before = std::ranges::count_if(participants, [&](NodeId n) { return n < self; });
  const auto nodes = 1 + std::ranges::count_if(participants, [&](NodeId n) { return n != self; });
  const auto first = static_cast<int>(before * piece_count / nodes);
  return mask_of_run(first, static_cast<int>((before + 1) * piece_count / nodes) - first);
}

bool claim_beats(NodeId self, NodeId other, const SegmentKey& key) {
  const std::uint64_t mine = weight(self, key);
  const std::uint64_t theirs = weight(other, key);
  return mine != theirs ? mine < theirs : self < other;
}

std::vector<NodeId> choose_holders(std::span<const NodeId> holders, const SegmentKey& key, std::size_t count,
                                   const std::function<double(NodeId)>& free_capacity) {
  // Weighted rendezvous hashing: the smallest of -ln(u) / weight wins with probability in the weight's
  // proportion.
  std::vector<std::pair<double, NodeId>> ranked;
  for (const NodeId node : holders) {
    const double u = (static_cast<double>(weight(node, key) >> 11U) + 1.0) / 9007199254740993.0;
    ranked.emplace_back(-std::log(u) / std::max(free_capacity(node), 0.01), node);
  }
  std::ranges::sort(ranked);
  if (ranked.size() > count) ranked.resize(count);
  std::vector<NodeId> chosen;
  for (const auto& [score, node] : ranked) chosen.push_back(node);
  return chosen;
}

}  // namespace shoal
