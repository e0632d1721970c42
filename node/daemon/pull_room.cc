// Room for pulls: before one begins, and when the disk fills up in the middle of it.
#include "node/daemon/evictor.h"
#include "node/daemon/pulls.h"
#include "storage/blob_store.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include <sys/stat.h>

namespace shoal {
namespace {

std::string amount(std::uint64_t bytes) {
  if (bytes < 10 * kGiB) return std::to_string(bytes / kMiB) + " MiB";
  return std::to_string(bytes / kGiB) + " GiB";
}

// Bytes that a file takes on the disk; a partial is sparse, and one of a former run has its space already.
std::uint64_t allocated(const std::string& path) {
  struct stat file {};
  return ::stat(path.c_str(), &file) == 0 ? static_cast<std::uint64_t>(file.st_blocks) * 512 : 0;
}

// What is missing of these blobs.
std::uint64_t needed_for(BlobStore& store, const RepoRef& repo, const std::set<BlobId>& blobs) {
  std::uint64_t needed = 0;
  for (const BlobId& blob : blobs) {
    if (store.find(blob)) continue;
    needed += blob.size - std::min(blob.size, allocated(store.cache().layout().partial(repo, blob)));
  }
  return needed;
}

// Whether so much fits, so that a hopeless pull fails before it takes any space. Each blob is held against
// what is really free once more when it begins.
Result<void> check_space(BlobStore& store, std::uint64_t needed, std::uint64_t floor) {
  std::error_code ec;
  const auto space = std::filesystem::space(store.cache().layout().root(), ec);
  if (ec) return {};
  const std::uint64_t available = space.available > floor ? space.available - floor : 0;
  if (needed <= available) return {};
  return fail(Code::no_space,
              "the pull needs " + amount(needed) + ", but only " + amount(available) + " of " +
                  store.cache().layout().root() + " are free above the floor of " + amount(floor) +
                  "; free some space, lower free_space_floor, or pull fewer files with --include");
}

}  // namespace

// A wait for room: the evictor runs until there is enough, or none will come.
struct Pulls::Room {
  std::string where;            // "in the cache", "on the disk"
  std::function<Pull*()> pull;  // who waits; null: not any more
  std::function<bool(const Evictor::Outcome&)> is_enough;
  std::function<void(Pull&)> on_room;
  std::function<void(Pull&, const Result<Evictor::Outcome>&)> on_none;
  Time until = std::chrono::steady_clock::now() + kRoomPatience;
};

void Pulls::look_for_space(PullId id) {
  const Pull& pull = *find(id);
  std::set<BlobId> blobs;
  for (const File& file : pull.files) blobs.insert(file.status.blob);
  loop_.run(
      [&store = store_, repo = pull.status.repo, blobs = std::move(blobs), floor = free_space_floor_,
       evicts = evictor_ != nullptr && evictor_->enabled()]() -> Result<std::uint64_t> {
        if (auto prepared = store.cache().prepare_repo(repo); !prepared) return shoal::fail(prepared.error());
        const std::uint64_t needed = needed_for(store, repo, blobs);
        if (evicts) return needed;
        if (auto fits = check_space(store, needed, floor); !fits) return shoal::fail(fits.error());
        return needed;
      },
      [this, id](const Result<std::uint64_t>& needed) { find_room(id, needed); });
}

void Pulls::find_room(PullId id, const Result<std::uint64_t>& needed) {
  Pull* pull = find_live(id);
  if (pull == nullptr) return;
  if (!needed) {
    end(*pull, PullState::failed, needed.error());
    return;
  }
  pull->needed = *needed;
  if (*needed == 0 || evictor_ == nullptr || !evictor_->enabled()) {
    want_files(id);
    return;
  }
  evict_for({
      .where = "in the cache",
      .pull = [this, id] { return find_live(id); },
      .is_enough =
          [](const Evictor::Outcome& outcome) { return outcome.bytes_freed >= outcome.bytes_needed; },
      .on_room = [this](Pull& live) { want_files(live.status.id); },
      .on_none =
          [this](Pull& live, const Result<Evictor::Outcome>& outcome) {
            end(live, PullState::failed,
                !outcome ? outcome.error()
                         : Error{Code::no_space,
                                 "there is no room for " + amount(live.needed) +
                                     " more in the cache: " + explain_kept(*outcome) +
                                     "; raise cache_size_limit, free some space, `shoal gc "
                                     "--even-last-copies`, or pull fewer files with --include",
                                 0});
          },
  });
}

bool Pulls::wait_for_room(const BlobId& blob, const Error& error) {
  if (evictor_ == nullptr || !evictor_->enabled()) return false;
  Pull* pull = find(users_.at(blob).begin()->pull);
  if (pull == nullptr || pull->room_made >= kRoomMadeMax) return false;
  ++pull->room_made;
  evict_for({
      .where = "on the disk",
      .pull =
          [this, blob] {
            const auto users = users_.find(blob);
            return users == users_.end() ? nullptr : find_live(users->second.begin()->pull);
          },
      .is_enough = [](const Evictor::Outcome& outcome) { return outcome.bytes_freed > 0; },
      .on_room = [this, blob](Pull& live) { want_one(live, users_.at(blob).begin()->file, {}); },
      .on_none =
          [this, blob, error](Pull& live, const Result<Evictor::Outcome>&) {
            live.room_made = kRoomMadeMax;
            on_blob_failed(blob, error);
          },
  });
  return true;
}

void Pulls::evict_for(const Room& room) {
  if (Pull* pull = room.pull()) pull->waiting_for = "room " + room.where + ": what can be evicted";
  evictor_->run({}, [this, room](const Result<Evictor::Outcome>& outcome) {
    Pull* live = room.pull();
    if (live == nullptr) return;
    const bool enough = outcome && room.is_enough(*outcome);
    if (outcome && !enough && room_may_come(*outcome) && std::chrono::steady_clock::now() < room.until) {
      live->waiting_for = "room " + room.where + ": what could go is being read";
      loop_.after(kRoomLookEvery, [this, room] {
        if (room.pull() != nullptr) evict_for(room);
      });
      return;
    }
    live->waiting_for.clear();
    if (enough) {
      room.on_room(*live);
    } else {
      room.on_none(*live, outcome);
    }
  });
}

std::uint64_t Pulls::outstanding() {
  std::uint64_t bytes = 0;
  for (const auto& [id, pull] : pulls_) {
    const PullStatus& s = pull.status;
    if (s.finished_at.ms == 0) bytes += std::min(pull.needed, s.size - std::min(s.bytes_done, s.size));
  }
  return bytes;
}

}  // namespace shoal
