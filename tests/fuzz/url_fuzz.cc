// URLs and references of Location headers (transport/origin/url.h), and the life of signed ones. A line each.
#include "tests/fuzz/fuzz_target.h"
#include "transport/origin/signed_url.h"
#include "transport/origin/url.h"

#include <algorithm>

using namespace shoal;

namespace {

void check(const Url& url) {
  FUZZ_REQUIRE(!url.host.empty() && url.port != 0 && url.path.starts_with('/'));
  const std::string text = url.text();
  // Nothing that another parser could read another host out of, and no second line of a request.
  FUZZ_REQUIRE(
      std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f && c != '\\' && c != '#'; }));
  FUZZ_REQUIRE(url.host.find_first_of("@/?#") == std::string::npos);
  if (text.size() <= 8192) {
    const auto again = parse_url(text);
    FUZZ_REQUIRE(again.has_value() && *again == url);
  }
}

}  // namespace

SHOAL_FUZZ_TARGET(url, 1) {
  constexpr WallTime kNow{1'770'000'000'000};
  fuzz::Input lines(input);
  const auto text = lines.line();
  const auto reference = lines.line();
  const auto url = parse_url(text);
  if (url) {
    check(*url);
    if (const auto target = url->resolve(reference)) check(*target);
  }
  const auto keep = signed_url_keep(url ? url->query : std::string(text), kNow);
  FUZZ_REQUIRE(keep.count() >= 0 && keep <= std::chrono::hours(12));
  FUZZ_REQUIRE(unescape(escape_segment(text)) == std::string(text));
  FUZZ_REQUIRE(unescape(escape_path(text)) == std::string(text));
}
