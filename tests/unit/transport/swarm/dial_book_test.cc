#include "transport/swarm/dial_book.h"

#include "tests/unit/node_id.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

const Endpoint kOne{"10.0.0.1", 8421};
const Endpoint kTwo{"10.0.0.2", 8421};
using Due = std::vector<Endpoint>;

class DialBookTest : public ::testing::Test {
 protected:
  // Times at which the endpoint is dialled in the next `span`, in milliseconds from now.
  std::vector<int> dials(milliseconds span) {
    std::vector<int> out;
    for (milliseconds at{0}; at < span; at += milliseconds(100)) {
      if (!book.due(now + at).empty()) out.push_back(static_cast<int>(at.count()));
    }
    now += span;
    return out;
  }
  DialBook book;
  Time now{};
};

TEST_F(DialBookTest, WhatIsToldIsDialledAtOnceAndThenLessAndLessOften) {
  book.on_explicit(kOne, now);
  EXPECT_EQ(dials(seconds(40)), (std::vector{0, 400, 1200, 2800, 6000, 12400, 25200}));
  // Capped.
  EXPECT_EQ(dials(seconds(60)).size(), 4U);
}

TEST_F(DialBookTest, ANeighbourIsNotDialledAndALostOneIsDialledAgainSoon) {
  book.on_heard(kOne, now);
  EXPECT_EQ(book.due(now), Due{kOne});
  book.on_neighbour(kOne, node_id(1), now);
  EXPECT_EQ(dials(minutes(2)), std::vector<int>{});
  book.on_lost(node_id(2), now);
  EXPECT_EQ(dials(seconds(2)), std::vector<int>{});
  book.on_lost(node_id(1), now);
  EXPECT_EQ(dials(seconds(2)), (std::vector{400, 800, 1600}));
}

TEST_F(DialBookTest, ANodeWithTwoAddressesIsLeftAloneAtBoth) {
  book.on_heard(kOne, now);
  book.on_heard(kTwo, now);
  book.on_neighbour(kOne, node_id(1), now);
  book.on_neighbour(kTwo, node_id(1), now);
  EXPECT_EQ(dials(seconds(10)), std::vector<int>{});
  book.on_lost(node_id(1), now);
  EXPECT_EQ(book.due(now + seconds(1)), (Due{kOne, kTwo}));
}

TEST_F(DialBookTest, ThisNodeItselfIsDialledOnce) {
  book.on_heard(kOne, now);
  EXPECT_EQ(book.due(now), Due{kOne});
  book.on_self(kOne);
  book.on_heard(kOne, now);
  EXPECT_EQ(dials(minutes(1)), std::vector<int>{});
}

TEST_F(DialBookTest, HearingOfAnEndpointAgainShortensItsWait) {
  book.on_heard(kOne, now);
  dials(minutes(1));
  book.on_heard(kOne, now);
  EXPECT_FALSE(dials(seconds(4)).empty());
}

TEST_F(DialBookTest, WhatIsInVainForLongIsForgottenUnlessItWasExplicit) {
  book.on_heard(kOne, now);
  book.on_explicit(kTwo, now);
  dials(minutes(11));
  EXPECT_EQ(book.size(), 1U);
  EXPECT_FALSE(dials(minutes(1)).empty());
}

TEST_F(DialBookTest, AFullBookTakesNothingNew) {
  DialBook::Limits limits;
  limits.endpoints = 2;
  book = DialBook(limits);
  book.on_heard(kOne, now);
  book.on_heard(kTwo, now);
  book.on_heard({"10.0.0.3", 1}, now);
  EXPECT_EQ(book.size(), 2U);
}

}  // namespace
}  // namespace shoal
