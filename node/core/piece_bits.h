// Walking the bits of a PieceMask.
#pragma once

#include "node/core/geometry.h"
#include "node/core/ids.h"

#include <bit>

namespace shoal {

// Calls `use(PieceIndex)` for each bit, lowest first.
template <typename Use>
void for_each_piece(PieceMask mask, Use use) {
  for (; mask != 0; mask &= mask - 1) use(static_cast<PieceIndex>(std::countr_zero(mask)));
}

[[nodiscard]] constexpr std::size_t at(PieceIndex piece) {
  return static_cast<std::size_t>(piece);
}

}  // namespace shoal
