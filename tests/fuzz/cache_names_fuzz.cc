// Names found in a Hub cache that other programs wrote (storage/hub_cache_layout.h). Two lines: a name or
// path, and where a link points.
#include "storage/hub_cache_layout.h"
#include "tests/fuzz/fuzz_target.h"

using namespace shoal;

SHOAL_FUZZ_TARGET(cache_names, 1) {
  fuzz::Input lines(input);
  const auto name = lines.line();
  const auto target = lines.line();
  if (const auto repo = parse_repo_folder_name(name)) {
    FUZZ_REQUIRE(is_valid_repo_name(repo->name) && repo_folder_name(*repo) == name);
  }
  if (const auto etag = parse_partial_name(name)) {
    FUZZ_REQUIRE(is_blob_name(*etag) && name.starts_with(*etag) && name.find('/') == std::string_view::npos);
  }
  if (!is_valid_repo_path(name)) return;
  if (const auto etag = parse_snapshot_link_target(name, target)) {
    const auto id = BlobId::from_etag(*etag, 1);
    FUZZ_REQUIRE(id.has_value() && snapshot_link_target(name, *id) == target);
  }
}
