// The one-time token that lets a machine into a closed cluster, as text. Pure.
//
//     shoal1-<122 hex digits>:  16 bytes secret, 32 bytes fingerprint of the authority, 8 bytes expiry
//                               (seconds since 1970, big-endian), 4 bytes checksum of what stands before,
//                               version included
//
// It authenticates both ways: who holds the secret is let in once, and the machine that joins talks only to
// the authority whose fingerprint this is. The checksum is against slips of copying, not against anybody.
#pragma once

#include "node/core/ids.h"
#include "node/core/result.h"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace shoal {

// 128 bits from a good source; nobody guesses it within a token's life.
using InviteSecret = std::array<std::uint8_t, 16>;

struct InviteToken {
  InviteSecret secret{};
  Hash256 authority;            // SHA-256 of the CA certificate's DER
  std::int64_t expires_at = 0;  // seconds since 1970
  bool operator==(const InviteToken&) const = default;
};

[[nodiscard]] std::string format_token(const InviteToken& token);
// Errors: invalid, with what is wrong: not a token, cut off or mistyped, of a later version.
[[nodiscard]] Result<InviteToken> parse_token(std::string_view text);

}  // namespace shoal
