// What the HTTP API asks of the daemon. The API knows nothing else of it.
//
// Threads: every method is called on the API's thread and must return at once (post to the loop, read an
// immutable snapshot). A Reply is called exactly once, from any thread, also late or after the client went
// away; the API answers "timeout" on its own after ApiServerOptions::backend_timeout. A Reply that is dropped
// without a call answers 500.
//
// Errors: the Code of an Error becomes the HTTP status and the `error.code` of the JSON body; the sentence is
// shown to a person as it is. Arguments are checked before they get here: names, revisions, ids, globs and
// sizes are valid in form.
#pragma once

#include "node/core/eviction.h"
#include "node/core/ids.h"
#include "node/core/result.h"
#include "node/core/status.h"
#include "node/core/time.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace shoal {

struct PullRequest {
  RepoRef repo;
  std::string revision = "main";
  std::vector<std::string> include;  // globs; empty: everything
  std::vector<std::string> exclude;
  SourcePolicy source = SourcePolicy::automatic;
  Priority priority = Priority::normal;
};

struct PullDetail {
  PullStatus pull;
  std::vector<FileStatus> files;  // all files of the pull, in the order they are fetched
};

// One row of the view `status`.
struct StatusRow {
  FileStatus file;
  WallTime updated_at;
};
struct StatusPage {
  std::vector<StatusRow> rows;
  bool truncated = false;  // there were more than the limit
};

// One file of a snapshot that this node holds whole. View `holdings`.
struct Holding {
  RepoRef repo;
  std::string revision;  // a ref that names the commit; empty when none does
  std::string commit_id;
  std::string path;
  BlobId blob;
};
struct HoldingsPage {
  std::vector<Holding> rows;
  bool truncated = false;
  std::uint32_t blobs_held = 0;  // distinct blobs on this node, whatever the filter
  std::uint64_t bytes_held = 0;
};

enum class JobId : std::int64_t {};
enum class JobKind : std::uint8_t { seed, verify };
[[nodiscard]] std::string_view to_string(JobKind kind);

// Something wrong that a job found in one file.
struct JobFinding {
  std::string path;  // inside the repo, or of the file on disk
  Code code = Code::corrupt;
  std::string text;  // one sentence, also what was done about it
};

// Long work on the disk that is not a pull: adopting files (`seed`), reading blobs again (`verify`).
struct JobStatus {
  JobId id{};
  JobKind kind = JobKind::seed;
  std::string target;                    // what was asked for: a path, a repo, "" for everything
  PullState state = PullState::running;  // running, done, failed or cancelled
  std::uint32_t files = 0;
  std::uint32_t files_done = 0;
  std::uint64_t size = 0;
  std::uint64_t bytes_done = 0;
  std::uint64_t bytes_per_s = 0;
  std::optional<std::int64_t> eta_s;
  std::uint32_t findings_count = 0;
  std::vector<JobFinding> findings;  // the first kJobFindingsMax
  std::optional<Code> error_code;
  std::string error;
  WallTime created_at;
  WallTime finished_at;  // 0: still running
};
inline constexpr std::size_t kJobFindingsMax = 1000;  // a rotten disk would otherwise fill the memory, too

struct SeedRequest {
  // Exactly one of the two is set.
  std::string path;  // absolute: a Hub cache, a folder of one, or a snapshot
  std::optional<RepoRef> repo;
};

struct RemoveRequest {
  RepoRef repo;
  std::string revision;  // empty: all of the repo
};
struct RemoveResult {
  std::uint32_t snapshots = 0;
  std::uint32_t files = 0;
  std::uint32_t blobs = 0;  // that no other snapshot uses, and so were deleted
  std::uint64_t bytes_freed = 0;
};

struct GcRequest {
  std::optional<std::uint64_t> to;  // bytes that the cache may have afterwards; nullopt: cache_size_limit
  bool dry_run = false;
  bool even_last_copies = false;
};
struct GcResult {
  bool dry_run = false;
  std::uint64_t bytes_held = 0;    // by the cache, before
  std::uint64_t bytes_needed = 0;  // to be freed
  std::uint64_t bytes_freed = 0;   // of a dry run: would have been
  std::uint32_t neighbours = 0;    // that were asked what they keep
  std::vector<EvictionChoice> choices;
};

struct NodeInfo {
  NodeId node;
  std::string node_name;
  std::string version;
  std::string cluster;
  Endpoint api;
  Endpoint swarm;
  std::string hub;
  std::string cache_dir;
  std::string state_dir;
  bool cache_writable = false;  // by the daemon's user
  std::uint64_t disk_size = 0;  // of the file system the cache is on
  std::uint64_t disk_free = 0;
  std::uint64_t free_space_floor = 0;
  bool has_token = false;  // a Hub token was found; never the token itself
  std::uint32_t peers_alive = 0;
  bool busy = false;
  WallTime started_at;
};

// One thing that `shoal doctor` looks at.
struct DoctorCheck {
  std::string check;
  std::string result;  // "ok", "warning", "bad"
  std::string text;    // one sentence, with what to do
};

class ApiBackend {
 public:
  template <typename T>
  using Reply = std::function<void(Result<T>)>;

  virtual ~ApiBackend() = default;

  // The newest snapshot, never null. `peers` and /healthz read it directly.
  [[nodiscard]] virtual std::shared_ptr<const StatusSnapshot> snapshot() const = 0;
  virtual void info(Reply<NodeInfo> reply) = 0;
  // Asks the Hub one question and looks at the machine; takes as long as the Hub does.
  virtual void doctor(Reply<std::vector<DoctorCheck>> reply) = 0;

  // Starts a pull and answers its id at once; resolving the revision, and its failure, show in PullStatus. A
  // pull equal to a running one may answer that one's id.
  virtual void start_pull(PullRequest request, Reply<PullId> reply) = 0;
  // Running or ended. With `wait` the answer comes when the pull ends or the time is over; at once when too
  // many wait already. Errors: not_found.
  virtual void pull(PullId id, std::chrono::milliseconds wait, Reply<PullDetail> reply) = 0;
  // Newest first.
  virtual void pulls(std::size_t limit, Reply<std::vector<PullStatus>> reply) = 0;
  // Keeps the verified pieces. Errors: not_found. Cancelling an ended pull does nothing.
  virtual void cancel_pull(PullId id, Reply<void> reply) = 0;

  // Live and held files; all repos, or those of one name (and type, when given).
  virtual void status(std::optional<std::string> repo, std::optional<RepoType> type, std::size_t limit,
                      Reply<StatusPage> reply) = 0;
  // Files of all repos, added up by repo and revision.
  virtual void repos(Reply<std::vector<RepoSummary>> reply) = 0;
  virtual void holdings(std::optional<std::string> repo, std::optional<RepoType> type, std::size_t limit,
                        Reply<HoldingsPage> reply) = 0;
  // The newest `limit` events, oldest of them first. Live ones reach clients by ApiServer::publish().
  virtual void events(std::size_t limit, Reply<std::vector<EventRow>> reply) = 0;

  virtual void start_seed(SeedRequest request, Reply<JobId> reply) = 0;
  // Reads the repo's blobs, or all, and compares them with their names. Errors: not_found.
  virtual void start_verify(std::optional<RepoRef> repo, Reply<JobId> reply) = 0;
  virtual void job(JobId id, Reply<JobStatus> reply) = 0;
  virtual void jobs(Reply<std::vector<JobStatus>> reply) = 0;
  virtual void cancel_job(JobId id, Reply<void> reply) = 0;

  // Errors: not_found; changed (a running pull wants it: cancel that first).
  virtual void remove(RemoveRequest request, Reply<RemoveResult> reply) = 0;

  // Makes room. Errors: invalid (neither `to` nor a limit says how much).
  virtual void collect_garbage(GcRequest request, Reply<GcResult> reply) = 0;
  // Repos that are never evicted.
  virtual void pins(Reply<std::vector<RepoRef>> reply) = 0;
  virtual void set_pinned(RepoRef repo, bool pinned, Reply<void> reply) = 0;

  // Marks this device busy or not; `duration` of nullopt holds until the next call.
  virtual void set_busy(bool busy, std::optional<std::chrono::seconds> duration, Reply<void> reply) = 0;
};

}  // namespace shoal
