// Strict reading of what a client asks for: every field known, of the right type and in bounds, or an error
// that names it.
#pragma once

#include "node/api/api_backend.h"
#include "node/api/cluster_backend.h"
#include "node/api/export_backend.h"
#include "node/api/http_message.h"
#include "node/core/result.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

namespace shoal {

inline constexpr std::size_t kGlobsMax = 256;       // of include or exclude
inline constexpr std::size_t kGlobBytesMax = 1024;  // as long as a path

[[nodiscard]] Result<PullRequest> read_pull_request(const HttpRequest& request);
[[nodiscard]] Result<SeedRequest> read_seed_request(const HttpRequest& request);
[[nodiscard]] Result<std::optional<RepoRef>> read_verify_request(const HttpRequest& request);

struct LoadRequest {
  bool busy = false;
  std::optional<std::chrono::seconds> duration;
};
[[nodiscard]] Result<LoadRequest> read_load_request(const HttpRequest& request);

[[nodiscard]] Result<GcRequest> read_gc_request(const HttpRequest& request);
[[nodiscard]] Result<RepoRef> read_pin_request(const HttpRequest& request);

[[nodiscard]] Result<ExportRequest> read_export_request(const HttpRequest& request);

// Of closed clusters. A body of `{}`; a life in seconds (one hour unless given); "HOST" or "HOST:PORT".
[[nodiscard]] Result<void> read_empty_request(const HttpRequest& request);
[[nodiscard]] Result<std::chrono::seconds> read_invite_request(const HttpRequest& request);
[[nodiscard]] Result<ClusterJoin> read_cluster_join_request(const HttpRequest& request);
[[nodiscard]] Result<std::string> read_revoke_request(const HttpRequest& request);

// The path's `{type}/{repo...}` and the query's `revision`.
[[nodiscard]] Result<RemoveRequest> read_remove_request(const std::string& type, const std::string& repo,
                                                        const HttpRequest& request);

// A positive id from the path.
[[nodiscard]] Result<std::int64_t> read_id(const std::string& text);

// Refuses query fields other than these.
[[nodiscard]] Result<void> check_query(const HttpRequest& request,
                                       std::initializer_list<std::string_view> known);
[[nodiscard]] Result<std::size_t> read_limit(const HttpRequest& request, std::size_t normal, std::size_t max);

// How long an answer may be held back until there is something to say; 0 when not asked for. Well below
// HttpServerOptions::handler_timeout and the patience of proxies.
inline constexpr std::chrono::milliseconds kWaitMax{30'000};
[[nodiscard]] Result<std::chrono::milliseconds> read_wait(const HttpRequest& request);

struct RepoFilter {
  std::optional<std::string> repo;
  std::optional<RepoType> type;
};
[[nodiscard]] Result<RepoFilter> read_repo_filter(const HttpRequest& request);

}  // namespace shoal
