// Which pieces of a blob are here, where they came from, and who brings the others: what the page draws.
#pragma once

#include "node/core/geometry.h"
#include "node/core/ids.h"

#include <string>
#include <vector>

namespace shoal {

// One segment. `lan`, `origin` and `local` are disjoint and here; the others say what is under way and may
// overlap them for the moment between landing and recording.
struct SegmentPieces {
  PieceMask lan = 0;       // came from neighbours since the node began with the file
  PieceMask origin = 0;    // came from the origin
  PieceMask local = 0;     // was on this disk when the node began with the file
  PieceMask fetching = 0;  // in a request of this node to the origin
  PieceMask asked = 0;     // the segment is loaded: neighbours send it
  PieceMask claimed = 0;   // a neighbour fetches it from the origin
  bool operator==(const SegmentPieces&) const = default;
};

struct PieceMap {
  BlobId blob;
  std::vector<SegmentPieces> segments;
};

// The pieces in file order as runs of one letter and a count, e.g. "l12o3-40":
//   l neighbour  o origin  m this machine  f being fetched from the origin  n being fetched from neighbours
//   c claimed by a neighbour  - nothing yet
// Why text: a map of 8,000 pieces in 20 runs is 100 bytes of JSON, and people can read it.
[[nodiscard]] std::string run_lengths(const PieceMap& map);

}  // namespace shoal
