// How long a server wants to be left alone (transport/origin/rate_limit_header.h). A line per header.
#include "tests/fuzz/fuzz_target.h"
#include "transport/origin/rate_limit_header.h"

using namespace shoal;

SHOAL_FUZZ_TARGET(rate_limit, 1) {
  constexpr WallTime kNow{1'770'000'000'000};
  constexpr std::chrono::seconds kMost{366L * 24 * 3600 + 1};
  fuzz::Input lines(input);
  const LimitHeaders headers{lines.line(), lines.line(), lines.line()};
  if (const auto pause = limit_pause(headers, kNow)) FUZZ_REQUIRE(pause->count() >= 0 && *pause <= kMost);
  if (const auto limit = parse_rate_limit(headers.rate_limit)) {
    FUZZ_REQUIRE(limit->bucket.size() <= headers.rate_limit.size());
    FUZZ_REQUIRE(limit->reset.count() >= 0 && limit->reset <= kMost);
  }
  if (const auto policy = parse_rate_limit_policy(headers.rate_limit_policy))
    FUZZ_REQUIRE(policy->window.count() >= 0 && policy->window <= kMost);
}
