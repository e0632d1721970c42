// The Hub and its CDN over HTTP: what a revision is, which files it has, and the bytes of slices.
//
// It asks, follows redirects, retries, waits out rate limits, and holds every answer against what was asked
// for. It does not verify hashes, does not write files and decides nothing about what to fetch: the sink
// hashes, the loop decides. Nothing is logged here; signed URLs and the token never appear in an error or a
// notice.
//
// Threads: one thread of its own drives one libcurl multi handle. All public methods may be called from any
// thread and return at once. All callbacks come on the origin's thread, and may only post: while one runs, no
// byte moves. One exception: a call made while the queue is full is refused on the caller's own thread,
// before the call returns.
//
// How a slice travels:
// - `/resolve/{commit}/{path}` is asked once per file by HEAD, whatever the number of waiting slices;
//   redirects are followed by hand. Why: the publisher's hash is on the Hub's redirect, not on the CDN's
//   answer, and the token may go to the Hub's scheme, host and port only.
// - The signed URL is kept until a minute before it expires. When the CDN refuses it (4xx) it is resolved
//   again once and the slice goes on at its first undelivered byte.
// - Each slice has an HTTP/1.1 connection of its own, reused for the next slice. Why not streams of one
//   HTTP/2 connection: they would share one TCP window, and speed comes from parallel ones. Metadata uses
//   HTTP/2.
// - Only a 206 with exactly the asked Content-Range (or a 200 when the slice is the whole file) may reach the
//   sink. Anything else is asked again once with a fresh URL, then fails as `invalid` or `changed`.
// - A failed connection, 5xx, cut, reset or stall is tried again with growing, jittered pauses. The count
//   of attempts starts anew whenever one brought at least `stall_bytes`, so a trickle cannot go on for ever.
#pragma once

#include "node/core/backoff.h"
#include "node/core/geometry.h"
#include "node/core/ids.h"
#include "node/core/ports.h"
#include "node/core/result.h"
#include "node/core/time.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace shoal {

// What the Hub says of a repo at one revision.
struct RepoInfo {
  std::string id;      // the repo's name after renames; equals the asked one otherwise
  std::string commit;  // 40 hex
  bool gated = false;  // content is given only to users who accepted the conditions
  bool is_private = false;
  bool disabled = false;
};

struct RepoFile {
  std::string path;  // passed is_valid_repo_path
  BlobId blob;
  bool operator==(const RepoFile&) const = default;
};

class HubClient final : public Origin {
 public:
  struct Options {
    std::string endpoint = "https://huggingface.co";  // http or https, may have a path prefix
    std::string token;                                // empty: anonymous
    std::string user_agent = "shoal";                 // "shoal/<version>"

    // Where TLS finds its roots. Empty: the system's store as libcurl was built. See hub_settings.h.
    std::string ca_file;
    std::string ca_dir;
    // Unset: http_proxy, https_proxy, all_proxy and no_proxy of the environment. Empty: no proxy.
    std::optional<std::string> proxy;

    int max_connections = 16;           // for slices: enough to fill a fast line at 10 MB/s each
    int max_connections_per_host = 16;  // the CDN is one host in most places
    int max_metadata_requests = 8;  // API calls, resolves and small files at once; as many as Python's client
    std::size_t max_waiting = 8192;  // slices and calls together: about 2 KiB each, 16 MiB in all
    std::uint64_t rate_limit = 0;    // bytes per second over all slices; 0: none

    // A connection that brings less than `stall_bytes` in `stall_time` is given up and opened again.
    std::uint64_t stall_bytes = 64 * kKiB;
    std::chrono::milliseconds stall_time{10'000};
    std::chrono::milliseconds connect_timeout{10'000};
    std::chrono::milliseconds metadata_timeout{30'000};  // one API request, from connect to last byte

    BackoffOptions backoff;  // pauses between attempts
    int max_attempts = 8;    // of a slice or its resolve, in a row without progress: about half a minute
    int max_metadata_attempts = 4;  // of an API call: a person waits for the answer
    // How long 429 may go on before a slice or call fails. The Hub's window is five minutes.
    std::chrono::milliseconds rate_limit_patience{15 * 60'000};
    std::chrono::milliseconds rate_limit_pause_max{6 * 60'000};  // of one pause, whatever the header says

    // Bytes are handed to the sink in runs of about this size, at the latest after a second. libcurl gives 16
    // KiB at a time; a write to a disk wants more.
    std::size_t sink_batch = 256 * kKiB;

    // Bounds on what a server may send.
    std::size_t max_header_bytes = 64 * kKiB;     // of one answer; signed URLs are 1 to 2 KiB
    std::size_t max_tree_page_bytes = 64 * kMiB;  // a page of 1000 entries is 300 KiB
    std::size_t max_info_bytes = 64 * kMiB;       // `siblings` has 50,000 names at most
    std::size_t max_tree_entries = 200'000;
  };

  // What an operator wants to know while it waits. Both are optional.
  struct Notices {
    // The host answered 429; nothing is asked of it until then. The reason names the host.
    std::function<void(Time until, std::string reason)> on_limited;
    // A slice failed and is tried again after `wait`.
    std::function<void(FetchId, Error why, Duration wait)> on_retry;
  };

  // Since the start; for metrics. `requests` counts HTTP requests of any kind.
  struct Counters {
    std::uint64_t requests = 0;
    std::uint64_t resolves = 0;        // of them HEAD /resolve for slices
    std::uint64_t rate_limited = 0;    // answers with 429
    std::uint64_t retries = 0;         // failed attempts of slices
    std::uint64_t bytes_received = 0;  // payload of slices and small files
    std::uint64_t bytes_wasted = 0;    // of them refused: wrong range, wrong length
    std::uint32_t connections = 0;     // slices on a connection at this moment
    std::uint32_t waiting = 0;         // slices accepted and not on a connection at this moment
  };

  // Errors: invalid (the endpoint is no http or https URL), io (no thread, no libcurl).
  [[nodiscard]] static Result<std::unique_ptr<HubClient>> create(Options options, Callbacks callbacks,
                                                                 Notices notices = {});
  // Ends every slice and call with `cancelled`, then joins the thread. Not from a callback.
  ~HubClient() override;
  HubClient(const HubClient&) = delete;
  HubClient& operator=(const HubClient&) = delete;

  template <typename T>
  using Done = std::function<void(Result<T>)>;

  // Revision (branch, tag, commit, refs/pr/N) to commit.
  // Errors: not_found (repo or revision), gated, unauthorized, rate_limited, unavailable, timeout, invalid.
  void resolve(RepoRef repo, std::string revision, Done<RepoInfo> done);

  // Every file of a commit, in the Hub's order. A path that is not allowed, two files of one path, a bad size
  // or hash, or a next page on another host is an error that names it.
  void list_files(RepoRef repo, std::string commit, Done<std::vector<RepoFile>> done);

  // A whole file of at most kSmallBlobMax, by one plain GET. Length and ETag are held against `file.blob`;
  // the hash is the caller's to verify.
  void fetch_small(OriginFile file, Done<std::vector<std::byte>> done);

  // A question that a program asked the node, passed on to the Hub as it is, with that program's token or
  // none. The answer comes whatever its status is; redirects inside the Hub are followed, passing trouble is
  // asked again once, and a 429 is waited out as far as `patience` reaches: beyond it is the program's.
  // `X-Repo-Commit` and `Location` of a redirect to another host are in the answer's headers; its signed URL
  // must not be given on. Errors: unavailable, timeout, rate_limited (the Hub is being left alone), invalid,
  // cancelled.
  struct Ask {
    std::string method = "GET";                 // GET, HEAD or POST
    std::string path;                           // escaped, from "/" on
    std::string query;                          // escaped, without "?"
    std::string body;                           // of a POST
    std::string content_type;                   // of that body
    std::string token;                          // the program's
    bool use_own_token = false;                 // the node's instead
    std::chrono::milliseconds patience{8'000};  // Python's HEAD gives up after 10 s
  };
  struct Reply {
    int status = 0;
    std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
    std::string body;
    [[nodiscard]] std::string header(std::string_view lower_case_name) const;
  };
  void ask(Ask ask, Done<Reply> done);

  // Whether anyone may download the content: one HEAD of `/resolve/{commit}/{path}` without the token. Why
  // not the fields of the repo's info: they answer for gated repos too, and a Hub may leave them out; whether
  // the content is given to a stranger is the very question. Access is per repo, so any file of it will do.
  // true: the Hub gives the file or a signed URL. false: 401, 403, 404, 451. Other failures are errors.
  void is_public(RepoRef repo, std::string commit, std::string path, Done<bool> done);

  // Origin. Errors of on_done, beside those of resolve(): changed (the Hub or CDN has another file there),
  // expired (the CDN refuses even a fresh URL), cancelled, and whatever the sink said. The sink is released
  // before on_done. A fetch with the id of a living one is refused as `invalid`.
  void fetch(SliceRequest request) override;
  void trim(FetchId id, std::uint64_t length) override;
  void cancel(FetchId id) override;

  // Take effect at once; running connections above a lowered limit end with their slices.
  void set_max_connections(int connections);
  // Over all slices together, by a token bucket: a transfer that finds it empty is paused, so that TCP slows
  // the sender down. Bursts up to a tenth of a second. Small files and metadata are not counted. 0: none.
  void set_rate_limit(std::uint64_t bytes_per_s);
  // For requests from here on; kept URLs of the old token are forgotten.
  void set_token(std::string token);

  [[nodiscard]] Counters counters() const;

 private:
  struct Impl;
  explicit HubClient(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace shoal
