#include "transport/origin/rate_limit_header.h"

#include "transport/origin/http_date.h"
#include "transport/origin/text.h"

#include <algorithm>
#include <cstddef>

namespace shoal {
namespace {

// A year; keeps sums far from overflow whatever a server says.
constexpr std::uint64_t kSecondsMax = 366ULL * 24 * 3600;

std::chrono::seconds clamped(std::uint64_t seconds) {
  return std::chrono::seconds(static_cast<std::int64_t>(std::min(seconds, kSecondsMax)));
}

// Up to the next `mark` outside quotes; removes it from `rest`.
std::string_view take_until(std::string_view& rest, char mark) {
  bool quoted = false;
  std::size_t i = 0;
  for (; i < rest.size(); ++i) {
    if (rest[i] == '"') quoted = !quoted;
    if (!quoted && rest[i] == mark) break;
  }
  const std::string_view taken = rest.substr(0, i);
  rest.remove_prefix(std::min(i + 1, rest.size()));
  return trim_blanks(taken);
}

std::optional<std::uint64_t> value_of(std::string_view parameter, char name) {
  if (parameter.size() < 3 || lower_case(parameter.front()) != name || parameter[1] != '=')
    return std::nullopt;
  return parse_decimal(parameter.substr(2));
}

std::optional<RateLimit> parse_bucket(std::string_view item) {
  RateLimit limit;
  const std::string_view name = take_until(item, ';');
  if (name.size() >= 2 && name.front() == '"' && name.back() == '"')
    limit.bucket = name.substr(1, name.size() - 2);
  bool has_remaining = false;
  while (!item.empty()) {
    const std::string_view parameter = take_until(item, ';');
    if (const auto r = value_of(parameter, 'r')) {
      limit.remaining = *r;
      has_remaining = true;
    } else if (const auto t = value_of(parameter, 't')) {
      limit.reset = clamped(*t);
    }
  }
  if (!has_remaining) return std::nullopt;
  return limit;
}

}  // namespace

std::optional<RateLimit> parse_rate_limit(std::string_view header) {
  std::optional<RateLimit> worst;
  while (!header.empty()) {
    auto limit = parse_bucket(take_until(header, ','));
    if (limit && (!worst || limit->remaining < worst->remaining)) worst = std::move(limit);
  }
  return worst;
}

std::optional<RateLimitPolicy> parse_rate_limit_policy(std::string_view header) {
  RateLimitPolicy policy;
  bool has_quota = false;
  bool has_window = false;
  std::string_view item = take_until(header, ',');
  while (!item.empty()) {
    const std::string_view parameter = take_until(item, ';');
    if (const auto q = value_of(parameter, 'q')) {
      policy.quota = *q;
      has_quota = true;
    } else if (const auto w = value_of(parameter, 'w')) {
      policy.window = clamped(*w);
      has_window = true;
    }
  }
  if (!has_quota || !has_window) return std::nullopt;
  return policy;
}

std::optional<std::chrono::seconds> parse_retry_after(std::string_view header, WallTime now) {
  header = trim_blanks(header);
  if (const auto seconds = parse_decimal(header)) return clamped(*seconds);
  const auto date = parse_http_date(header);
  if (!date) return std::nullopt;
  if (date->ms <= now.ms) return std::chrono::seconds(0);
  return clamped(static_cast<std::uint64_t>(date->ms - now.ms + 999) / 1000);
}

std::optional<std::chrono::seconds> limit_pause(const LimitHeaders& headers, WallTime now) {
  constexpr std::chrono::seconds kRounding{1};
  const auto limit = parse_rate_limit(headers.rate_limit);
  if (limit && limit->remaining == 0 && limit->reset.count() > 0) return limit->reset + kRounding;
  if (const auto after = parse_retry_after(headers.retry_after, now)) return *after + kRounding;
  if (limit && limit->remaining == 0) {
    if (const auto policy = parse_rate_limit_policy(headers.rate_limit_policy)) return policy->window;
  }
  return std::nullopt;
}

}  // namespace shoal
