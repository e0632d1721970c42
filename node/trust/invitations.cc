#include "node/trust/invitations.h"

#include <algorithm>

namespace shoal {
namespace {

// In the same time whatever the bytes.
bool equal(const InviteSecret& a, const InviteSecret& b) {
  unsigned difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) difference |= static_cast<unsigned>(a[i] ^ b[i]);
  return difference == 0;
}

Unexpected<Error> refused() {
  return fail(
      Code::unauthorized,
      "the token was used already, has run out, or was taken back by a restart of the daemon that gave "
      "it out: ask for another (`shoal cluster invite`)");
}

}  // namespace

Result<void> Invitations::add(const InviteSecret& secret, std::int64_t expires_at, std::int64_t now) {
  std::erase_if(entries_, [now](const Entry& entry) { return entry.expires_at <= now; });
  if (entries_.size() >= kOpenMax)
    return fail(Code::unavailable, "512 invitations are open: wait until some were used or ran out");
  entries_.push_back({secret, expires_at});
  return {};
}

std::size_t Invitations::find(const InviteSecret& secret, std::int64_t now) const {
  std::size_t found = entries_.size();
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (equal(entries_[i].secret, secret) && entries_[i].expires_at > now) found = i;
  }
  return found;
}

Result<void> Invitations::check(const InviteSecret& secret, std::int64_t now) const {
  if (find(secret, now) == entries_.size()) return refused();
  return {};
}

Result<void> Invitations::take(const InviteSecret& secret, std::int64_t now) {
  const auto at = find(secret, now);
  if (at == entries_.size()) return refused();
  entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(at));
  return {};
}

std::size_t Invitations::open(std::int64_t now) const {
  return static_cast<std::size_t>(
      std::ranges::count_if(entries_, [now](const Entry& entry) { return entry.expires_at > now; }));
}

}  // namespace shoal
