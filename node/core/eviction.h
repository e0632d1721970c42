// Which snapshots leave the disk when room is needed, and why the others stay.
//
// A choice over plain facts: no I/O, no clock, nothing is started. The caller gathers the facts, asks the
// neighbours (keep_promises.h), removes what is chosen, and shows the reasons.
//
// Rules, with their reasons:
// - The unit is a snapshot (a repo at a commit), not a blob. Why: a model without one of its shards is of
//   no use to any program, so part of one is the worst thing to keep.
// - What nothing names goes first: blobs that no snapshot links to. Why: no program can find them.
// - Then least recently used first; of equals the larger, then by name. Why: the usual guess at what is
//   wanted next; and a choice that does not depend on chance can be explained beforehand (`shoal gc
//   --dry-run`).
// - Kept: what is pinned, what a running pull wants, what a neighbour or program reads at this moment.
// - Kept: the last copy on the site of anything that a neighbour could get from here, unless told
//   otherwise. A blob is no last copy when a neighbour has promised to keep it, or when a snapshot that
//   stays has it, too.
// - Blobs that a snapshot shares with one that stays free nothing, and do not count.
// - It stops as soon as enough is freed. A snapshot that would free nothing is passed over.
#pragma once

#include "node/core/ids.h"
#include "node/core/time.h"

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace shoal {

// A blob was pulled, linked or served at that moment.
struct BlobUse {
  BlobId blob;
  WallTime at;
};

struct HeldSnapshot {
  RepoRef repo;
  std::string commit;  // empty: blobs of the repo that no snapshot links to
  WallTime last_used;
  bool pinned = false;
  bool wanted = false;  // by a running pull
  bool in_use = false;  // read by a neighbour or through the API just now
  std::vector<BlobId> blobs;
};

enum class Verdict : std::uint8_t {
  evict,
  not_needed,  // enough is freed without it
  no_gain,     // all its blobs belong to something that stays, too
  pinned,
  wanted,
  in_use,
  last_copy,
};
// "least recently used", "pinned", ...: completes "kept:" or "evicted:".
[[nodiscard]] std::string_view to_string(Verdict verdict);

struct EvictionChoice {
  RepoRef repo;
  std::string commit;
  WallTime last_used;
  Verdict verdict = Verdict::not_needed;
  std::uint64_t frees = 0;        // bytes; of one that is kept: what it would have freed
  std::uint32_t last_copies = 0;  // blobs that are nowhere else on the site
  std::vector<BlobId> freed;      // blobs that leave this machine with it
};

struct EvictionRequest {
  std::uint64_t bytes = 0;  // to be freed
  // Blobs that may leave: a neighbour keeps them, or no neighbour could ever get them from here.
  std::set<BlobId> kept_by_others;
  bool even_last_copies = false;
};

// One choice per snapshot, in the order in which they were looked at. Those with Verdict::evict together free
// `bytes`, or all that may go.
[[nodiscard]] std::vector<EvictionChoice> choose_evictions(std::vector<HeldSnapshot> snapshots,
                                                           const EvictionRequest& request);

[[nodiscard]] std::uint64_t freed_by(const std::vector<EvictionChoice>& choices);

}  // namespace shoal
