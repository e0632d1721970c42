// Range, If-Range and If-None-Match (RFC 9110, sections 13 and 14), for files that have a strong ETag. Pure.
#pragma once

#include <cstdint>
#include <string_view>

namespace shoal {

struct RangeChoice {
  enum class Kind : std::uint8_t { whole, part, unsatisfiable };
  Kind kind = Kind::whole;
  std::uint64_t first = 0;
  std::uint64_t length = 0;
  bool to_the_end = false;  // "bytes=N-": how downloads are resumed
};

// What a Range header asks of a file of that size. An end past the file is clamped (hf_transfer's last range
// ends one byte behind it). What is malformed, in another unit, or of several ranges is ignored, as the RFC
// allows: the whole file.
[[nodiscard]] RangeChoice choose_range(std::string_view header, std::uint64_t size);

// Whether the Range may be honoured: If-Range is absent or the very ETag. A date never matches, since the
// answers carry no Last-Modified.
[[nodiscard]] bool if_range_holds(std::string_view header, std::string_view etag);

// Whether one of the listed tags is this one, by weak comparison, or the list is "*". `etag` is quoted.
[[nodiscard]] bool names_etag(std::string_view list, std::string_view etag);

}  // namespace shoal
