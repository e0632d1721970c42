// Amounts as people write and read them: sizes, rates, durations.
//
// Parsing is strict about units, because "200G" means two different things to two people: GiB is 2^30 and GB
// is 10^9. Printing uses powers of two throughout.
#pragma once

#include "node/core/result.h"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace shoal {

// "200GiB", "1.5 TB", "512B", "0". Errors: invalid.
[[nodiscard]] Result<std::uint64_t> parse_size(std::string_view text);
// Bytes per second: "100Mbit/s", "12MB/s", "1.5 GiB/s"; "0" means no limit. Errors: invalid.
[[nodiscard]] Result<std::uint64_t> parse_rate(std::string_view text);
// "30s", "500ms", "1h30m", "2d". A number without a unit is refused. Errors: invalid.
[[nodiscard]] Result<std::chrono::milliseconds> parse_duration(std::string_view text);

// "0 B", "999 B", "1.0 KiB", "41.2 GiB": at most four digits, cut and not rounded up, so that an amount is
// never shown before it is there.
[[nodiscard]] std::string format_size(std::uint64_t bytes);
[[nodiscard]] std::string format_rate(std::uint64_t bytes_per_s);  // "112.4 MiB/s"
// "8s", "3m10s", "2h05m", "3d04h".
[[nodiscard]] std::string format_duration(std::int64_t seconds);

}  // namespace shoal
