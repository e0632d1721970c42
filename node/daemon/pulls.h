// Pulls: what people asked for, from the name of a repo to linked files in the Hub's cache.
//
//   resolving (revision -> commit, list of files) -> running (each file: blob, then link) -> refs written ->
//   done
//
// A blob wanted by several files, or several pulls, is fetched once and linked for each. Owned by the loop
// thread. Also in pull_room.cc, pull_views.cc and joint_pulls.cc.
#pragma once

#include "node/api/api_backend.h"
#include "node/core/ids.h"
#include "node/core/status.h"
#include "node/daemon/event_log.h"
#include "node/daemon/fetcher.h"
#include "node/daemon/loop.h"
#include "node/daemon/share_rules.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace shoal {

class BlobStore;
class Evictor;
class HubClient;
class StateDb;

class Pulls {
 public:
  static constexpr std::size_t kRunningMax = 1000;     // each holds its file list in memory
  static constexpr std::size_t kJointFilesMax = 1000;  // of one pull; then another one is begun
  // Maps of finished files that are kept while a pull runs: 2 to 16 KiB each, and more is more than a page
  // can draw.
  static constexpr std::size_t kMapsKept = 512;
  static constexpr std::size_t kEndedKept = 200;            // for `shoal status` and late questions
  static constexpr std::chrono::seconds kResolveRetry{15};  // for a pull that goes on after a restart
  // Times that a pull makes room in the middle: other programs may fill the disk as fast as it is freed.
  static constexpr int kRoomMadeMax = 3;
  // What a neighbour is being given may go seconds later (Seeder::kServing), so a pull waits so long for it,
  // and looks again so often. A program may keep a file open for days: then the pull fails and says so.
  static constexpr std::chrono::seconds kRoomPatience{30};
  static constexpr std::chrono::seconds kRoomLookEvery{1};

  // The Hub said whether anyone may download a repo.
  using OnAccess = std::function<void(const RepoRef&, bool is_public)>;

  // A blob that want_file() could not begin to fetch.
  using OnUnwanted = std::function<void(const BlobId&, const Error&)>;

  Pulls(Loop& loop, BlobStore& store, StateDb& db, HubClient& hub, ShareRules& rules, EventLog& events,
        std::uint64_t free_space_floor, OnAccess on_access, OnUnwanted on_unwanted);
  void set_fetcher(Fetcher& fetcher) { fetcher_ = &fetcher; }
  void set_evictor(Evictor& evictor) { evictor_ = &evictor; }
  // Told of each pull that ends, in the middle of the change.
  void set_on_ended(std::function<void(PullId)> on_ended) { on_ended_ = std::move(on_ended); }

  void start(PullRequest request, std::function<void(Result<PullId>)> reply);
  // Goes on with a pull of a former run.
  void resume(PullStatus status);
  Result<void> cancel(PullId id);

  // A program reads this file through the endpoint: it is fetched and linked by a pull of low priority, which
  // such files of one commit share. Reading raises the priority (Fetcher::set_readers).
  void want_file(OriginFile file, std::string revision);

  void on_blob_done(const BlobId& blob, const Fetcher::Sources& bytes,
                    const std::shared_ptr<const PieceMap>& pieces);
  void on_blob_failed(const BlobId& blob, const Error& error);

  [[nodiscard]] bool is_wanted(const RepoRef& repo, const std::string& commit) const;
  [[nodiscard]] std::optional<PullDetail> detail(PullId id, Time now);
  // Bytes that running pulls have still to write to the disk.
  [[nodiscard]] std::uint64_t outstanding();
  // Known and not ended.
  [[nodiscard]] bool is_running(PullId id) const {
    const auto it = pulls_.find(id);
    return it != pulls_.end() && it->second.status.finished_at.ms == 0;
  }
  // Whether the end of this pull was in a snapshot.
  [[nodiscard]] bool recorded(PullId id) const {
    const auto it = pulls_.find(id);
    return it == pulls_.end() || it->second.written_after_end;
  }
  // Newest first.
  [[nodiscard]] std::vector<PullStatus> statuses(std::size_t limit, Time now);
  // Appends the rows of running pulls, and once more those of pulls that ended since the last call.
  void append_rows(StatusSnapshot& snapshot, Time now);

 private:
  struct File {
    FileStatus status;
    bool linking = false;
    std::optional<std::uint64_t> place;  // in the line of bytes that pulls share (Scheduler::Request::order)
    std::shared_ptr<const PieceMap> pieces;  // while the pull runs
  };
  struct Pull {
    PullStatus status;
    std::vector<File> files;
    bool resumed = false;
    bool finishing = false;
    std::size_t maps_kept = 0;
    bool written_after_end = false;
    std::optional<Error> first_error;
    bool joint = false;  // files come one by one, and one that fails leaves the others alone
    std::string waiting_for;
    std::uint64_t shown_done = 0;              // never falls
    std::uint64_t needed = 0;                  // bytes of disk when it began
    int room_made = 0;                         // how often the disk filled up in the middle of it
    std::map<std::string, FileStatus> before;  // rows of a former run, by path
  };
  struct User {
    PullId pull;
    std::size_t file;
    auto operator<=>(const User&) const = default;
  };

  void begin_joint(const OriginFile& file, std::string revision);
  void add_joint_file(PullId id, OriginFile file);
  void want_one(const Pull& pull, std::size_t index, std::string token);
  [[nodiscard]] Pull* find(PullId id);
  [[nodiscard]] Pull* find_live(PullId id);  // null also when it has ended
  void resolve(PullId id);
  void list(PullId id);
  void check_access(PullId id, std::vector<std::pair<std::string, BlobId>> files);
  void choose(PullId id, std::vector<std::pair<std::string, BlobId>> files);
  // Fails the pull or makes room, then want_files().
  void look_for_space(PullId id);
  void find_room(PullId id, const Result<std::uint64_t>& needed);
  struct Room;
  void evict_for(const Room& room);
  void want_files(PullId id);
  [[nodiscard]] std::uint64_t present_place() const;
  // The disk filled up: the blob is tried again once there is room. False: there will be none.
  bool wait_for_room(const BlobId& blob, const Error& error);
  void link(PullId id, std::size_t file, const Fetcher::Sources& bytes);
  void on_linked(PullId id, std::size_t file, const Result<void>& result);
  void maybe_finish(PullId id);
  void end(Pull& pull, PullState state, std::optional<Error> error);
  void release(PullId id);
  void refresh(Pull& pull, Time now);
  [[nodiscard]] bool can_wait(const Pull& pull, const Error& error) const;

  Loop& loop_;
  BlobStore& store_;
  StateDb& db_;
  HubClient& hub_;
  ShareRules& rules_;
  EventLog& events_;
  const std::uint64_t free_space_floor_;  // bytes
  OnAccess on_access_;
  OnUnwanted on_unwanted_;
  std::function<void(PullId)> on_ended_ = [](PullId) {};
  Fetcher* fetcher_ = nullptr;
  Evictor* evictor_ = nullptr;
  std::map<PullId, Pull> pulls_;
  std::map<BlobId, std::set<User>> users_;
  // The open pull of each commit for files that programs read; `waiting` until it has its number.
  struct Joint {
    std::optional<PullId> pull;
    std::vector<OriginFile> waiting;
  };
  std::map<std::pair<RepoRef, std::string>, Joint> joints_;
};

}  // namespace shoal
