// Open invitations: which secrets let one machine in, and until when. Pure bookkeeping.
//
// In memory only: a restart of the daemon takes all of them back, which is the safe side.
#pragma once

#include "node/core/invite_token.h"
#include "node/core/result.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace shoal {

class Invitations {
 public:
  // More than the machines of a site at once.
  static constexpr std::size_t kOpenMax = 512;

  // Times are seconds since 1970. Errors: unavailable (kOpenMax are open).
  Result<void> add(const InviteSecret& secret, std::int64_t expires_at, std::int64_t now);
  // Errors: unauthorized. It is told from nothing else whether a secret never was, ran out or was used.
  [[nodiscard]] Result<void> check(const InviteSecret& secret, std::int64_t now) const;
  // Burns it. Errors: as check().
  Result<void> take(const InviteSecret& secret, std::int64_t now);
  [[nodiscard]] std::size_t open(std::int64_t now) const;

 private:
  struct Entry {
    InviteSecret secret{};
    std::int64_t expires_at = 0;
  };
  [[nodiscard]] std::size_t find(const InviteSecret& secret, std::int64_t now) const;
  std::vector<Entry> entries_;
};

}  // namespace shoal
