// Dates of HTTP and of signed URLs (transport/origin/http_date.h).
#include "tests/fuzz/fuzz_target.h"
#include "transport/origin/http_date.h"

#include <array>
#include <ctime>

using namespace shoal;

namespace {

// As libc writes that time.
std::string written(WallTime at, const char* format) {
  const auto seconds = static_cast<std::time_t>(at.ms / 1000);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 64> text{};
  return {text.data(), std::strftime(text.data(), text.size(), format, &parts)};
}

}  // namespace

SHOAL_FUZZ_TARGET(http_date, 1) {
  const auto text = fuzz::as_text(input);
  if (const auto at = parse_http_date(text)) {
    FUZZ_REQUIRE(at->ms >= 0 && at->ms <= 253'402'300'800'000);  // years 1970 to 9999
    if (at->ms < 253'402'300'800'000)
      FUZZ_REQUIRE(parse_http_date(written(*at, "%a, %d %b %Y %H:%M:%S GMT")) == at);
  }
  if (const auto at = parse_compact_date(text)) {
    if (at->ms < 253'402'300'800'000) FUZZ_REQUIRE(parse_compact_date(written(*at, "%Y%m%dT%H%M%SZ")) == at);
  }
}
