// The few rules of RFC 3986 that a request target needs.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace shoal {

// Decodes %XX. nullopt: broken escape, or a NUL, which no path or name of ours may contain.
[[nodiscard]] std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space);
// Encodes everything but unreserved characters, and '/' when it is kept.
[[nodiscard]] std::string percent_encode(std::string_view text, bool keep_slash);

struct RequestTarget {
  std::string raw_path;
  std::string path;  // decoded
  std::vector<std::pair<std::string, std::string>> query;
};
// An origin-form target ("/a/b?x=1"); nullopt when it is anything else.
[[nodiscard]] std::optional<RequestTarget> parse_request_target(std::string_view target);

}  // namespace shoal
