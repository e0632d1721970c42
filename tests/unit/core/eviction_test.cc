#include "node/core/eviction.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

BlobId blob(char name, std::uint64_t size) {
  BlobId id;
  id.digest[0] = static_cast<std::uint8_t>(name);
  id.size = size;
  return id;
}

HeldSnapshot held(const std::string& name, std::int64_t used, std::vector<BlobId> blobs) {
  return {.repo = {RepoType::model, name},
          .commit = std::string(40, 'c'),
          .last_used = {used},
          .blobs = std::move(blobs)};
}

// "a:evict b:pinned", as many letters as are needed.
std::string picture(const std::vector<EvictionChoice>& choices) {
  std::string out;
  for (const auto& choice : choices) {
    if (!out.empty()) out += ' ';
    out += choice.repo.name + (choice.commit.empty() ? "~" : "") + ":";
    switch (choice.verdict) {
      case Verdict::evict:
        out += "evict";
        break;
      case Verdict::not_needed:
        out += "enough";
        break;
      case Verdict::no_gain:
        out += "shared";
        break;
      case Verdict::pinned:
        out += "pinned";
        break;
      case Verdict::wanted:
        out += "wanted";
        break;
      case Verdict::in_use:
        out += "open";
        break;
      case Verdict::last_copy:
        out += "last";
        break;
    }
  }
  return out;
}

EvictionRequest room(std::uint64_t bytes, std::set<BlobId> kept) {
  return {.bytes = bytes, .kept_by_others = std::move(kept)};
}

const BlobId kBlobA = blob('a', 10);
const BlobId kBlobB = blob('b', 20);
const BlobId kBlobC = blob('c', 30);
const BlobId kD = blob('d', 40);

TEST(Eviction, LeastRecentlyUsedGoesFirstAndOnlyAsMuchAsIsNeeded) {
  const auto choices =
      choose_evictions({held("c", 3, {kBlobC}), held("a", 1, {kBlobA}), held("b", 2, {kBlobB})},
                       room(25, {kBlobA, kBlobB, kBlobC}));
  EXPECT_EQ(picture(choices), "a:evict b:evict c:enough");
  EXPECT_EQ(freed_by(choices), 30U);
}

TEST(Eviction, NothingGoesWhenNothingIsNeeded) {
  EXPECT_EQ(picture(choose_evictions({held("a", 1, {kBlobA})}, room(0, {kBlobA}))), "a:enough");
}

TEST(Eviction, WhatIsPinnedWantedOrOpenStays) {
  auto pinned = held("a", 1, {kBlobA});
  pinned.pinned = true;
  auto wanted = held("b", 2, {kBlobB});
  wanted.wanted = true;
  auto open = held("c", 3, {kBlobC});
  open.in_use = true;
  EXPECT_EQ(picture(choose_evictions({pinned, wanted, open, held("d", 4, {kD})},
                                     room(100, {kBlobA, kBlobB, kBlobC, kD}))),
            "a:pinned b:wanted c:open d:evict");
}

TEST(Eviction, TheLastCopyOnTheSiteStaysUnlessToldOtherwise) {
  const std::vector<HeldSnapshot> all{held("a", 1, {kBlobA, kBlobB}), held("c", 2, {kBlobC})};
  const auto bound = choose_evictions(all, room(100, {kBlobA, kBlobC}));
  EXPECT_EQ(picture(bound), "a:last c:evict");
  EXPECT_EQ(bound[0].last_copies, 1U);
  EXPECT_EQ(bound[0].frees, 30U);
  auto told = room(100, {kBlobA, kBlobC});
  told.even_last_copies = true;
  EXPECT_EQ(picture(choose_evictions(all, told)), "a:evict c:evict");
}

TEST(Eviction, ABlobThatAnotherSnapshotKeepsFreesNothingAndIsNoLastCopy) {
  // b shares kBlobB with a, which is pinned: only kBlobC leaves.
  auto pinned = held("a", 5, {kBlobA, kBlobB});
  pinned.pinned = true;
  const auto choices =
      choose_evictions({pinned, held("b", 1, {kBlobB, kBlobC}), held("c", 2, {kBlobA})}, room(100, {kBlobC}));
  EXPECT_EQ(picture(choices), "b:evict c:shared a:pinned");
  EXPECT_EQ(choices[0].freed, std::vector<BlobId>{kBlobC});
  EXPECT_EQ(choices[0].frees, 30U);
}

TEST(Eviction, TwoSnapshotsThatShareABlobFreeItWithTheSecond) {
  const auto choices =
      choose_evictions({held("a", 1, {kBlobA, kBlobB}), held("b", 2, {kBlobB})}, room(100, {kBlobA, kBlobB}));
  EXPECT_EQ(picture(choices), "a:evict b:evict");
  EXPECT_EQ(freed_by(choices), 30U);
  EXPECT_EQ(choices[1].freed, std::vector<BlobId>{kBlobB});
}

TEST(Eviction, TheLastCopyRuleSeesThatTheOtherSnapshotHasJustBeenChosen) {
  // kBlobB may not leave: a may, but then b is the last that has it.
  const auto choices =
      choose_evictions({held("a", 1, {kBlobA, kBlobB}), held("b", 2, {kBlobB})}, room(100, {kBlobA}));
  EXPECT_EQ(picture(choices), "a:evict b:last");
}

TEST(Eviction, WhatNoSnapshotNamesGoesFirst) {
  auto loose = held("z", 9, {kD});
  loose.commit.clear();
  EXPECT_EQ(picture(choose_evictions({held("a", 1, {kBlobA}), loose}, room(35, {kBlobA, kD}))),
            "z~:evict a:enough");
}

TEST(Eviction, OfEqualsTheLargerThenByNameWhateverTheOrderOfTheFacts) {
  std::vector<HeldSnapshot> all{held("b", 1, {kBlobA}), held("d", 1, {kBlobC}),
                                held("a", 1, {blob('x', 10)})};
  const auto wanted = room(1000, {kBlobA, kBlobC, blob('x', 10)});
  const std::string one = picture(choose_evictions(all, wanted));
  EXPECT_EQ(one, "d:evict a:evict b:evict");
  std::swap(all[0], all[2]);
  EXPECT_EQ(picture(choose_evictions(all, wanted)), one);
}

TEST(Eviction, AFileNamedTwiceInOneSnapshotCountsOnce) {
  const auto choices = choose_evictions({held("a", 1, {kBlobA, kBlobA})}, room(100, {kBlobA}));
  EXPECT_EQ(picture(choices), "a:evict");
  EXPECT_EQ(freed_by(choices), 10U);
}

}  // namespace
}  // namespace shoal
