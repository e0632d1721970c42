// Status and headers of one HTTP answer.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace shoal {

struct ResponseHead {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case

  // The first value under the name (lower case); empty if there is none.
  [[nodiscard]] std::string_view value(std::string_view name) const;
};

// The bare hash out of `"<hash>"` or `W/"<hash>"`.
[[nodiscard]] std::string_view bare_etag(std::string_view etag);

}  // namespace shoal
