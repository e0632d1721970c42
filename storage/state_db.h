// shoal.db: what this node knows and has, in SQLite.
//
// - WAL, one writing connection behind a mutex, one reading connection behind another. Other programs read at
//   any moment and never wait for the writer, nor the writer for them.
// - synchronous=NORMAL: a killed process loses nothing that was committed; a power loss may lose the last
//   seconds, which costs work and not truth. The few transactions that take something back are flushed to the
//   disk before they return, because there an older state would be a lie.
// - Tables may change between versions; the views `status`, `pulls`, `peers`, `holdings`, `events` stay
//   (storage/sql/schema/views.sql). Times in views are ISO 8601 text in UTC.
// - A row of `status` never shows more than 100 percent and never falls while the row lives, except when it
//   fails or starts again after a failure: the tables enforce it.
//
// Threads: all methods may be called from any thread at once; they block on the disk, so never from the loop.
// Errors: io, no_space, corrupt (no sound database, or not ours), invalid (made by a newer shoal; raw is
// kNewerSchema).
#pragma once

#include "node/core/eviction.h"
#include "node/core/geometry.h"
#include "node/core/ids.h"
#include "node/core/result.h"
#include "node/core/status.h"
#include "storage/file_system.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace shoal {

class SqliteConnection;

// Replaced by tests to play a failing disk.
struct DiskPorts {
  FileSystem* files = &real_files();
  const char* sqlite_vfs = nullptr;  // the name of a VFS registered with SQLite; nullptr: its usual one
};

class StateDb {
 public:
  // Kept rows; older ones are deleted. Why these: a year of a busy machine is readable, and the file stays
  // small beside the hashes.
  static constexpr int kEventsKept = 10'000;  // promised by status.h
  static constexpr int kEndedPullsKept = 1'000;
  static constexpr int kPeersKept = 1'000;
  static constexpr int kNewerSchema = 1;
  // A larger file is not checked at the start, which may take two seconds; this takes some 0.2 s, and records
  // of 10 TB of models fit.
  static constexpr std::uint64_t kCheckedBytesMax = 64 * kMiB;

  // Opens or creates the file, checks it, and brings its schema up to date. A damaged one is better opened by
  // open_or_rescue() (state_rescue.h).
  [[nodiscard]] static Result<std::unique_ptr<StateDb>> open(const std::string& path,
                                                             const DiskPorts& disk = {});
  ~StateDb();
  StateDb(const StateDb&) = delete;
  StateDb& operator=(const StateDb&) = delete;

  // This node's identity, made at the first call ever.
  Result<NodeId> node_id();
  // Never used before, also not by a pull whose row is gone.
  Result<PullId> new_pull_id();

  // Writes what changed since the last call, in one transaction. Peers that are not in the snapshot are shown
  // as not alive.
  Result<void> write_snapshot(const StatusSnapshot& snapshot);
  // One pull at once, for a request that was just accepted: it restarts after a crash.
  Result<void> save_pull(const PullStatus& pull);
  Result<void> add_events(std::span<const EventRow> events);
  // Newest first.
  Result<std::vector<EventRow>> last_events(std::size_t count);

  // Pulls that neither ended nor were cancelled, oldest first, with what was asked for.
  Result<std::vector<PullStatus>> unfinished_pulls();
  Result<std::vector<PeerStatus>> peers();

  // Files in the cache (state `held`), of all repos, of one, or of one commit.
  Result<std::vector<FileStatus>> held_files(const std::optional<RepoRef>& repo = std::nullopt,
                                             const std::string& commit = {});
  // All rows of `status`, as held_files().
  Result<std::vector<FileStatus>> all_files(const std::optional<RepoRef>& repo = std::nullopt,
                                            const std::string& commit = {});
  // All rows, or those of one repo, with their times, as the view shows them: a live row is as fresh as the
  // node's last report.
  Result<std::vector<RecordedFile>> status_rows(const std::optional<RepoRef>& repo = std::nullopt);
  // The same added up by repo and revision, in that order.
  Result<std::vector<RepoSummary>> repo_summaries();
  // Rows for files that were found rather than pulled.
  Result<void> save_files(std::span<const FileStatus> files, WallTime at);
  // Deletes rows of a repo, or of one commit of it; returns how many.
  Result<std::size_t> delete_files(const RepoRef& repo, const std::string& commit = {});
  // Deletes the rows of one pull that will not go on (cancelled): those that are not held.
  Result<std::size_t> delete_unheld_files(const RepoRef& repo, const std::string& revision,
                                          const std::string& commit);

  // Whether anyone may download a repo, as the Hub said when it was last asked.
  Result<void> save_repo_access(const RepoRef& repo, bool is_public);
  Result<std::vector<std::pair<RepoRef, bool>>> repo_access();

  // ---- what eviction goes by ----
  Result<void> set_pinned(const RepoRef& repo, bool pinned, WallTime at);
  Result<std::vector<RepoRef>> pins();
  // Blobs that were pulled, linked or served.
  Result<void> note_used(std::span<const BlobUse> uses);
  // Of all complete blobs; when it was verified if it was not used since.
  Result<std::map<BlobId, WallTime>> last_uses();

  // Copies the write-ahead log back into the database. Cheap when there is little; call it now and then from
  // a thread that may wait for the disk. Neither readers nor the writer wait, unless the log has outgrown 64
  // MiB.
  Result<void> checkpoint();

  // Flushes the log, so that what was committed before survives a power loss. Takes no lock of the database.
  Result<void> sync_log();

  // Whether any call found the file damaged. The process should then mark_damaged() and start anew.
  [[nodiscard]] bool damaged() const;
  // So that the next start sets the file aside without having to find the damage again.
  Result<void> mark_damaged();
  [[nodiscard]] static std::string damage_mark(const std::string& path) { return path + ".damaged"; }
  [[nodiscard]] static bool marked_damaged(const std::string& path, FileSystem& files);

  // For storage/ only.
  SqliteConnection& writer() { return *writer_; }
  SqliteConnection& reader() { return *reader_; }

 private:
  explicit StateDb(const DiskPorts& disk);
  std::string path_;
  FileSystem* files_;
  std::unique_ptr<SqliteConnection> writer_;
  std::unique_ptr<SqliteConnection> reader_;
  std::unique_ptr<SqliteConnection> checkpointer_;
};

}  // namespace shoal
