#include "transport/origin/content_range.h"

#include "transport/origin/text.h"

#include <cstddef>

namespace shoal {

std::optional<ContentRange> parse_content_range(std::string_view header) {
  header = trim_blanks(header);
  constexpr std::string_view kUnit = "bytes ";
  if (!equals_ignoring_case(header.substr(0, kUnit.size()), kUnit)) return std::nullopt;
  header = trim_blanks(header.substr(kUnit.size()));
  const std::size_t slash = header.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const std::string_view range = header.substr(0, slash);
  const std::string_view total = header.substr(slash + 1);
  const std::size_t dash = range.find('-');
  if (dash == std::string_view::npos) return std::nullopt;

  const auto first = parse_decimal(range.substr(0, dash));
  const auto last = parse_decimal(range.substr(dash + 1));
  if (!first || !last || *last < *first) return std::nullopt;
  ContentRange out{*first, *last, std::nullopt};
  if (total != "*") {
    out.total = parse_decimal(total);
    if (!out.total || *last >= *out.total) return std::nullopt;
  }
  return out;
}

}  // namespace shoal
