// How long a server wants to be left alone: `RateLimit`, `RateLimit-Policy` and `Retry-After` (reference
// section 7).
#pragma once

#include "node/core/time.h"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace shoal {

// `RateLimit: "resolvers";r=2998;t=172`. Of several buckets the one with the fewest requests left.
struct RateLimit {
  std::string bucket;
  std::uint64_t remaining = 0;
  std::chrono::seconds reset{0};  // until the window starts anew
  bool operator==(const RateLimit&) const = default;
};
[[nodiscard]] std::optional<RateLimit> parse_rate_limit(std::string_view header);

// `RateLimit-Policy: "fixed window";"resolvers";q=3000;w=300`.
struct RateLimitPolicy {
  std::uint64_t quota = 0;
  std::chrono::seconds window{0};
  bool operator==(const RateLimitPolicy&) const = default;
};
[[nodiscard]] std::optional<RateLimitPolicy> parse_rate_limit_policy(std::string_view header);

// Whole seconds, or an HTTP date, which is held against `now`; a date that has passed is 0.
[[nodiscard]] std::optional<std::chrono::seconds> parse_retry_after(std::string_view header, WallTime now);

// The headers of a 429; empty where one was not sent.
struct LimitHeaders {
  std::string_view rate_limit;
  std::string_view rate_limit_policy;
  std::string_view retry_after;
};
// What a 429 asks for: the exhausted bucket's reset and a second, else Retry-After and a second (both are
// rounded down by the servers), else the policy's window if the bucket is exhausted without a time. Nullopt:
// it does not say.
[[nodiscard]] std::optional<std::chrono::seconds> limit_pause(const LimitHeaders& headers, WallTime now);

}  // namespace shoal
