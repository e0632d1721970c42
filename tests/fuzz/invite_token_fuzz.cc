// One-time tokens (node/core/invite_token.h) and base64 (node/core/base64.h).
#include "node/core/base64.h"
#include "node/core/invite_token.h"
#include "tests/fuzz/fuzz_target.h"

#include <algorithm>

using namespace shoal;

SHOAL_FUZZ_TARGET(invite_token, 1) {
  const auto text = fuzz::as_text(input);
  if (const auto token = parse_token(text)) {
    FUZZ_REQUIRE(token->expires_at >= 0);
    // One token has one text, but for blanks behind it.
    FUZZ_REQUIRE(text.starts_with(format_token(*token)));
  }
  // The bytes as a token: what is written can be read.
  fuzz::Input fields(input);
  InviteToken made;
  std::ranges::copy(fields.take(16), made.secret.begin());
  std::ranges::copy(fields.take(32), made.authority.bytes.begin());
  made.expires_at = static_cast<std::int64_t>(fields.u64() >> 24U);
  const auto read = parse_token(format_token(made));
  FUZZ_REQUIRE(read.has_value() && *read == made);

  if (const auto bytes = from_base64(text)) FUZZ_REQUIRE(to_base64(*bytes) == text);
  const auto encoded = from_base64(to_base64(std::as_bytes(input)));
  FUZZ_REQUIRE(encoded.has_value() && std::ranges::equal(*encoded, std::as_bytes(input)));
}
