#include "node/core/piece_tellers.h"

#include "node/core/piece_bits.h"
#include "tests/unit/node_id.h"

#include <array>
#include <cstddef>
#include <cstdint>

#include <gtest/gtest.h>

namespace shoal {
namespace {

TEST(PieceTellers, NobodyToldAtFirst) {
  const PieceTellers tellers;
  EXPECT_EQ(tellers.of(PieceIndex{3}), NodeId{});
  EXPECT_EQ(tellers.told_by(node_id(1)), 0U);
  EXPECT_EQ(tellers.begin(), tellers.end());
}

// Against a node per piece.
TEST(PieceTellers, TheLastTellerOfAPieceCounts) {
  PieceTellers tellers;
  std::array<NodeId, 64> by_piece{};
  tellers.set(~PieceMask{0}, NodeId{});
  std::uint64_t random = 12345;
  for (int step = 0; step < 500; ++step) {
    random = random * 6364136223846793005U + 1442695040888963407U;
    const PieceMask pieces = random & (random >> 7U) & (random >> 19U);
    const NodeId teller = node_id(static_cast<int>((random >> 40U) % 5));
    tellers.set(pieces, teller);
    for_each_piece(pieces, [&](PieceIndex p) { by_piece.at(at(p)) = teller; });

    PieceMask seen = 0;
    for (const auto& [told, mask] : tellers) {
      ASSERT_NE(mask, 0U);
      ASSERT_EQ(mask & seen, 0U);
      ASSERT_EQ(tellers.told_by(told), mask);
      seen |= mask;
    }
    ASSERT_EQ(seen, ~PieceMask{0});
    for_each_piece(seen, [&](PieceIndex p) { ASSERT_EQ(tellers.of(p), by_piece.at(at(p))); });
  }
}

}  // namespace
}  // namespace shoal
