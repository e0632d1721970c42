#include "node/core/glob.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace shoal {
namespace {

struct Character {
  char32_t value = 0;
  std::size_t bytes = 1;
};

// REQUIRES: at < text.size(). Bytes that are not UTF-8 are mapped above the last code point, so that they
// equal themselves and no real character.
Character character_at(std::string_view text, std::size_t at) {
  const auto lead = static_cast<std::uint8_t>(text[at]);
  if (lead == '\\') return {U'/', 1};
  if (lead < 0x80) return {lead, 1};
  const std::size_t length = lead >= 0xF0 && lead < 0xF8 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
  const Character raw{static_cast<char32_t>(0x110000U + lead), 1};
  if (length == 1 || lead >= 0xF8 || at + length > text.size()) return raw;
  char32_t value = lead & (0x7FU >> length);
  for (std::size_t i = 1; i < length; ++i) {
    const auto next = static_cast<std::uint8_t>(text[at + i]);
    if ((next & 0xC0U) != 0x80U) return raw;
    value = (value << 6U) | (next & 0x3FU);
  }
  return {value, length};
}

// The end of the set that opens at `open` (one past its `]`), or nullopt if it never closes. A `]` right
// after `[` or `[!` belongs to the set.
std::optional<std::size_t> set_end(std::string_view pattern, std::size_t open) {
  std::size_t from = open + 1;
  if (from < pattern.size() && pattern[from] == '!') ++from;
  if (from < pattern.size() && pattern[from] == ']') ++from;
  const std::size_t close = pattern.find(']', from);
  if (close == std::string_view::npos) return std::nullopt;
  return close + 1;
}

// `set` is what stands between the brackets.
bool set_contains(std::string_view set, char32_t c) {
  const bool negated = set.starts_with('!');
  if (negated) set.remove_prefix(1);
  bool found = false;
  for (std::size_t i = 0; i < set.size();) {
    const Character low = character_at(set, i);
    i += low.bytes;
    if (i + 1 < set.size() && set[i] == '-') {  // a range; a reversed one is empty
      const Character high = character_at(set, i + 1);
      i += 1 + high.bytes;
      found = found || (low.value <= c && c <= high.value);
    } else {
      found = found || low.value == c;
    }
  }
  return found != negated;
}

bool match(std::string_view pattern, std::string_view path) {
  std::size_t p = 0;
  std::size_t s = 0;
  std::optional<std::size_t> star;  // where the pattern goes on after the last `*`
  std::size_t star_text = 0;        // how far that star has eaten

  while (s < path.size()) {
    const Character c = character_at(path, s);
    bool fits = false;
    std::size_t next = p;
    if (p < pattern.size()) {
      if (pattern[p] == '*') {
        star = ++p;
        star_text = s;
        continue;
      }
      if (pattern[p] == '?') {
        fits = true;
        next = p + 1;
      } else if (const auto end = pattern[p] == '[' ? set_end(pattern, p) : std::nullopt) {
        fits = set_contains(pattern.substr(p + 1, *end - p - 2), c.value);
        next = *end;
      } else {
        const Character want = character_at(pattern, p);
        fits = want.value == c.value;
        next = p + want.bytes;
      }
    }
    if (fits) {
      p = next;
      s += c.bytes;
    } else if (star) {
      p = *star;
      star_text += character_at(path, star_text).bytes;
      s = star_text;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace

bool glob_match(std::string_view pattern, std::string_view path) {
  if (pattern.ends_with('/') || pattern.ends_with('\\')) return match(std::string(pattern) + '*', path);
  return match(pattern, path);
}

bool glob_selects(const std::vector<std::string>& include, const std::vector<std::string>& exclude,
                  std::string_view path) {
  const auto matches = [path](const std::string& pattern) { return glob_match(pattern, path); };
  if (!include.empty() && std::ranges::none_of(include, matches)) return false;
  return std::ranges::none_of(exclude, matches);
}

}  // namespace shoal
