// The Hub's JSON answers, made from a listing (reference section 2). Pure. Xet never appears in them, so that
// no client goes around the node.
#pragma once

#include "node/endpoint/repo_listing.h"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace shoal {

using Query = std::vector<std::pair<std::string, std::string>>;

// True, true, TRUE, 1: requests, httpx and JavaScript write it differently.
[[nodiscard]] bool is_true(std::string_view value);
[[nodiscard]] bool query_flag(const Query& query, std::string_view name);

// The repo's description with `siblings`. nullopt: it is asked for a field that only the Hub knows.
[[nodiscard]] std::optional<std::string> info_json(const RepoListing& listing, const Query& query);
// The same with what is known, for when the Hub is out of reach.
[[nodiscard]] std::string info_json_as_known(const RepoListing& listing, const Query& query);

struct TreePage {
  std::string json;
  std::optional<std::string> next_query;  // of the next page, escaped
};
inline constexpr std::size_t kTreePageMax = 1000;  // the Hub's own
// nullopt: a cursor that is none of ours. REQUIRES: listing.has_folder(folder).
[[nodiscard]] std::optional<TreePage> tree_page(const RepoListing& listing, std::string_view folder,
                                                const Query& query);

inline constexpr std::size_t kPathsMax = 2000;  // in one question, as on the Hub
struct PathsQuestion {
  std::vector<std::string> paths;
  bool expand = false;
};
// From a form (Python) or JSON (JavaScript). nullopt: neither, or too many paths.
[[nodiscard]] std::optional<PathsQuestion> read_paths_question(std::string_view content_type,
                                                               std::string_view body);
// Entries of those paths that exist.
[[nodiscard]] std::string paths_json(const RepoListing& listing, const std::vector<std::string>& paths);

[[nodiscard]] std::string treesize_json(const RepoListing& listing, std::string_view folder);

// `refs` of a repo: revisions with their commits.
[[nodiscard]] std::string refs_json(const std::vector<std::pair<std::string, std::string>>& revisions);

// {"error": "..."}, as the Hub's API says it.
[[nodiscard]] std::string error_json(std::string_view message);

// Removes what leads to Xet from an answer of the Hub; text that is no JSON, or nested deeper than
// any answer of the Hub (node/core/json_depth.h), comes back as it was.
[[nodiscard]] std::string without_xet(std::string body);

// The `next` link of a Link header, pointing to `base` ("http://host:port") instead of the Hub; empty when
// there is none, or its target is not below /api/. Every other link is left out: that is where Xet is.
[[nodiscard]] std::string next_link(std::string_view header, std::string_view base);

}  // namespace shoal
