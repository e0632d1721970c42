#include "transport/swarm/request_ledger.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

constexpr std::uint32_t kPieceSize = 256 * kKiB;

BlockPlace block(int piece, std::uint32_t index) {
  return {piece, index * kBlockSize, kBlockSize};
}

class RequestLedgers : public ::testing::Test {
 protected:
  std::shared_ptr<AskedBlocks> segment = std::make_shared<AskedBlocks>(kPieceSize);
  RequestLedger one{segment};
  RequestLedger other{segment};
};

TEST_F(RequestLedgers, ABlockThatNobodyWasAskedForIsAskedFor) {
  EXPECT_FALSE(one.on_request(block(0, 0), true));
  EXPECT_FALSE(other.on_request(block(0, 1), true));
  EXPECT_FALSE(other.waits());
  EXPECT_FALSE(other.on_patience_over());
}

TEST_F(RequestLedgers, ABlockThatIsUnderWayWaits) {
  EXPECT_FALSE(one.on_request(block(3, 7), true));
  EXPECT_TRUE(other.on_request(block(3, 7), true));
  EXPECT_TRUE(other.waits());
}

TEST_F(RequestLedgers, ANeighbourThatCannotBeToldToRejectIsAskedAtOnce) {
  EXPECT_FALSE(one.on_request(block(3, 7), true));
  EXPECT_FALSE(other.on_request(block(3, 7), false));
}

TEST_F(RequestLedgers, OneRequestAtATimeWaits) {
  EXPECT_FALSE(one.on_request(block(0, 0), true));
  EXPECT_FALSE(one.on_request(block(0, 1), true));
  EXPECT_TRUE(other.on_request(block(0, 0), true));
  EXPECT_FALSE(other.on_request(block(0, 1), true));
}

TEST_F(RequestLedgers, WhatHasWaitedLongEnoughIsAskedFor) {
  EXPECT_FALSE(one.on_request(block(0, 0), true));
  EXPECT_TRUE(other.on_request(block(0, 0), true));
  EXPECT_EQ(other.on_patience_over(), block(0, 0));
  EXPECT_FALSE(other.waits());
  EXPECT_FALSE(other.on_patience_over());
  // It is under way on both: a third one waits until both have answered.
  RequestLedger third(segment);
  one.on_answer(block(0, 0));
  EXPECT_TRUE(third.on_request(block(0, 0), true));
}

TEST_F(RequestLedgers, WhatComesWhileItWaitsIsToBeRejected) {
  EXPECT_FALSE(one.on_request(block(0, 0), true));
  EXPECT_TRUE(other.on_request(block(0, 0), true));
  EXPECT_TRUE(other.on_cancel(block(0, 0)));
  EXPECT_FALSE(other.waits());
  EXPECT_FALSE(other.on_patience_over()) << "it is not asked for any more";
}

TEST_F(RequestLedgers, ARequestThatWasSentIsCancelledAsUsual) {
  EXPECT_FALSE(one.on_request(block(0, 0), true));
  EXPECT_FALSE(one.on_cancel(block(0, 0)));
}

TEST_F(RequestLedgers, ANewPieceEndsTheWait) {
  EXPECT_FALSE(one.on_request(block(0, 0), true));
  EXPECT_TRUE(other.on_request(block(0, 0), true));
  EXPECT_EQ(other.on_have(5, true), block(0, 0));
  EXPECT_FALSE(other.waits());
  EXPECT_FALSE(other.on_have(6, true)) << "the reject is on its way; libtorrent will see both pieces";
  other.on_answer(block(0, 0));
  EXPECT_FALSE(other.on_request(block(5, 0), true));
}

TEST_F(RequestLedgers, APieceThatIsUnderWayDoesNotEndTheWait) {
  EXPECT_FALSE(one.on_request(block(0, 0), true));
  EXPECT_FALSE(one.on_request(block(5, 0), true));
  EXPECT_TRUE(other.on_request(block(0, 0), true));
  EXPECT_FALSE(other.on_have(5, true));
  EXPECT_TRUE(other.waits());
  one.on_answer(block(5, 0));
  EXPECT_TRUE(other.on_have(5, true)) << "its other blocks were not asked for";
}

// libtorrent does not look at a connection again that it finds interesting and has nothing to ask for.
TEST_F(RequestLedgers, AnIdleConnectionIsWokenByANewPiece) {
  EXPECT_FALSE(one.on_have(4, true)) << "it has never been asked for anything: libtorrent is about to";
  EXPECT_FALSE(one.on_request(block(0, 0), true));
  EXPECT_FALSE(one.on_have(4, true)) << "what it was asked for will wake it";
  one.on_answer(block(0, 0));
  EXPECT_FALSE(one.on_have(4, false)) << "libtorrent asks it itself";
  EXPECT_EQ(one.on_have(4, true), block(0, 0)) << "any block does: it is not waited for";
  EXPECT_FALSE(one.on_have(5, true));
}

TEST_F(RequestLedgers, AConnectionThatClosesFreesWhatItWasAskedFor) {
  {
    RequestLedger gone(segment);
    EXPECT_FALSE(gone.on_request(block(1, 1), true));
    EXPECT_TRUE(one.on_request(block(1, 1), true));
  }
  EXPECT_FALSE(segment->asked(block(1, 1)));
  EXPECT_FALSE(segment->asked(1));
  EXPECT_EQ(one.on_patience_over(), block(1, 1));
  EXPECT_TRUE(segment->asked(1));
}

TEST_F(RequestLedgers, WhatWasGivenUpWithoutAnAnswerIsAskedForHereAtOnce) {
  EXPECT_FALSE(one.on_request(block(0, 0), true));
  EXPECT_FALSE(one.on_request(block(0, 0), true));
  one.on_answer(block(0, 0));
  EXPECT_FALSE(segment->asked(0)) << "it counts once";
}

TEST_F(RequestLedgers, AnswersToWhatWasNotAskedForCountNothing) {
  one.on_answer(block(0, 0));
  EXPECT_FALSE(one.on_request(block(0, 0), true));
  one.on_answer(block(0, 1));
  EXPECT_TRUE(segment->asked(0));
  one.on_answer(block(0, 0));
  one.on_answer(block(0, 0));
  EXPECT_FALSE(segment->asked(0));
}

TEST_F(RequestLedgers, BlocksOutsideTheSegmentAreNotLookedAfter) {
  for (const BlockPlace& outside : {BlockPlace{-1, 0, 1}, BlockPlace{kMaxPiecesPerSegment, 0, 1},
                                    BlockPlace{0, kPieceSize, 1}, BlockPlace{0, 0xffffffff, 1}}) {
    EXPECT_FALSE(segment->has_place(outside));
    EXPECT_FALSE(one.on_request(outside, true));
    EXPECT_FALSE(other.on_request(outside, true));
    one.on_answer(outside);
  }
  EXPECT_FALSE(one.on_have(-1, true));
  EXPECT_FALSE(one.on_have(kMaxPiecesPerSegment, true));
}

TEST_F(RequestLedgers, APieceShorterThanABlockHasOneBlock) {
  const AskedBlocks tiny(144);
  EXPECT_TRUE(tiny.has_place({0, 0, 144}));
  EXPECT_FALSE(tiny.has_place(block(0, 1)));
}

}  // namespace
}  // namespace shoal
