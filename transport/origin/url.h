// Absolute http and https URLs, taken apart and put together.
//
// The token goes by what this parser says of host and port, and libcurl gets only URLs this one has put
// together again. So it is strict: no user or password, no blanks, backslashes or control characters, and
// nothing but letters, digits, `.`, `-`, `_` in a host name, so that no other parser can read another host
// out of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace shoal {

struct Url {
  bool tls = true;
  std::string host;  // lower case; IPv6 in brackets
  std::uint16_t port = 443;
  std::string path = "/";  // begins with a slash, escaped
  std::string query;       // without the question mark, escaped

  bool operator==(const Url&) const = default;

  [[nodiscard]] std::string text() const;
  // "https://host:port": for people and as a key. Never holds a signature.
  [[nodiscard]] std::string origin() const;
  [[nodiscard]] bool same_origin(const Url& other) const {
    return tls == other.tls && host == other.host && port == other.port;
  }
  // What a Location or Link header says, seen from this URL: absolute, `//host/path`, `/path`, or a path
  // beside this one. A fragment is cut.
  [[nodiscard]] std::optional<Url> resolve(std::string_view reference) const;
};

// At most 8 KiB: signed URLs are 1 to 2 KiB.
[[nodiscard]] std::optional<Url> parse_url(std::string_view text);

// Percent-encoding of all but unreserved characters: a slash too (a revision), or not (a path).
[[nodiscard]] std::string escape_segment(std::string_view text);
[[nodiscard]] std::string escape_path(std::string_view path);
// Nullopt for a broken escape. `+` stays.
[[nodiscard]] std::optional<std::string> unescape(std::string_view text);
// The value of a query parameter, unescaped; the name is compared without regard to case.
[[nodiscard]] std::optional<std::string> query_value(std::string_view query, std::string_view name);

}  // namespace shoal
