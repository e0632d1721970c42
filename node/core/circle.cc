#include "node/core/circle.h"

#include "node/core/slice_choice.h"
#include "node/core/sorted_nodes.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

namespace shoal {
namespace {

constexpr std::uint64_t kPlaceSalt = 0x52494e47;
constexpr std::uint64_t kScoreSalt = 0x434c414d;

}  // namespace

float Circle::weight_of(double free_capacity) {
  if (free_capacity >= 0.5) return 1.0F;
  return free_capacity >= 0.2 ? 0.3F : 0.1F;
}

Circle::Circle(NodeId self, const BlobId& blob)
    : self_(self), blob_([&] {
        std::uint64_t bits = 0;
        std::memcpy(&bits, blob.digest.data(), sizeof bits);
        return bits;
      }()) {
  members_.push_back(member(self, 1));
}

Circle::Member Circle::member(NodeId node, float capacity) const {
  // Weighted rendezvous hashing, as in choose_holders().
  const double u = (static_cast<double>(node_hash(node, kScoreSalt) >> 11U) + 1.0) / 9007199254740993.0;
  return {node_hash(node, blob_ ^ kPlaceSalt), node, -std::log(u) / static_cast<double>(capacity), capacity};
}

std::vector<Circle::Member>::iterator Circle::find(NodeId node) {
  const std::uint64_t place = node_hash(node, blob_ ^ kPlaceSalt);
  const auto it = std::ranges::lower_bound(members_, std::pair(place, node), {},
                                           [](const Member& m) { return std::pair(m.place, m.node); });
  return it != members_.end() && it->node == node ? it : members_.end();
}

void Circle::on_wants(NodeId node, bool wants, double free_capacity) {
  if (node == self_) return;
  const auto it = find(node);
  if ((it != members_.end()) == wants) return;
  mates_stale_ = true;
  if (!wants) {
    claimants_stale_ = claimants_stale_ || it->score <= last_score_ || members_.size() <= kEverybody + 1;
    members_.erase(it);
    return;
  }
  const Member fresh = member(node, weight_of(free_capacity));
  claimants_stale_ = claimants_stale_ || fresh.score <= last_score_ || members_.size() <= kEverybody;
  const auto before = std::ranges::upper_bound(members_, std::pair(fresh.place, fresh.node), {},
                                               [](const Member& m) { return std::pair(m.place, m.node); });
  members_.insert(before, fresh);
}

bool Circle::on_capacity(NodeId node, double free_capacity) {
  const auto it = find(node);
  const float capacity = weight_of(free_capacity);
  if (it == members_.end() || it->capacity == capacity) return false;
  *it = member(node, capacity);
  claimants_stale_ = true;
  return true;
}

bool Circle::settle() {
  const bool changed = claimants_stale_ || mates_stale_;
  if (!changed) return false;
  on_ = members_.size() > kEverybody;
  const auto before = std::pair(claimants_, mates_);
  if (claimants_stale_) choose_claimants();
  if (mates_stale_) choose_mates();
  claimants_stale_ = mates_stale_ = false;
  return before != std::pair(claimants_, mates_);
}

void Circle::choose_claimants() {
  claimants_.clear();
  claims_ = true;
  last_score_ = 0;
  if (!on_) return;
  std::vector<std::pair<double, NodeId>> ranked;
  ranked.reserve(members_.size());
  for (const Member& m : members_) ranked.emplace_back(m.score, m.node);
  std::ranges::nth_element(ranked, ranked.begin() + kClaimants - 1);
  ranked.resize(kClaimants);
  last_score_ = ranked.back().first;
  claims_ = false;
  for (const auto& [score, node] : ranked) {
    if (node == self_) {
      claims_ = true;
    } else {
      claimants_.push_back(node);
    }
  }
  std::ranges::sort(claimants_);
}

void Circle::choose_mates() {
  mates_.clear();
  if (!on_) return;
  const auto n = static_cast<std::size_t>(members_.size());
  const auto place = static_cast<std::size_t>(find(self_) - members_.begin());
  for (std::size_t step = 1; step <= n / 2; step *= 3) {
    mates_.push_back(members_[(place + step) % n].node);
    mates_.push_back(members_[(place + n - step) % n].node);
  }
  std::ranges::sort(mates_);
  mates_.erase(std::ranges::unique(mates_).begin(), mates_.end());
}

bool Circle::is_claimant(NodeId node) const {
  return contains_sorted(claimants_, node);
}

bool Circle::is_mate(NodeId node) const {
  return contains_sorted(mates_, node);
}

}  // namespace shoal
