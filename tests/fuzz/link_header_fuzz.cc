// The next page of a listing (transport/origin/link_header.h), and where it leads from the Hub.
#include "tests/fuzz/fuzz_target.h"
#include "transport/origin/link_header.h"
#include "transport/origin/url.h"

using namespace shoal;

SHOAL_FUZZ_TARGET(link_header, 1) {
  const auto header = fuzz::as_text(input);
  const auto next = parse_link_next(header);
  if (!next) return;
  FUZZ_REQUIRE(header.find("<" + *next + ">") != std::string_view::npos);
  const auto page = parse_url("https://hub.example/api/models/a/b/tree/main");
  const auto url = page->resolve(*next);
  if (!url) return;
  // The token goes by host and port: a target without them stays where it is.
  if (next->find("//") == std::string::npos && next->find(':') == std::string::npos)
    FUZZ_REQUIRE(url->same_origin(*page));
  FUZZ_REQUIRE(url->path.starts_with('/'));
}
