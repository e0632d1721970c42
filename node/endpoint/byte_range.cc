#include "node/endpoint/byte_range.h"

#include <algorithm>
#include <limits>
#include <optional>

namespace shoal {
namespace {

constexpr std::uint64_t kHuge = std::numeric_limits<std::uint64_t>::max();

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// A number too large for 64 bits is as large as can be: it lies behind every file.
std::optional<std::uint64_t> byte_position(std::string_view text) {
  if (text.empty() || !std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; }))
    return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : text) {
    const auto digit = static_cast<std::uint64_t>(c - '0');
    if (value > (kHuge - digit) / 10) return kHuge;
    value = value * 10 + digit;
  }
  return value;
}

bool is_bytes_unit(std::string_view unit) {
  return std::ranges::equal(unit, std::string_view("bytes"),
                            [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b; });
}

}  // namespace

RangeChoice choose_range(std::string_view header, std::uint64_t size) {
  const RangeChoice whole{RangeChoice::Kind::whole, 0, size, false};
  const RangeChoice none{RangeChoice::Kind::unsatisfiable, 0, 0, false};
  const auto equals = header.find('=');
  if (equals == std::string_view::npos || !is_bytes_unit(trim(header.substr(0, equals)))) return whole;
  const std::string_view spec = trim(header.substr(equals + 1));
  const auto dash = spec.find('-');
  if (dash == std::string_view::npos || spec.find(',') != std::string_view::npos) return whole;
  const auto first_text = trim(spec.substr(0, dash));
  const auto last_text = trim(spec.substr(dash + 1));
  const auto first = byte_position(first_text);
  const auto last = byte_position(last_text);
  if ((!first && !first_text.empty()) || (!last && !last_text.empty())) return whole;
  if (!first) {
    if (!last) return whole;
    if (*last == 0 || size == 0) return none;
    const std::uint64_t length = std::min(*last, size);
    return {RangeChoice::Kind::part, size - length, length, false};
  }
  if (last && *last < *first) return whole;
  if (*first >= size) return none;
  const std::uint64_t end = last ? std::min(*last, size - 1) : size - 1;
  return {RangeChoice::Kind::part, *first, end - *first + 1, !last};
}

bool if_range_holds(std::string_view header, std::string_view etag) {
  return header.empty() || trim(header) == etag;
}

bool names_etag(std::string_view list, std::string_view etag) {
  list = trim(list);
  if (list == "*") return true;
  while (!list.empty()) {
    const auto comma = std::min(list.find(','), list.size());
    std::string_view tag = trim(list.substr(0, comma));
    if (tag.starts_with("W/")) tag.remove_prefix(2);
    if (!tag.empty() && tag == etag) return true;
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return false;
}

}  // namespace shoal
