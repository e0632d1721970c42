#include "transport/swarm/sha256.h"

#include "transport/swarm/libtorrent_all.h"

#include <bit>
#include <cstring>

namespace shoal {

Hash256 sha256(std::span<const std::byte> bytes) {
  lt::hasher256 hasher(lt::span<const char>(reinterpret_cast<const char*>(bytes.data()),
                                            static_cast<std::ptrdiff_t>(bytes.size())));
  const lt::sha256_hash digest = hasher.final();
  Hash256 out;
  std::memcpy(out.bytes.data(), digest.data(), out.bytes.size());
  return out;
}

namespace {

Hash256 parent_of(const Hash256& left, const Hash256& right) {
  std::array<std::byte, 64> both;
  std::memcpy(both.data(), left.bytes.data(), 32);
  std::memcpy(both.data() + 32, right.bytes.data(), 32);
  return sha256(both);
}

}  // namespace

Hash256 merkle_root(std::vector<Hash256> level, std::size_t width, Hash256 missing) {
  for (; width > 1; width /= 2) {
    if (level.size() % 2 != 0) level.push_back(missing);
    for (std::size_t i = 0; i + 1 < level.size(); i += 2) level[i / 2] = parent_of(level[i], level[i + 1]);
    level.resize(level.size() / 2);
    missing = parent_of(missing, missing);
  }
  return level.front();
}

Hash256 widened(Hash256 root, std::size_t width, std::size_t to) {
  Hash256 missing = merkle_root({Hash256{}}, width, Hash256{});
  for (; width < to; width *= 2) {
    root = parent_of(root, missing);
    missing = parent_of(missing, missing);
  }
  return root;
}

Hash256 pieces_root(const Geometry& geometry, SegmentIndex segment, std::span<const Hash256> piece_hashes) {
  // The hash of a segment's only piece is its root already.
  if (piece_hashes.size() == 1) return piece_hashes.front();
  const auto leaves_per_piece = geometry.piece_size() / kBlockSize;
  const Hash256 empty_piece = merkle_root({Hash256{}}, leaves_per_piece, Hash256{});
  const auto count = static_cast<std::size_t>(geometry.piece_count(segment));
  return merkle_root({piece_hashes.begin(), piece_hashes.end()}, std::bit_ceil(count), empty_piece);
}

}  // namespace shoal
