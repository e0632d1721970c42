// Range headers of clients (node/endpoint/byte_range.h) and Content-Range of servers. Eight bytes of file
// size, then a line per header.
#include "node/endpoint/byte_range.h"
#include "tests/fuzz/fuzz_target.h"
#include "transport/origin/content_range.h"

using namespace shoal;

SHOAL_FUZZ_TARGET(byte_range, 1) {
  fuzz::Input lines(input);
  const std::uint64_t size = lines.u64();
  const auto header = lines.line();
  const auto choice = choose_range(header, size);
  using Kind = RangeChoice::Kind;
  if (choice.kind == Kind::whole) FUZZ_REQUIRE(choice.first == 0 && choice.length == size);
  if (choice.kind == Kind::part) {
    FUZZ_REQUIRE(choice.length > 0 && choice.first < size && choice.length <= size - choice.first);
    if (choice.to_the_end) FUZZ_REQUIRE(choice.length == size - choice.first);
    // The same part by its canonical name.
    const auto again = choose_range(
        "bytes=" + std::to_string(choice.first) + "-" + std::to_string(choice.first + choice.length - 1),
        size);
    FUZZ_REQUIRE(again.kind == Kind::part && again.first == choice.first && again.length == choice.length);
  }
  const auto tags = lines.line();
  constexpr std::string_view kEtag = "\"0a1b\"";
  if (names_etag(tags, kEtag))
    FUZZ_REQUIRE(tags.find(kEtag) != std::string_view::npos || tags.find('*') != std::string_view::npos);
  if (!tags.empty() && if_range_holds(tags, kEtag)) FUZZ_REQUIRE(tags.find(kEtag) != std::string_view::npos);
  for (const auto line : {header, tags}) {
    const auto range = parse_content_range(line);
    if (!range) continue;
    FUZZ_REQUIRE(range->first <= range->last && (!range->total || range->last < *range->total));
  }
}
