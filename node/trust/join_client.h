// The other end of join_listener.h: asks an authority to be let in.
//
// Nothing is sent before the other side has shown, by TLS, a certificate for the join port that was signed by
// the authority whose fingerprint the token has. So a machine in the middle learns no secret.
//
// Threads: any; blocks for at most `patience`.
#pragma once

#include "node/core/ids.h"
#include "node/core/result.h"
#include "node/trust/join_text.h"

#include <chrono>
#include <cstdint>
#include <string>

namespace shoal {

inline constexpr std::chrono::seconds kJoinPatience{15};

// `host`: a name or a numeric address. Errors: unavailable (not reached), timeout, unauthorized (it is not
// the authority of the token, or it refused, with its sentence), invalid (its answer).
[[nodiscard]] Result<JoinAnswer> ask_to_join(const std::string& host, std::uint16_t port,
                                             const Hash256& authority, const JoinRequest& request,
                                             std::chrono::seconds patience = kJoinPatience);

}  // namespace shoal
