#include "transport/origin/signed_url.h"

#include "transport/origin/http_date.h"
#include "transport/origin/text.h"
#include "transport/origin/url.h"

#include <algorithm>
#include <cstdint>
#include <string>

namespace shoal {
namespace {

constexpr std::uint64_t kYear9999 = 253'402'300'799;  // Unix seconds; keeps milliseconds in range

std::optional<std::uint64_t> number_in(std::string_view query, std::string_view name) {
  const auto text = query_value(query, name);
  if (!text) return std::nullopt;
  const auto value = parse_decimal(*text);
  if (!value || *value > kYear9999) return std::nullopt;
  return value;
}

std::optional<WallTime> relative_expiry(std::string_view query, const std::string& prefix, WallTime now) {
  const auto seconds = number_in(query, prefix + "Expires");
  if (!seconds) return std::nullopt;
  const auto date = query_value(query, prefix + "Date");
  const auto start = date ? parse_compact_date(*date) : std::nullopt;
  return WallTime{start.value_or(now).ms + static_cast<std::int64_t>(*seconds) * 1000};
}

}  // namespace

std::optional<WallTime> signed_url_expiry(std::string_view query, WallTime now) {
  std::optional<WallTime> earliest;
  const auto consider = [&earliest](std::optional<WallTime> at) {
    if (at && (!earliest || *at < *earliest)) earliest = at;
  };
  if (const auto expires = number_in(query, "Expires")) {
    consider(WallTime{static_cast<std::int64_t>(*expires) * 1000});
  }
  consider(relative_expiry(query, "X-Amz-", now));
  consider(relative_expiry(query, "X-Goog-", now));
  return earliest;
}

std::chrono::seconds signed_url_keep(std::string_view query, WallTime now) {
  constexpr std::int64_t kUnknown = 50L * 60;
  constexpr std::int64_t kMargin = 60;
  constexpr std::int64_t kClockIsOff = 20;
  constexpr std::int64_t kMost = 12L * 3600;
  const auto expiry = signed_url_expiry(query, now);
  if (!expiry) return std::chrono::seconds(kUnknown);
  const std::int64_t life = (expiry->ms - now.ms) / 1000;
  if (life <= 0) return std::chrono::seconds(kClockIsOff);
  return std::chrono::seconds(std::min(std::max(life - kMargin, life / 2), kMost));
}

}  // namespace shoal
