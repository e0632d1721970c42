// What a machine that joins and the authority say to each other, over TLS. Pure. docs/protocol.md has the
// text.
//
// Both are lines that end with an empty line; PEM blocks have none inside.
#pragma once

#include "node/core/ids.h"
#include "node/core/invite_token.h"
#include "node/core/result.h"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace shoal {

inline constexpr std::size_t kJoinRequestMax = 8 * 1024;   // a request for a P-256 certificate has 400 bytes
inline constexpr std::size_t kJoinAnswerMax = 512 * 1024;  // two certificates, and a revocation list in hex

struct JoinRequest {
  InviteSecret secret{};
  NodeId node;
  std::string name;     // for people, at most 64 bytes
  std::string cluster;  // that it is configured for
  std::string request_pem;
};

struct JoinAnswer {
  std::string authority_pem;
  std::string cert_pem;
  std::vector<std::byte> revoked_der;  // empty: nobody was put out yet
};

[[nodiscard]] std::string format_join_request(const JoinRequest& request);
// Errors: invalid.
[[nodiscard]] Result<JoinRequest> parse_join_request(std::string_view text);

[[nodiscard]] std::string format_join_answer(const JoinAnswer& answer);
[[nodiscard]] std::string format_join_refusal(const Error& error);
// Errors: what the other side refused with (its sentence, unauthorized), invalid.
[[nodiscard]] Result<JoinAnswer> parse_join_answer(std::string_view text);

}  // namespace shoal
