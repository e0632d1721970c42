// SHA-256 and the Merkle trees of BEP 52, for what this room verifies itself.
#pragma once

#include "node/core/geometry.h"
#include "node/core/ids.h"

#include <cstddef>
#include <span>
#include <vector>

namespace shoal {

[[nodiscard]] Hash256 sha256(std::span<const std::byte> bytes);

// Root over `leaves`, widened to `width` with `missing` on the right. REQUIRES: width is a power of two and
// at least leaves.size(), which is not zero.
[[nodiscard]] Hash256 merkle_root(std::vector<Hash256> leaves, std::size_t width, Hash256 missing);

// The root of the same leaves in a wider tree, filled up with zero leaves on the right. REQUIRES: powers of
// two, width <= to.
[[nodiscard]] Hash256 widened(Hash256 root, std::size_t width, std::size_t to);

// The pieces root of a segment from its piece hashes. REQUIRES: one hash per piece.
[[nodiscard]] Hash256 pieces_root(const Geometry& geometry, SegmentIndex segment,
                                  std::span<const Hash256> piece_hashes);

}  // namespace shoal
