#include "node/config/units.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <limits>
#include <optional>
#include <utility>

namespace shoal {
namespace {

// Nothing on a disk or a wire is larger, and doubles below 2^53 bytes stay exact.
constexpr double kLargest = 9007199254740992.0;

struct Number {
  double value = 0;
  std::string_view unit;  // what follows, without spaces around it
};

std::string_view trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

std::optional<Number> split_number(std::string_view text) {
  text = trim(text);
  double value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (error != std::errc{} || !std::isfinite(value) || value < 0) return std::nullopt;
  return Number{value, trim(text.substr(static_cast<std::size_t>(end - text.data())))};
}

struct Unit {
  std::string_view name;
  double factor;
};

constexpr std::array kSizeUnits{
    Unit{"B", 1},
    Unit{"KiB", 1024.0},
    Unit{"MiB", 1024.0 * 1024},
    Unit{"GiB", 1024.0 * 1024 * 1024},
    Unit{"TiB", 1024.0 * 1024 * 1024 * 1024},
    Unit{"kB", 1e3},
    Unit{"KB", 1e3},
    Unit{"MB", 1e6},
    Unit{"GB", 1e9},
    Unit{"TB", 1e12},
};
constexpr std::array kBitUnits{
    Unit{"bit/s", 0.125},
    Unit{"kbit/s", 125.0},
    Unit{"Mbit/s", 125e3},
    Unit{"Gbit/s", 125e6},
};

Result<std::uint64_t> scaled(double value, double factor, std::string_view text) {
  const double bytes = value * factor;
  if (bytes > kLargest) return fail(Code::invalid, "'" + std::string(text) + "' is too large");
  return static_cast<std::uint64_t>(bytes);
}

}  // namespace

Result<std::uint64_t> parse_size(std::string_view text) {
  const auto number = split_number(text);
  if (number) {
    if (number->unit.empty() && number->value == std::floor(number->value)) {
      return scaled(number->value, 1, text);
    }
    for (const Unit& unit : kSizeUnits) {
      if (unit.name == number->unit) return scaled(number->value, unit.factor, text);
    }
  }
  return fail(Code::invalid,
              "'" + std::string(text) + "' is not a size: write it like 200GiB (2^30) or 200GB (10^9)");
}

Result<std::uint64_t> parse_rate(std::string_view text) {
  const auto number = split_number(text);
  if (number) {
    if (number->unit.empty() && number->value == 0) return std::uint64_t{0};
    for (const Unit& unit : kBitUnits) {
      if (unit.name == number->unit) return scaled(number->value, unit.factor, text);
    }
    if (number->unit.ends_with("/s")) {
      const auto per_second = number->unit.substr(0, number->unit.size() - 2);
      for (const Unit& unit : kSizeUnits) {
        if (unit.name == per_second) return scaled(number->value, unit.factor, text);
      }
    }
  }
  return fail(Code::invalid,
              "'" + std::string(text) + "' is not a rate: write it like 100Mbit/s or 12MB/s; 0 is no limit");
}

Result<std::chrono::milliseconds> parse_duration(std::string_view text) {
  const auto bad = [&] {
    return fail(Code::invalid,
                "'" + std::string(text) + "' is not a duration: write it like 30s, 15m, 1h30m or 2d");
  };
  static constexpr std::array kUnits{Unit{"ms", 1}, Unit{"s", 1e3}, Unit{"m", 60e3}, Unit{"h", 3600e3},
                                     Unit{"d", 86400e3}};
  std::string_view rest = trim(text);
  if (rest.empty()) return bad();
  double total = 0;
  while (!rest.empty()) {
    const auto number = split_number(rest);
    if (!number) return bad();
    const auto letters = number->unit.find_first_not_of("abcdefghijklmnopqrstuvwxyz");
    const auto name = number->unit.substr(0, letters);
    bool known = false;
    for (const Unit& unit : kUnits) {
      if (unit.name != name) continue;
      total += number->value * unit.factor;
      known = true;
    }
    if (!known) return bad();
    rest = letters == std::string_view::npos ? std::string_view{} : number->unit.substr(letters);
  }
  // A hundred years: nothing here is meant to last longer, and it keeps every clock's arithmetic in range.
  if (total > 100.0 * 365 * 86400e3) return bad();
  return std::chrono::milliseconds{static_cast<std::int64_t>(total)};
}

std::string format_size(std::uint64_t bytes) {
  static constexpr std::array<std::string_view, 6> kNames{"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  if (bytes < 1024) return std::to_string(bytes) + " B";
  std::size_t name = 1;
  std::uint64_t unit = 1024;
  while (bytes / unit >= 1024 && name + 1 < kNames.size()) {
    unit *= 1024;
    ++name;
  }
  const std::uint64_t tenths = bytes % unit * 10 / unit;  // at most 2^50 times 10
  return std::to_string(bytes / unit) + "." + std::to_string(tenths) + " " + std::string(kNames[name]);
}

std::string format_rate(std::uint64_t bytes_per_s) {
  return format_size(bytes_per_s) + "/s";
}

std::string format_duration(std::int64_t seconds) {
  if (seconds < 0) seconds = 0;
  const auto two = [](std::int64_t n) { return (n < 10 ? "0" : "") + std::to_string(n); };
  if (seconds < 60) return std::to_string(seconds) + "s";
  if (seconds < 3600) return std::to_string(seconds / 60) + "m" + two(seconds % 60) + "s";
  if (seconds < 86400) return std::to_string(seconds / 3600) + "h" + two(seconds / 60 % 60) + "m";
  return std::to_string(seconds / 86400) + "d" + two(seconds / 3600 % 24) + "h";
}

}  // namespace shoal
