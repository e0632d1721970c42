// What the parts of the Hub client share: settings, the loop, pauses, randomness, counters. The loop's thread
// only, but for the counters.
#pragma once

#include "transport/origin/curl_loop.h"
#include "transport/origin/exchange.h"
#include "transport/origin/host_pauses.h"
#include "transport/origin/hub_client.h"
#include "transport/origin/hub_error.h"
#include "transport/origin/url.h"

#include <atomic>
#include <cstdint>
#include <optional>
#include <random>
#include <string>

namespace shoal {

struct OriginContext {
  explicit OriginContext(HubClient::Options o, HubClient::Notices n, Url hub_url);

  // Constant after construction.
  const HubClient::Options options;
  const HubClient::Notices notices;
  const Url hub;  // its path has no trailing slash, and is empty for a Hub at the root
  const HttpSettings http;

  CurlLoop loop;
  HostPauses pauses;
  std::string token;
  std::minstd_rand random;  // jitter only

  // Read by any thread.
  std::atomic<std::uint64_t> requests{0};
  std::atomic<std::uint64_t> resolves{0};
  std::atomic<std::uint64_t> rate_limited{0};
  std::atomic<std::uint64_t> retries{0};
  std::atomic<std::uint64_t> bytes_received{0};
  std::atomic<std::uint64_t> bytes_wasted{0};
  std::atomic<std::uint32_t> connections{0};
  std::atomic<std::uint32_t> waiting{0};

  [[nodiscard]] bool is_hub(const Url& url) const { return url.same_origin(hub); }
  // The token if the URL is the Hub's, else nothing.
  [[nodiscard]] std::string token_for(const Url& url) const { return token_for(url, token); }
  // The same with a token that a program brought along; an empty one means the node's own.
  [[nodiscard]] std::string token_for(const Url& url, const std::string& brought) const {
    if (!is_hub(url)) return {};
    return brought.empty() ? token : brought;
  }

  [[nodiscard]] Url api_url(const RepoRef& repo, std::string_view what, std::string_view revision,
                            std::string query = {}) const;
  [[nodiscard]] Url resolve_url(const OriginFile& file) const;
  [[nodiscard]] HubQuestion question(const RepoRef& repo, std::string revision, std::string path) const;

  // Pauses the answer's host as its headers say, or by backoff after the given number of 429 in a row.
  void note_limited(const Url& url, const ResponseHead& head, int in_a_row);
  [[nodiscard]] Duration backoff(int failures);
  [[nodiscard]] double jitter();  // in [0, 1)
};

[[nodiscard]] WallTime wall_now();
// The server's clock as its Date header says, else this machine's.
[[nodiscard]] WallTime server_time(const ResponseHead& head);

// Where a redirect leads. Errors: invalid (no Location, not http(s), from https to http).
[[nodiscard]] Result<Url> redirect_target(const Url& from, const ResponseHead& head);
[[nodiscard]] bool is_redirect(int status);

// Holds what the Hub says of a file against what was asked for: commit, linked ETag and size, or on an answer
// without a redirect ETag and length. What it does not say is not held against it. Errors: changed.
[[nodiscard]] std::optional<Error> identity_mismatch(const OriginFile& file, const ResponseHead& head);

}  // namespace shoal
