#include "node/core/backoff.h"

#include <algorithm>
#include <cstdint>

namespace shoal {

std::chrono::milliseconds backoff_pause(int failures, double random, const BackoffOptions& options) {
  const std::int64_t ceiling = std::max<std::int64_t>(options.ceiling.count(), 0);
  std::int64_t full = std::clamp<std::int64_t>(options.first.count(), 0, ceiling);
  for (int i = 1; i < failures && full < ceiling && full > 0; ++i) {
    full = full > ceiling / 2 ? ceiling : full * 2;
  }
  const double share = 0.5 + std::clamp(random, 0.0, 1.0) / 2;
  return std::chrono::milliseconds(static_cast<std::int64_t>(static_cast<double>(full) * share));
}

}  // namespace shoal
