// The next page of a listing: `Link: <URL>; rel="next"` (RFC 8288).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace shoal {

// The target of the first link whose relation types include `next`, as it stands in the header; nullopt if
// there is none. Commas and semicolons inside `<>` and quotes do not count.
[[nodiscard]] std::optional<std::string> parse_link_next(std::string_view header);

}  // namespace shoal
