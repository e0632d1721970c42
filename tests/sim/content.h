// Names and hashes of content that is nowhere stored: a piece's content is a number, 0 for the right bytes,
// and its hash a function of blob, place and content.
#pragma once

#include "node/core/ids.h"
#include "tests/sim/random.h"

#include <cstdint>
#include <cstring>

namespace shoal::sim {

inline BlobId draw_blob(Random& random, std::uint64_t size) {
  BlobId blob;
  blob.size = size;
  const std::uint64_t a = random.next();
  for (std::size_t i = 0; i < 4; ++i) {
    const std::uint64_t word = Random(a + i).next();
    std::memcpy(blob.digest.data() + 8 * i, &word, 8);
  }
  return blob;
}

inline Hash256 hash_of_content(const SegmentKey& key, PieceIndex piece, std::uint64_t content) {
  const auto mix = [](std::uint64_t x) { return Random(x).next(); };
  std::uint64_t word = 0;
  std::memcpy(&word, key.blob.digest.data(), 8);
  word = mix(word ^ mix((std::uint64_t{to_int(key.index)} << 32U) +
                        (static_cast<std::uint64_t>(piece) << 16U) + content));
  Hash256 hash;
  for (std::size_t i = 0; i < 4; ++i) {
    const std::uint64_t part = mix(word + i) | 1U;
    std::memcpy(hash.bytes.data() + 8 * i, &part, 8);
  }
  return hash;
}

}  // namespace shoal::sim
