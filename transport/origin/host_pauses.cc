#include "transport/origin/host_pauses.h"

namespace shoal {

bool HostPauses::pause(const std::string& host, Time until, Time now) {
  if (until <= now) return false;
  std::erase_if(until_, [now](const auto& entry) { return entry.second <= now; });
  const auto found = until_.find(host);
  if (found != until_.end()) {
    if (found->second >= until) return false;
    found->second = until;
    return true;
  }
  if (until_.size() >= kHostsMax) return false;
  until_.emplace(host, until);
  return true;
}

Time HostPauses::free_at(const std::string& host) const {
  const auto found = until_.find(host);
  return found == until_.end() ? Time{} : found->second;
}

}  // namespace shoal
