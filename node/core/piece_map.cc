#include "node/core/piece_map.h"

#include "node/core/piece_bits.h"

namespace shoal {
namespace {

// What is here beats what is under way; an own request beats a neighbour's claim.
char letter_of(const SegmentPieces& segment, PieceMask bit) {
  if ((segment.lan & bit) != 0) return 'l';
  if ((segment.origin & bit) != 0) return 'o';
  if ((segment.local & bit) != 0) return 'm';
  if ((segment.fetching & bit) != 0) return 'f';
  if ((segment.asked & bit) != 0) return 'n';
  return (segment.claimed & bit) != 0 ? 'c' : '-';
}

}  // namespace

std::string run_lengths(const PieceMap& map) {
  const Geometry geometry(map.blob.size);
  std::string out;
  char letter = 0;
  std::size_t count = 0;
  const auto flush = [&] {
    if (count > 0) out += letter + std::to_string(count);
    count = 0;
  };
  for (std::size_t i = 0; i < map.segments.size(); ++i) {
    for_each_piece(geometry.all_pieces(static_cast<SegmentIndex>(i)), [&](PieceIndex piece) {
      const char next = letter_of(map.segments[i], mask_of(piece));
      if (next != letter) flush();
      letter = next;
      ++count;
    });
  }
  flush();
  return out;
}

}  // namespace shoal
