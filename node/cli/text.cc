#include "node/cli/text.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

namespace shoal::cli {
namespace {

struct Character {
  char32_t value = 0;
  std::size_t bytes = 1;
  bool valid = false;
};

// The first character of a UTF-8 text that is not empty.
Character decode(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return {first, 1, true};
  std::size_t length = 0;
  char32_t value = 0;
  if (first >= 0xC2 && first <= 0xDF) {
    length = 2;
    value = first & 0x1FU;
  } else if (first >= 0xE0 && first <= 0xEF) {
    length = 3;
    value = first & 0x0FU;
  } else if (first >= 0xF0 && first <= 0xF4) {
    length = 4;
    value = first & 0x07U;
  }
  if (length == 0 || text.size() < length) return {};
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0U) != 0x80) return {};
    value = (value << 6U) | (byte(i) & 0x3FU);
  }
  const bool overlong = (length == 3 && value < 0x800) || (length == 4 && value < 0x10000);
  const bool surrogate = value >= 0xD800 && value <= 0xDFFF;
  if (overlong || surrogate || value > 0x10FFFF) return {};
  return {value, length, true};
}

struct Range {
  char32_t first;
  char32_t last;
};

bool in_ranges(char32_t c, const Range* begin, const Range* end) {
  return std::any_of(begin, end, [&](const Range& r) { return c >= r.first && c <= r.last; });
}

// C0 and C1 controls, line and paragraph separators, and the marks that turn the direction of writing.
bool is_dangerous(char32_t c) {
  static constexpr std::array kRanges{Range{0, 0x1F},        Range{0x7F, 0x9F},      Range{0x200B, 0x200F},
                                      Range{0x2028, 0x202E}, Range{0x2060, 0x206F},  Range{0xFEFF, 0xFEFF},
                                      Range{0xFFF9, 0xFFFB}, Range{0xE0000, 0xE0FFF}};
  return in_ranges(c, kRanges.data(), kRanges.data() + kRanges.size());
}

std::size_t width_of(char32_t c) {
  static constexpr std::array kCombining{Range{0x0300, 0x036F}, Range{0x0483, 0x0489}, Range{0x0591, 0x05BD},
                                         Range{0x0610, 0x061A}, Range{0x064B, 0x065F}, Range{0x1AB0, 0x1AFF},
                                         Range{0x1DC0, 0x1DFF}, Range{0x20D0, 0x20FF}, Range{0xFE00, 0xFE0F},
                                         Range{0xFE20, 0xFE2F}};
  static constexpr std::array kWide{
      Range{0x1100, 0x115F},   Range{0x2E80, 0x303E},   Range{0x3041, 0xA4CF},   Range{0xAC00, 0xD7A3},
      Range{0xF900, 0xFAFF},   Range{0xFE30, 0xFE6F},   Range{0xFF00, 0xFF60},   Range{0xFFE0, 0xFFE6},
      Range{0x1F300, 0x1F64F}, Range{0x1F680, 0x1F6FF}, Range{0x1F900, 0x1F9FF}, Range{0x20000, 0x3FFFD}};
  if (in_ranges(c, kCombining.data(), kCombining.data() + kCombining.size())) return 0;
  if (in_ranges(c, kWide.data(), kWide.data() + kWide.size())) return 2;
  return 1;
}

// The bytes of the longest beginning that fits.
std::size_t fitting_bytes(std::string_view text, std::size_t width) {
  std::size_t used = 0;
  std::size_t at = 0;
  while (at < text.size()) {
    const Character c = decode(text.substr(at));
    const std::size_t columns = c.valid ? width_of(c.value) : 1;
    if (used + columns > width) break;
    used += columns;
    at += c.bytes;
  }
  return at;
}

}  // namespace

std::string printable_text(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Character c = decode(text);
    if (!c.valid || is_dangerous(c.value)) {
      out.push_back('?');
    } else {
      out.append(text.substr(0, c.bytes));
    }
    text.remove_prefix(c.bytes);
  }
  return out;
}

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  while (!text.empty()) {
    const Character c = decode(text);
    width += c.valid ? width_of(c.value) : 1;
    text.remove_prefix(c.bytes);
  }
  return width;
}

std::string clip_end(std::string_view text, std::size_t width) {
  if (display_width(text) <= width) return std::string(text);
  if (width <= 2) return std::string(width, '.');
  return std::string(text.substr(0, fitting_bytes(text, width - 2))) + "..";
}

std::string clip_middle(std::string_view text, std::size_t width) {
  const std::size_t whole = display_width(text);
  if (whole <= width) return std::string(text);
  if (width < 8) return clip_end(text, width);
  const std::size_t tail = (width - 2) / 2;
  const std::size_t head = width - 2 - tail;
  // Skips from the front until what is left fits into the tail.
  const std::size_t skip = fitting_bytes(text, whole - tail);
  std::string_view rest = text.substr(skip);
  while (display_width(rest) > tail) rest.remove_prefix(decode(rest).bytes);
  return std::string(text.substr(0, fitting_bytes(text, head))) + ".." + std::string(rest);
}

std::string pad_right(std::string text, std::size_t width) {
  const std::size_t have = display_width(text);
  if (have < width) text.append(width - have, ' ');
  return text;
}

std::string pad_left(std::string text, std::size_t width) {
  const std::size_t have = display_width(text);
  return have < width ? std::string(width - have, ' ') + text : text;
}

Table::Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

void Table::add(std::vector<std::string> cells) {
  cells.resize(columns_.size());
  for (std::string& cell : cells) cell = printable_text(cell);
  rows_.push_back(std::move(cells));
}

std::string Table::text(std::size_t width) const {
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    std::size_t widest = display_width(columns_[i].heading);
    for (const auto& row : rows_) widest = std::max(widest, display_width(row[i]));
    widths.push_back(widest);
  }
  std::string out;
  const auto add_line = [&](const auto& cell) {
    std::string line;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      if (i > 0) line += "  ";
      line +=
          columns_[i].align == Align::right ? pad_left(cell(i), widths[i]) : pad_right(cell(i), widths[i]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += (width == 0 ? line : clip_end(line, width)) + "\n";
  };
  add_line([&](std::size_t i) { return columns_[i].heading; });
  for (const auto& row : rows_) {
    add_line([&](std::size_t i) { return row[i]; });
  }
  return out;
}

}  // namespace shoal::cli
