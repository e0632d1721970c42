// What the node says of itself: plain rows, made by the loop about once a second. SQL, the API, metrics and
// the page all show the same rows, so they cannot disagree.
//
// Column names of the SQL views are these field names (design section 7); they stay stable.
#pragma once

#include "node/core/geometry.h"
#include "node/core/ids.h"
#include "node/core/load.h"
#include "node/core/messages.h"
#include "node/core/piece_map.h"
#include "node/core/rate_history.h"
#include "node/core/result.h"
#include "node/core/time.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace shoal {

enum class FileState : std::uint8_t {
  queued,    // wanted, nothing happens yet
  fetching,  // bytes are arriving or asked for
  checking,  // all bytes are here, the publisher's hash is being compared; or an adopted file is being read
  held,      // in the cache, hash matched, served
  failed,
};
[[nodiscard]] std::string_view to_string(FileState state);

enum class PullState : std::uint8_t { resolving, running, done, failed, cancelled };
[[nodiscard]] std::string_view to_string(PullState state);

enum class SourcePolicy : std::uint8_t { automatic, lan_only, origin_only };
[[nodiscard]] std::string_view to_string(SourcePolicy policy);  // "auto", "lan", "origin"
[[nodiscard]] std::optional<SourcePolicy> parse_source_policy(std::string_view text);

enum class Priority : std::uint8_t { high = 0, normal = 1, low = 2 };
[[nodiscard]] std::string_view to_string(Priority priority);
[[nodiscard]] std::optional<Priority> parse_priority(std::string_view text);

// One wanted or held file. View `status`.
struct FileStatus {
  RepoRef repo;
  std::string revision;   // what the user typed
  std::string commit_id;  // what it resolved to
  std::string path;
  BlobId blob;  // blob_id and size
  std::uint64_t bytes_done =
      0;  // never falls while the file is wanted; bytes_lan + bytes_origin + bytes_local
  std::uint64_t bytes_lan = 0;     // came from neighbours
  std::uint64_t bytes_origin = 0;  // came from the Hub or its CDN
  std::uint64_t bytes_local = 0;   // was already on this machine
  std::uint64_t bytes_per_s = 0;
  std::optional<std::int64_t> eta_s;
  FileState state = FileState::queued;
  std::string waiting_for;  // the bottleneck in words (bottleneck.h); empty when nothing is known to hold it
  std::string error;        // the sentence of the failure
  bool operator==(const FileStatus&) const = default;
};
// A row as it is recorded.
struct RecordedFile {
  FileStatus file;
  WallTime updated_at;
};

// 0 to 100, rounded down to a tenth, so that 100 means done.
[[nodiscard]] double percent(std::uint64_t done, std::uint64_t size);

// One pull, running or ended. View `pulls`.
struct PullStatus {
  PullId id{};
  RepoRef repo;
  std::string revision;
  std::string commit_id;  // empty until resolved
  std::vector<std::string> include;
  std::vector<std::string> exclude;
  SourcePolicy source = SourcePolicy::automatic;
  Priority priority = Priority::normal;
  PullState state = PullState::resolving;
  std::uint32_t files = 0;
  std::uint32_t files_done = 0;
  std::uint64_t size = 0;  // bytes of all files
  std::uint64_t bytes_done = 0;
  std::uint64_t bytes_lan = 0;
  std::uint64_t bytes_origin = 0;
  std::uint64_t bytes_local = 0;
  std::uint64_t bytes_per_s = 0;
  std::optional<std::int64_t> eta_s;
  std::string waiting_for;
  std::optional<Code> error_code;
  std::string error;
  std::string snapshot_path;  // the Hub cache's directory for the commit, once resolved
  WallTime created_at;
  WallTime finished_at;  // 0: still running
  bool operator==(const PullStatus&) const = default;
};

// All files of one repo at one revision, added up.
struct RepoSummary {
  RepoRef repo;
  std::string revision;
  std::string commit_id;
  std::uint64_t files = 0;
  std::uint64_t files_held = 0;
  std::uint64_t files_failed = 0;
  std::uint64_t size = 0;
  std::uint64_t bytes_done = 0;
  std::uint64_t bytes_lan = 0;
  std::uint64_t bytes_origin = 0;
  std::uint64_t bytes_local = 0;
  WallTime updated_at;
  bool operator==(const RepoSummary&) const = default;
};

// One neighbour, alive or seen before. View `peers`.
struct PeerStatus {
  NodeId node;
  std::string name;
  std::string version;
  Endpoint endpoint;
  bool alive = false;
  DeviceLoad load;
  std::uint32_t blobs_held = 0;
  std::uint64_t bytes_held = 0;
  std::uint64_t bytes_received = 0;  // from it, since it was first seen
  std::uint64_t bytes_sent = 0;      // to it
  WallTime first_seen;
  WallTime last_seen;
  WallTime banned_until;  // 0: not banned
  bool operator==(const PeerStatus&) const = default;
};

enum class EventLevel : std::uint8_t { info, warning, error };
[[nodiscard]] std::string_view to_string(EventLevel level);

// Something worth telling an operator. View `events`; the newest 10,000 are kept.
struct EventRow {
  WallTime at;
  EventLevel level = EventLevel::info;
  std::string
      kind;  // "pull_started", "pull_done", "blob_published", "peer_up", "peer_banned", "hash_mismatch", ...
  std::optional<PullId> pull;
  std::string repo;
  std::string path;
  std::string peer;  // node id, hex
  std::string text;  // one sentence
};

// What only ever grows while the process runs, and a few levels: the metrics of the node itself.
struct NodeCounters {
  std::uint64_t origin_bytes = 0;     // fetched from the Hub and its CDN, wasted ones included
  std::uint64_t received_bytes = 0;   // payload from neighbours
  std::uint64_t sent_bytes = 0;       // payload to neighbours
  std::uint64_t limited = 0;          // times the Hub or its CDN said it limits requests
  std::uint64_t mismatches = 0;       // files whose bytes did not match the publisher's hash
  std::uint64_t bad_pieces = 0;       // pieces of neighbours that did not match their hash
  std::uint64_t origin_requests = 0;  // under way
  std::uint64_t wan_rate_limit = 0;   // bytes per second; 0: none
  std::uint64_t disk_size = 0;        // of the file system of the cache
  std::uint64_t disk_free = 0;
  WallTime started_at;
};

// Everything the node shows, at one moment. Immutable once published.
struct StatusSnapshot {
  WallTime at;  // becomes updated_at of all live rows
  NodeId node;
  std::string node_name;
  DeviceLoad load;
  std::uint32_t blobs_held = 0;
  std::uint64_t bytes_held = 0;
  std::vector<FileStatus>
      files;  // live ones: of running pulls and of pulls that ended since the last snapshot
  std::vector<PullStatus> pulls;  // running, and the last ended ones
  std::vector<PeerStatus> peers;

  // Beside `files`: which of them belong to a pull, and where the pieces of each are. Null: the file was not
  // begun, came whole, or its pull ended.
  struct PullFiles {
    PullId pull{};
    std::size_t first = 0;
    std::size_t count = 0;
  };
  std::vector<PullFiles> pull_files;
  std::vector<std::shared_ptr<const PieceMap>> pieces;
  std::shared_ptr<const RateHistory> rates;  // null only in a node that has not ticked
  NodeCounters counters;
};

}  // namespace shoal
