#include "node/core/site_wan_limit.h"

#include "node/core/load.h"

#include <algorithm>

namespace shoal {
namespace {

// A part that is used so far is taken for used up: rates are measured over a second and never fill it
// exactly.
constexpr double kUsedUp = 0.85;
// Who wants no more keeps what it takes and a tenth, so that a little growth does not count as hunger.
constexpr double kRoomToGrow = 1.1;
// A node that has just begun has no rate yet.
constexpr std::chrono::seconds kBeginning{2};

}  // namespace

void SiteWanLimit::on_heartbeat(NodeId node, const msg::Heartbeat& heartbeat) {
  others_[node] = {free_capacity(heartbeat.load), heartbeat.load.origin_bytes_per_s, heartbeat.wan_hungry,
                   heartbeat.site_wan_limit};
}

void SiteWanLimit::on_own_state(double free_capacity, std::uint64_t origin_bytes_per_s, bool active,
                                Time now) {
  if (active && !active_) active_since_ = now;
  active_ = active;
  own_weight_ = free_capacity;
  const auto limit = static_cast<double>(own_limit());
  hungry_ = active &&
            (now - active_since_ < kBeginning || static_cast<double>(origin_bytes_per_s) >= kUsedUp * limit);
}

std::uint64_t SiteWanLimit::site_limit() const {
  std::uint64_t limit = configured_;
  for (const auto& [node, user] : others_) {
    if (user.configured >= kPlausible && (limit == 0 || user.configured < limit)) limit = user.configured;
  }
  return limit;
}

std::uint64_t SiteWanLimit::own_limit() const {
  const std::uint64_t limit = site_limit();
  if (limit == 0) return 0;
  double hungry_weight = own_weight_;
  double users = 1;
  for (const auto& [node, user] : others_) {
    if (user.hungry) hungry_weight += user.weight;
    if (user.hungry || user.bytes_per_s > 0) ++users;
  }
  double left = static_cast<double>(limit);
  for (const auto& [node, user] : others_) {
    if (user.hungry) continue;
    // Not more than an equal part: a rate of a second ago, or a lie, must not starve the others.
    left -= std::min(kRoomToGrow * static_cast<double>(user.bytes_per_s), static_cast<double>(limit) / users);
  }
  return std::max(kLeast, static_cast<std::uint64_t>(left * own_weight_ / hungry_weight));
}

}  // namespace shoal
