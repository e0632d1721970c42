#include "node/core/slice_choice.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
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

// The part of the node at `place` of so many.
PieceMask part_at(std::ptrdiff_t place, std::ptrdiff_t nodes, int piece_count) {
  const auto first = static_cast<int>(place * piece_count / nodes);
  return mask_of_run(first, static_cast<int>((place + 1) * piece_count / nodes) - first);
}

struct Standing {
  std::ptrdiff_t place = 0;  // among all nodes in the order of their ids
  std::ptrdiff_t nodes = 1;
};
Standing standing(NodeId self, std::span<const NodeId> participants) {
  return {std::ranges::count_if(participants, [&](NodeId n) { return n < self; }),
          1 + std::ranges::count_if(participants, [&](NodeId n) { return n != self; })};
}

}  // namespace

std::uint64_t node_hash(NodeId node, std::uint64_t salt) {
  std::uint64_t words[2] = {};
  std::memcpy(words, node.bytes.data(), sizeof words);
  return mix(mix(mix(salt) ^ words[0]) ^ words[1]);
}

std::optional<PieceRun> first_run(PieceMask free, int longest) {
  if (free == 0 || longest <= 0) return std::nullopt;
  const int first = std::countr_zero(free);
  return PieceRun{first, std::min(std::countr_one(free >> static_cast<unsigned>(first)), longest)};
}

PieceMask claim_part(NodeId self, std::span<const NodeId> participants, int piece_count) {
  const auto [place, nodes] = standing(self, participants);
  return part_at(place, nodes, piece_count);
}

std::optional<PieceRun> run_of_others(PieceMask free, NodeId self, std::span<const NodeId> participants,
                                      int piece_count, int longest) {
  if (longest <= 0) return std::nullopt;
  const auto [place, nodes] = standing(self, participants);
  for (std::ptrdiff_t next = 1; next <= nodes; ++next) {
    const PieceMask there = free & part_at((place + next) % nodes, nodes, piece_count);
    if (there == 0) continue;
    const int last = 63 - std::countl_zero(there);
    const int most = std::min(longest, (std::popcount(there) + 1) / 2);
    const int count = std::min(std::countl_one(there << static_cast<unsigned>(63 - last)), most);
    return PieceRun{last + 1 - count, count};
  }
  return std::nullopt;
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
  double most_free = 0;
  for (const NodeId node : holders) most_free = std::max(most_free, free_capacity(node));
  for (const NodeId node : holders) {
    // A second number of the same kind, so that who is left out does not depend on who would come first.
    const double share = static_cast<double>(mix(weight(node, key)) >> 11U) / 9007199254740992.0;
    if (share * most_free > free_capacity(node)) continue;
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
