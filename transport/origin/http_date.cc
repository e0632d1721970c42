#include "transport/origin/http_date.h"

#include "transport/origin/text.h"

#include <array>
#include <chrono>
#include <cstddef>

namespace shoal {
namespace {

std::optional<int> number(std::string_view text, std::size_t at, std::size_t digits) {
  if (at + digits > text.size()) return std::nullopt;
  const auto value = parse_decimal(text.substr(at, digits));
  if (!value) return std::nullopt;
  return static_cast<int>(*value);
}

std::optional<WallTime> make_time(std::optional<int> year, std::optional<int> month, std::optional<int> day,
                                  std::optional<int> hour, std::optional<int> minute,
                                  std::optional<int> second) {
  if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok() || *year < 1970 || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  const auto at = std::chrono::sys_days(date) + std::chrono::hours(*hour) + std::chrono::minutes(*minute) +
                  std::chrono::seconds(*second);
  return WallTime{std::chrono::duration_cast<std::chrono::milliseconds>(at.time_since_epoch()).count()};
}

std::optional<int> month_of(std::string_view name) {
  constexpr std::array<std::string_view, 12> kNames = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (kNames.at(i) == name) return static_cast<int>(i) + 1;
  }
  return std::nullopt;
}

}  // namespace

std::optional<WallTime> parse_http_date(std::string_view text) {
  // Sun, 06 Nov 1994 08:49:37 GMT
  // 0    5  8   12   17 20 23 26
  text = trim_blanks(text);
  if (text.size() != 29 || text.substr(3, 2) != ", " || text.substr(25) != " GMT") return std::nullopt;
  if (text[7] != ' ' || text[11] != ' ' || text[16] != ' ' || text[19] != ':' || text[22] != ':')
    return std::nullopt;
  return make_time(number(text, 12, 4), month_of(text.substr(8, 3)), number(text, 5, 2), number(text, 17, 2),
                   number(text, 20, 2), number(text, 23, 2));
}

std::optional<WallTime> parse_compact_date(std::string_view text) {
  // 20260825T103000Z
  if (text.size() != 16 || text[8] != 'T' || text[15] != 'Z') return std::nullopt;
  return make_time(number(text, 0, 4), number(text, 4, 2), number(text, 6, 2), number(text, 9, 2),
                   number(text, 11, 2), number(text, 13, 2));
}

}  // namespace shoal
