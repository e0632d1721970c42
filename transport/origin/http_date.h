// Dates as HTTP and signed URLs write them. Pure; UTC.
#pragma once

#include "node/core/time.h"

#include <cstdint>
#include <optional>
#include <string_view>

namespace shoal {

// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, IMF-fixdate; the two obsolete forms are not seen from the Hub).
// The weekday is not checked.
[[nodiscard]] std::optional<WallTime> parse_http_date(std::string_view text);

// "20260825T103000Z", as in X-Amz-Date and X-Goog-Date.
[[nodiscard]] std::optional<WallTime> parse_compact_date(std::string_view text);

}  // namespace shoal
