// Opens shoal.db also when it is damaged or gone: sets it aside, makes a new one, and carries over what can
// still be read and need not be believed.
//
// What a damaged file says is not trusted, since SQLite has no checksums:
//
// | row                      | in the new file                                                            |
// |--------------------------|----------------------------------------------------------------------------|
// | node id, next pull       | carried over: the node stays the one that its neighbours know               |
// | repos that are public    | carried over                                                               |
// | running pulls            | carried over; they go on                                                   |
// | pinned repos             | carried over                                                               |
// | partials, their hashes   | carried over as if from a backup: begin() reads the pieces and keeps those |
// |                          | that match their recorded hash                                              |
// | complete blobs           | not: their files are read once more (BlobStore::adopt of Rescue::caches)    |
// | status, events, peers    | not                                                                        |
//
// Threads: before the store is in use. Errors: as StateDb::open; never corrupt.
#pragma once

#include "node/core/result.h"
#include "storage/state_db.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace shoal {

struct Rescue {
  std::string reason;     // a sentence for people
  std::string set_aside;  // where the damaged file is; empty: there was none
  int partials = 0;       // carried over
  int pulls = 0;
  // Folders of repos that complete blobs were recorded in, to be adopted anew, at most kCachesMax.
  std::vector<std::string> caches;
};

struct OpenedState {
  std::unique_ptr<StateDb> db;
  std::optional<Rescue> rescue;  // what had to be done; empty: nothing
};

// `was_here`: a former run used this state directory, so a missing file was lost and not never made.
[[nodiscard]] Result<OpenedState> open_or_rescue(const std::string& path, bool was_here,
                                                 const DiskPorts& disk = {});

}  // namespace shoal
