// The known name that a misspelt one was probably meant to be.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace shoal {

// By edit distance (swapped neighbours count as one edit); nullopt when nothing is near: more than a third of
// the letters would have to change.
[[nodiscard]] std::optional<std::string> nearest_name(std::string_view wrong,
                                                      std::span<const std::string> known);

}  // namespace shoal
