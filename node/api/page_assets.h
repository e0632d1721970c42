// The files of node/page/ and openapi.json, inside the program: the page needs no file and no other host.
#pragma once

#include <span>
#include <string_view>

namespace shoal {

struct PageAsset {
  std::string_view name;  // "index.html"
  std::string_view content_type;
  std::string_view etag;  // quoted; changes with the bytes
  std::string_view bytes;
};

[[nodiscard]] std::span<const PageAsset> page_assets();

}  // namespace shoal
