// What the Hub says of a repo and its files (transport/origin/repo_json.h).
#include "node/core/geometry.h"
#include "tests/fuzz/fuzz_target.h"
#include "transport/origin/repo_json.h"

using namespace shoal;

SHOAL_FUZZ_TARGET(hub_json, 1) {
  const auto json = fuzz::as_text(input);
  if (const auto info = parse_repo_info(json)) {
    FUZZ_REQUIRE(is_commit_id(info->commit));
    FUZZ_REQUIRE(info->id.empty() || is_valid_repo_name(info->id));
  }
  const auto files = parse_tree_page(json);
  if (!files) {
    FUZZ_REQUIRE(files.error().code == Code::invalid && files.error().message.size() < 400);
    return;
  }
  std::size_t bytes = 0;
  for (const RepoFile& file : *files) {
    FUZZ_REQUIRE(is_valid_repo_path(file.path));
    FUZZ_REQUIRE(file.blob.size <= kMaxBlobSize);
    bytes += file.path.size() + 2 * file.blob.digest_bytes().size();
  }
  FUZZ_REQUIRE(bytes <= json.size());
}
