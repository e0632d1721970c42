#include "node/core/keep_promises.h"

#include "tests/unit/node_id.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <random>

#include <gtest/gtest.h>

namespace shoal {
namespace {

using std::chrono::seconds;

BlobId blob(int n) {
  BlobId id;
  id.digest[0] = static_cast<std::uint8_t>(n);
  id.size = 1;
  return id;
}
const Time kNow = Time{} + std::chrono::hours(1);
const auto kHeld = [](const BlobId&) { return true; };

TEST(KeepPromises, OnlyWhatSomebodyPromisedMayGo) {
  KeepPromises p(node_id(1));
  EXPECT_EQ(p.ask({blob(1), blob(2)}, kNow).size(), 2U);
  p.on_keep(node_id(2), {blob(1), blob(7)});
  EXPECT_EQ(p.close(kNow + seconds(1)), std::set<BlobId>{blob(1)});
}

TEST(KeepPromises, ANeighbourThatDiedKeepsNothing) {
  KeepPromises p(node_id(1));
  p.ask({blob(1)}, kNow);
  p.on_keep(node_id(2), {blob(1)});
  p.on_gone(node_id(2));
  EXPECT_TRUE(p.close(kNow).empty());
}

TEST(KeepPromises, WhatWasPromisedIsNotAskedAboutUntilThePromiseEnds) {
  KeepPromises p(node_id(1));
  EXPECT_EQ(p.on_ask(node_id(2), {blob(1)}, kHeld, kNow), std::vector<BlobId>{blob(1)});
  EXPECT_TRUE(p.ask({blob(1)}, kNow + seconds(59)).empty());
  EXPECT_EQ(p.ask({blob(1)}, kNow + seconds(60)).size(), 1U);
}

TEST(KeepPromises, WhatIsNotHeldOrBeingDroppedIsNotPromised) {
  KeepPromises p(node_id(9));
  EXPECT_TRUE(p.on_ask(
                   node_id(2), {blob(1)}, [](const BlobId&) { return false; }, kNow)
                  .empty());
  p.ask({blob(1)}, kNow);
  p.on_keep(node_id(2), {blob(1)});
  p.close(kNow);
  EXPECT_TRUE(p.on_ask(node_id(3), {blob(1)}, kHeld, kNow).empty());
  p.end();
  EXPECT_EQ(p.on_ask(node_id(3), {blob(1)}, kHeld, kNow).size(), 1U);
}

TEST(KeepPromises, OfTwoThatAskAtOnceTheHigherIdKeeps) {
  KeepPromises low(node_id(1));
  KeepPromises high(node_id(2));
  low.ask({blob(1)}, kNow);
  high.ask({blob(1)}, kNow);
  EXPECT_TRUE(low.on_ask(node_id(2), {blob(1)}, kHeld, kNow).empty());
  low.on_keep(node_id(2), high.on_ask(node_id(1), {blob(1)}, kHeld, kNow));
  EXPECT_EQ(low.close(kNow).size(), 1U);
  EXPECT_TRUE(high.close(kNow).empty());
}

TEST(KeepPromises, TheAskerStopsWellBeforeThePromiseEnds) {
  KeepPromises p(node_id(1));
  p.ask({blob(1)}, kNow);
  p.on_keep(node_id(2), {blob(1)});
  EXPECT_TRUE(p.may_drop(kNow + seconds(39)));
  EXPECT_FALSE(p.may_drop(kNow + seconds(40)));
  EXPECT_TRUE(p.close(kNow + seconds(40)).empty());
}

// Some nodes hold the same blobs, and all want to drop them again and again. Messages take any time up to 5
// s, are lost, nodes restart and forget what they promised; between close and the removal of a file up
// to 30 s pass. At no moment may a blob be nowhere.
class Site {
 public:
  explicit Site(unsigned rng_seed) : random_(rng_seed) {
    const int nodes = pick(2, 5);
    for (int i = 0; i < nodes; ++i) {
      nodes_.push_back({std::make_unique<KeepPromises>(node_id(i + 1)), {}, {}, {}});
      for (int b = 0; b < kBlobs; ++b) nodes_.back().held.insert(blob(b));
    }
  }

  void run() {
    for (int step = 0; step < 2000; ++step) {
      now_ += std::chrono::milliseconds(pick(1, 2000));
      if (pick(0, 49) == 0) restart(pick(0, size() - 1));
      switch (pick(0, 3)) {
        case 0:
          ask(pick(0, size() - 1));
          break;
        case 1:
          drop_one(pick(0, size() - 1));
          break;
        default:
          deliver();
      }
      for (int b = 0; b < kBlobs; ++b) {
        ASSERT_TRUE(std::ranges::any_of(nodes_, [&](const Node& n) { return n.held.contains(blob(b)); }))
            << "blob " << b << " is nowhere, step " << step;
      }
    }
  }
  // Whether anything was dropped at all.
  [[nodiscard]] int dropped() const { return dropped_; }

 private:
  static constexpr int kBlobs = 4;
  struct Node {
    std::unique_ptr<KeepPromises> promises;
    std::set<BlobId> held;
    std::set<BlobId> going;
    std::optional<Time> asked;
  };
  struct Letter {
    int from;
    int to;
    bool keep;
    std::vector<BlobId> blobs;
    Time sent;
  };
  int pick(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }
  [[nodiscard]] int size() const { return static_cast<int>(nodes_.size()); }

  void send(int from, int to, bool keep, const std::vector<BlobId>& blobs) {
    if (!blobs.empty() && pick(0, 9) > 0) letters_.push_back({from, to, keep, blobs, now_});
  }
  void ask(int i) {
    Node& n = nodes_[static_cast<std::size_t>(i)];
    if (!n.going.empty()) return;
    if (!n.asked) {
      const auto about = n.promises->ask({n.held.begin(), n.held.end()}, now_);
      n.asked = now_;
      for (int to = 0; to < size(); ++to) {
        if (to != i) send(i, to, false, about);
      }
    } else if (now_ - *n.asked >= seconds(1)) {
      n.going = n.promises->close(now_);
      n.asked.reset();
      if (n.going.empty()) n.promises->end();
    }
  }
  void restart(int i) {
    Node& n = nodes_[static_cast<std::size_t>(i)];
    n.promises = std::make_unique<KeepPromises>(node_id(i + 1));
    n.going.clear();
    n.asked.reset();
  }
  void drop_one(int i) {
    Node& n = nodes_[static_cast<std::size_t>(i)];
    if (n.going.empty()) return;
    if (n.promises->may_drop(now_)) {
      dropped_ += static_cast<int>(n.held.erase(*n.going.begin()));
      n.going.erase(n.going.begin());
    } else {
      n.going.clear();
    }
    if (n.going.empty()) n.promises->end();
  }
  void deliver() {
    if (letters_.empty()) return;
    const auto at = letters_.begin() + pick(0, static_cast<int>(letters_.size()) - 1);
    const Letter letter = *at;
    letters_.erase(at);
    if (now_ - letter.sent > seconds(5)) return;
    Node& n = nodes_[static_cast<std::size_t>(letter.to)];
    if (letter.keep) {
      n.promises->on_keep(node_id(letter.from + 1), letter.blobs);
    } else {
      const auto keep = n.promises->on_ask(
          node_id(letter.from + 1), letter.blobs, [&](const BlobId& b) { return n.held.contains(b); }, now_);
      send(letter.to, letter.from, true, keep);
    }
  }

  std::mt19937 random_;
  Time now_ = kNow;
  std::vector<Node> nodes_;
  std::deque<Letter> letters_;
  int dropped_ = 0;
};

TEST(KeepPromises, WhateverTheOrderOfMessagesOneCopyIsLeft) {
  int dropped = 0;
  for (unsigned rng_seed = 1; rng_seed <= 300; ++rng_seed) {
    SCOPED_TRACE("rng_seed " + std::to_string(rng_seed));
    Site site(rng_seed);
    site.run();
    if (::testing::Test::HasFatalFailure()) return;
    dropped += site.dropped();
  }
  EXPECT_GT(dropped, 1000);
}

}  // namespace
}  // namespace shoal
