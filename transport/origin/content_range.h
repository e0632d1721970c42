// `Content-Range: bytes 0-99/1000` (RFC 9110 section 14.4).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace shoal {

struct ContentRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;              // inclusive
  std::optional<std::uint64_t> total;  // nullopt: `*`
  bool operator==(const ContentRange&) const = default;
};

// Nullopt for anything but one satisfied range of bytes that lies inside its total.
[[nodiscard]] std::optional<ContentRange> parse_content_range(std::string_view header);

}  // namespace shoal
