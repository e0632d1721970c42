// A blob that is coming in: its file, which pieces of it are here, and what may be trusted.
//
// What is recorded about a piece, and why there are two levels:
//
//   written   The bytes went through pwrite(2) and hashed right, and that was recorded together with the
//   kernel's
//             boot id. A killed process takes nothing back from the page cache, so after kill -9 on the same
//             boot these pieces are still there. Recorded within 100 ms or 4 MiB, without waiting for the
//             disk.
//   durable   After that an fdatasync(2) of the file succeeded, and that was recorded. Trusted always. Done
//   at
//             most every 2 s or every 256 MiB, so that a slow disk sees few flushes.
//
// After a reboot (another boot id) only durable pieces count. When an fdatasync fails the kernel may have
// dropped pages that it had accepted, and says so only once: all pieces since the last good one are missing
// again. Recording never runs ahead of the bytes, so a crash costs work and never trusts a byte that is not
// there.
//
// The publisher's hash follows the contiguous prefix of pieces: fed from memory where a slice arrives in
// order, otherwise read back from the page cache by a hashing thread. Its midstate is recorded at piece
// boundaries, so a restart re-reads nothing. What a slice feeds counts only once its piece is whole.
//
// Not here: the decision which pieces to fetch, and the swarm.
//
// Threads: all methods may be called from any thread at once. Those of BlobFile block on the disk; the others
// take a mutex for moments and may be called from the loop.
#pragma once

#include "node/core/geometry.h"
#include "node/core/ids.h"
#include "node/core/ports.h"

#include <cstdint>
#include <string>
#include <vector>

namespace shoal {

class PartialBlob : public BlobFile {
 public:
  [[nodiscard]] virtual const Geometry& geometry() const = 0;
  // The repo whose folder holds the file: that of the first who wanted it.
  [[nodiscard]] virtual const RepoRef& repo() const = 0;

  // Pieces that are here and matched their hash.
  [[nodiscard]] virtual PieceMask have(SegmentIndex segment) const = 0;
  [[nodiscard]] virtual std::vector<PieceMask> have_all() const = 0;  // by segment
  [[nodiscard]] virtual std::uint64_t bytes_have() const = 0;
  [[nodiscard]] virtual std::uint64_t bytes_hashed() const = 0;  // the prefix the publisher's hash covers
  [[nodiscard]] virtual bool all_here() const = 0;               // every piece; finish() can be called
  [[nodiscard]] virtual bool published() const = 0;              // finish() succeeded
};

}  // namespace shoal
