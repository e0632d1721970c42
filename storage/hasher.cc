#include "storage/hasher.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <string>

namespace shoal {
namespace {

Hash256 parent(const Hash256& left, const Hash256& right) {
  Sha256 sha;
  sha.update(std::as_bytes(std::span(left.bytes)));
  sha.update(std::as_bytes(std::span(right.bytes)));
  Hash256 out;
  sha.finish(out.bytes);
  return out;
}

std::uint32_t block_count(std::uint64_t bytes) {
  return static_cast<std::uint32_t>((bytes + kBlockSize - 1) / kBlockSize);
}

// Leaves of the tree of one piece: the whole piece size where the segment has several pieces.
std::uint32_t piece_width(const Geometry& geometry, SegmentIndex segment) {
  const std::uint64_t length = geometry.segment_length(segment);
  if (length > geometry.piece_size()) return geometry.piece_size() / kBlockSize;
  return std::bit_ceil(block_count(length));
}

unsigned level_of(std::uint64_t width) {
  return static_cast<unsigned>(std::countr_zero(width));
}

// The root above nodes that each stand for 2^level leaves, padded to a power of two.
Hash256 root_above(std::vector<Hash256> nodes, unsigned level) {
  while (nodes.size() > 1) {
    if (nodes.size() % 2 == 1) nodes.push_back(empty_tree_root(level));
    for (std::size_t i = 0; i < nodes.size() / 2; ++i) nodes[i] = parent(nodes[2 * i], nodes[2 * i + 1]);
    nodes.resize(nodes.size() / 2);
    ++level;
  }
  return nodes.front();
}

}  // namespace

PieceHasher::PieceHasher(const Geometry& geometry, SegmentIndex segment, PieceIndex piece)
    : length_(geometry.piece_length(segment, piece)), width_(piece_width(geometry, segment)) {}

void PieceHasher::push(Hash256 node, unsigned level) {
  // As in binary addition: two nodes of a level carry into one of the next.
  while ((leaves_ >> level & 1U) != 0) {
    node = parent(node_[level], node);
    leaves_ -= std::uint32_t{1} << level;
    ++level;
  }
  node_[level] = node;
  leaves_ += std::uint32_t{1} << level;
}

void PieceHasher::update(std::span<const std::byte> bytes) {
  assert(fed_ + bytes.size() <= length_);
  while (!bytes.empty()) {
    const std::size_t room = kBlockSize - fed_ % kBlockSize;
    const auto part = bytes.first(std::min(room, bytes.size()));
    leaf_.update(part);
    fed_ += static_cast<std::uint32_t>(part.size());
    bytes = bytes.subspan(part.size());
    if (fed_ % kBlockSize == 0 || fed_ == length_) {
      Hash256 leaf;
      leaf_.finish(leaf.bytes);
      leaf_.reset();
      push(leaf, 0);
    }
  }
}

Hash256 PieceHasher::finish() {
  assert(whole());
  while (leaves_ < width_) {
    const auto level = static_cast<unsigned>(std::countr_zero(leaves_));
    push(empty_tree_root(level), level);
  }
  return node_[level_of(width_)];
}

Hash256 hash_piece(const Geometry& geometry, SegmentIndex segment, PieceIndex piece,
                   std::span<const std::byte> bytes) {
  PieceHasher hasher(geometry, segment, piece);
  hasher.update(bytes);
  return hasher.finish();
}

const Hash256& empty_tree_root(unsigned levels) {
  static const auto roots = [] {
    std::array<Hash256, 64> all{};
    for (std::size_t i = 1; i < all.size(); ++i) all[i] = parent(all[i - 1], all[i - 1]);
    return all;
  }();
  return roots.at(levels);
}

Hash256 widen_root(Hash256 root, std::uint64_t from, std::uint64_t to) {
  for (unsigned level = level_of(from); level < level_of(to); ++level) {
    root = parent(root, empty_tree_root(level));
  }
  return root;
}

Hash256 segment_root(const Geometry& geometry, SegmentIndex segment, std::span<const Hash256> piece_hashes) {
  if (to_int(segment) >= geometry.segment_count() ||
      piece_hashes.size() != static_cast<std::size_t>(geometry.piece_count(segment))) {
    return {};
  }
  return root_above({piece_hashes.begin(), piece_hashes.end()}, level_of(piece_width(geometry, segment)));
}

Hash256 blob_root(const Geometry& geometry, std::span<const Hash256> segment_roots) {
  if (segment_roots.empty() || segment_roots.size() != geometry.segment_count()) return {};
  if (segment_roots.size() == 1) return segment_roots.front();
  std::vector<Hash256> nodes(segment_roots.begin(), segment_roots.end());
  // The last segment's own tree is as narrow as its bytes allow; in the blob's tree it is as wide as the
  // others.
  const auto last = static_cast<SegmentIndex>(segment_roots.size() - 1);
  const std::uint64_t full = geometry.segment_size() / kBlockSize;
  nodes.back() = widen_root(nodes.back(), std::bit_ceil(block_count(geometry.segment_length(last))), full);
  return root_above(std::move(nodes), level_of(full));
}

Hash256 piece_in_blob_layer(const Geometry& geometry, SegmentIndex segment, Hash256 piece_hash) {
  if (geometry.segment_count() < 2) return piece_hash;
  return widen_root(piece_hash, piece_width(geometry, segment), geometry.piece_size() / kBlockSize);
}

BlobHasher::BlobHasher(const BlobId& id) {
  if (id.kind == BlobId::Kind::git_sha1) {
    sha_ = Sha1{};
    std::string header = "blob " + std::to_string(id.size);
    header.push_back('\0');
    std::get<Sha1>(sha_).update(std::as_bytes(std::span(header)));
  }
}

void BlobHasher::update(std::span<const std::byte> bytes) {
  std::visit([&](auto& sha) { sha.update(bytes); }, sha_);
  bytes_ += bytes.size();
}

BlobId BlobHasher::digest() const {
  BlobId id;
  id.size = bytes_;
  if (const auto* sha256 = std::get_if<Sha256>(&sha_)) {
    id.kind = BlobId::Kind::sha256;
    Sha256 copy = *sha256;
    copy.finish(id.digest);
  } else {
    id.kind = BlobId::Kind::git_sha1;
    Sha1 copy = std::get<Sha1>(sha_);
    copy.finish(std::span(id.digest).first<Sha1::kDigestSize>());
  }
  return id;
}

bool BlobHasher::matches(const BlobId& id) const {
  return digest() == id;
}

std::vector<std::uint8_t> BlobHasher::save() const {
  // Eight bytes that say how much was hashed, then the state itself.
  std::vector<std::uint8_t> out;
  for (unsigned shift = 0; shift < 64; shift += 8) out.push_back(static_cast<std::uint8_t>(bytes_ >> shift));
  const auto state = std::visit([](const auto& sha) { return sha.save(); }, sha_);
  out.insert(out.end(), state.begin(), state.end());
  return out;
}

std::optional<BlobHasher> BlobHasher::restore(const BlobId& id, std::span<const std::uint8_t> saved) {
  if (saved.size() < 8) return std::nullopt;
  BlobHasher hasher(id);
  for (unsigned i = 0; i < 8; ++i) hasher.bytes_ |= std::uint64_t{saved[i]} << (8 * i);
  if (hasher.bytes_ > id.size) return std::nullopt;
  const auto state = saved.subspan(8);
  if (id.kind == BlobId::Kind::sha256) {
    const auto sha = Sha256::restore(state, hasher.bytes_);
    if (!sha) return std::nullopt;
    hasher.sha_ = *sha;
  } else {
    const std::uint64_t header = 5 + std::to_string(id.size).size() + 1;
    const auto sha = Sha1::restore(state, hasher.bytes_ + header);
    if (!sha) return std::nullopt;
    hasher.sha_ = *sha;
  }
  return hasher;
}

}  // namespace shoal
