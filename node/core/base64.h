// Base64 (RFC 4648, with padding): bytes in JSON.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace shoal {

[[nodiscard]] std::string to_base64(std::span<const std::byte> bytes);
// nullopt: a character that is none of it, a wrong length or padding.
[[nodiscard]] std::optional<std::vector<std::byte>> from_base64(std::string_view text);

}  // namespace shoal
