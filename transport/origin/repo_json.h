// The Hub's JSON for a repo and its files (reference section 2), as values. What is needed is checked, the
// rest is skipped.
#pragma once

#include "node/core/result.h"
#include "transport/origin/hub_client.h"

#include <string_view>
#include <vector>

namespace shoal {

// `/api/{type}s/{id}/revision/{rev}`. Needs `sha`; `id` must be a repo name if it is there.
// Errors: invalid.
[[nodiscard]] Result<RepoInfo> parse_repo_info(std::string_view json);

// One page of `/api/{type}s/{id}/tree/{rev}?recursive=true`: its files; folders are skipped. An LFS file's
// blob is its sha256 and real size, any other's its git sha1. A bad entry is an error that names it. Errors:
// invalid.
[[nodiscard]] Result<std::vector<RepoFile>> parse_tree_page(std::string_view json);

}  // namespace shoal
