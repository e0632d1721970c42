// Hashes of pieces, segments and whole blobs.
//
// - Pieces and segments follow BEP 52: SHA-256 over 16 KiB leaves, a binary Merkle tree above them, missing
//   leaves are 32 zero bytes. A segment is a file of its own to BitTorrent, so a segment that fits into one
//   piece has a tree only as wide as the next power of two of its blocks.
// - Whole blobs are hashed as their publisher does: SHA-256 of the bytes, or SHA-1 of "blob <size>\0" and the
//   bytes.
//
// Values without locks: one thread at a time per object. Nothing here fails.
#pragma once

#include "node/core/geometry.h"
#include "node/core/ids.h"
#include "storage/sha.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <variant>
#include <vector>

namespace shoal {

// One piece, fed front to back. Holds one hash per tree level, never the bytes.
class PieceHasher {
 public:
  PieceHasher(const Geometry& geometry, SegmentIndex segment, PieceIndex piece);

  // REQUIRES: the bytes fed do not exceed length().
  void update(std::span<const std::byte> bytes);
  [[nodiscard]] std::uint32_t length() const { return length_; }
  [[nodiscard]] std::uint32_t fed() const { return fed_; }
  [[nodiscard]] bool whole() const { return fed_ == length_; }
  // REQUIRES: whole(). Call once.
  [[nodiscard]] Hash256 finish();

 private:
  void push(Hash256 node, unsigned level);

  std::uint32_t length_;
  std::uint32_t width_;  // leaves of the tree, a power of two
  std::uint32_t fed_ = 0;
  std::uint32_t leaves_ = 0;
  Sha256 leaf_;
  // node_[l] is the pending left sibling at level l where bit l of leaves_ is set. 16 MiB pieces have 10
  // levels.
  std::array<Hash256, 17> node_{};
};

[[nodiscard]] Hash256 hash_piece(const Geometry& geometry, SegmentIndex segment, PieceIndex piece,
                                 std::span<const std::byte> bytes);

// The root of 2^levels leaves that are all missing.
[[nodiscard]] const Hash256& empty_tree_root(unsigned levels);
// A tree of `from` leaves made as wide as `to` leaves by missing ones on the right. Both are powers of two.
[[nodiscard]] Hash256 widen_root(Hash256 root, std::uint64_t from, std::uint64_t to);

// The segment's BEP 52 pieces root. The zero hash, which no bytes have, if the count of hashes is not the
// segment's piece count.
[[nodiscard]] Hash256 segment_root(const Geometry& geometry, SegmentIndex segment,
                                   std::span<const Hash256> piece_hashes);
// The BEP 52 pieces root of the whole blob as one file. The zero hash if the count is wrong or the blob
// empty.
[[nodiscard]] Hash256 blob_root(const Geometry& geometry, std::span<const Hash256> segment_roots);
// The piece hash as it stands in the whole file's piece layer: that of a short one-piece last segment is made
// as wide as its neighbours'.
[[nodiscard]] Hash256 piece_in_blob_layer(const Geometry& geometry, SegmentIndex segment, Hash256 piece_hash);

// The publisher's hash over a growing prefix of a blob. A value: copying it copies the state, so that a piece
// can be tried on a copy and kept only when it is whole.
class BlobHasher {
 public:
  explicit BlobHasher(const BlobId& id);

  void update(std::span<const std::byte> bytes);
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  // Compares the hash of what was fed with the id. Does not disturb the state.
  [[nodiscard]] bool matches(const BlobId& id) const;
  // The id the bytes fed so far have, if that is all of them.
  [[nodiscard]] BlobId digest() const;

  // The midstate as bytes, at most 128, and back: a restart goes on where it was and re-hashes nothing.
  // restore() refuses bytes that save() for such an id cannot have written.
  [[nodiscard]] std::vector<std::uint8_t> save() const;
  [[nodiscard]] static std::optional<BlobHasher> restore(const BlobId& id,
                                                         std::span<const std::uint8_t> saved);

 private:
  std::variant<Sha256, Sha1> sha_;
  std::uint64_t bytes_ = 0;  // of the blob; git's header is not counted
};

}  // namespace shoal
