// Small ASCII helpers that the parsers of this folder share; independent of the locale.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace shoal {

[[nodiscard]] constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
[[nodiscard]] constexpr bool is_hex_digit(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
[[nodiscard]] constexpr bool is_alphanumeric(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
[[nodiscard]] constexpr bool is_blank(char c) {
  return c == ' ' || c == '\t';
}
[[nodiscard]] constexpr char lower_case(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
// REQUIRES: is_hex_digit(c).
[[nodiscard]] constexpr int hex_digit(char c) {
  return is_digit(c) ? c - '0' : lower_case(c) - 'a' + 10;
}

[[nodiscard]] std::string lower_case(std::string_view text);
[[nodiscard]] bool equals_ignoring_case(std::string_view a, std::string_view b);
[[nodiscard]] std::string_view trim_blanks(std::string_view text);
[[nodiscard]] std::string percent_encoded(char c);

// Decimal digits only, at least one, no sign, no overflow.
[[nodiscard]] std::optional<std::uint64_t> parse_decimal(std::string_view text);

// For messages: at most 100 bytes, control characters and quotes replaced, so that a name from outside cannot
// forge a line.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace shoal
