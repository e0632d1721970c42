// Segments moved between real sessions.
#include "swarm_fixture.h"

#include <algorithm>
#include <limits>

namespace shoal {
namespace {

// Every node is a neighbour of every other.
void meet(std::initializer_list<TestNode*> nodes) {
  for (auto* a : nodes) {
    for (auto* b : nodes) {
      if (a->id < b->id) a->peer_with(*b);
    }
  }
  for (auto* a : nodes) {
    for (auto* b : nodes) {
      if (a == b) continue;
      ASSERT_TRUE(a->wait_up(*b));
    }
  }
}

std::vector<std::byte> segment_bytes(const TestBlob& blob, const std::vector<std::byte>& bytes,
                                     SegmentIndex segment) {
  const auto at = static_cast<std::ptrdiff_t>(blob.geometry.segment_offset(segment));
  return {bytes.begin() + at,
          bytes.begin() + at + static_cast<std::ptrdiff_t>(blob.geometry.segment_length(segment))};
}

TEST(SwarmSegments, ASegmentGoesFromSeedToLeech) {
  const TestBlob blob(5 * kMiB + 123);
  TestNode seed(1);
  TestNode leech(2);
  meet({&seed, &leech});
  const auto file = blob.part(0);
  seed.session->load(blob.spec(kFirst, blob.all(), blob.full()), {});
  leech.session->load(blob.spec(kFirst, 0, file), {seed.id});
  ASSERT_TRUE(leech.wait_pieces({blob.id, kFirst}, blob.all()));
  EXPECT_EQ(file->bytes(), blob.bytes);
  const auto told = leech.told();
  EXPECT_EQ(told.repeated_pieces, 0);
  for (const auto& [piece, from] : told.pieces.at({blob.id, kFirst})) EXPECT_EQ(from, seed.id);
  EXPECT_TRUE(seed.told().pieces.empty()) << "what was held at load is not told";
}

TEST(SwarmSegments, TheBytesMovedAreToldPerNeighbour) {
  const TestBlob blob(2 * kMiB);
  TestNode seed(1);
  TestNode leech(2);
  meet({&seed, &leech});
  seed.session->load(blob.spec(kFirst, blob.all(), blob.full()), {});
  leech.session->load(blob.spec(kFirst, 0, blob.part(0)), {seed.id});
  EXPECT_TRUE(leech.wait([&](const auto& told) {
    return told.traffic.contains(seed.id) && told.traffic.at(seed.id).first == 2 * kMiB;
  }));
  EXPECT_TRUE(seed.wait([&](const auto& told) {
    return told.traffic.contains(leech.id) && told.traffic.at(leech.id).second == 2 * kMiB;
  }));
}

TEST(SwarmSegments, ASegmentInTheMiddleLandsAtItsOffset) {
  const TestBlob blob(33 * kMiB + 5);
  TestNode seed(1);
  TestNode leech(2);
  meet({&seed, &leech});
  const auto file = blob.part(0);
  const auto source = blob.full();
  for (const auto segment : {SegmentIndex{1}, SegmentIndex{2}}) {
    seed.session->load(blob.spec(segment, blob.all(segment), source), {});
    leech.session->load(blob.spec(segment, 0, file), {seed.id});
    ASSERT_TRUE(leech.wait_pieces({blob.id, segment}, blob.all(segment)));
    EXPECT_EQ(segment_bytes(blob, file->bytes(), segment), segment_bytes(blob, blob.bytes, segment));
  }
  EXPECT_EQ(file->first_written(), blob.geometry.segment_offset(SegmentIndex{1}))
      << "nothing before it was touched";
}

TEST(SwarmSegments, ThreeNodesThatEachHaveAThirdSwapTheRest) {
  const TestBlob blob(6 * kMiB);
  TestNode a(1);
  TestNode b(2);
  TestNode c(3);
  meet({&a, &b, &c});
  const std::vector<TestNode*> nodes{&a, &b, &c};
  std::vector<PieceMask> held(3);
  for (int i = 0; i < blob.geometry.piece_count(kFirst); ++i)
    held[static_cast<std::size_t>(i % 3)] |= PieceMask{1} << i;
  std::vector<std::shared_ptr<MemoryBlob>> files;
  for (std::size_t i = 0; i < 3; ++i) {
    files.push_back(blob.part(held[i]));
    nodes[i]->session->load(blob.spec(kFirst, held[i], files[i]), {});
  }
  // The lower id connects, as the node does it.
  a.session->connect({blob.id, kFirst}, {b.id, c.id});
  b.session->connect({blob.id, kFirst}, {c.id});
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(nodes[i]->wait_pieces({blob.id, kFirst}, blob.all() & ~held[i])) << i;
    EXPECT_EQ(files[i]->bytes(), blob.bytes);
  }
}

// The seed shows each of them different pieces; what it showed to one the others get as well in the end.
TEST(SwarmSegments, PeersThatKnowOnlyTheSeedAllGetEverything) {
  for (const std::uint64_t size : {std::uint64_t{144}, 6 * kMiB}) {
    const TestBlob blob(size);
    TestNode seed(1);
    TestNode a(2);
    TestNode b(3);
    TestNode c(4);
    meet({&seed, &a, &b, &c});
    seed.session->load(blob.spec(kFirst, blob.all(), blob.full()), {});
    const std::vector<TestNode*> leeches{&a, &b, &c};
    std::vector<std::shared_ptr<MemoryBlob>> files;
    for (auto* leech : leeches) {
      files.push_back(blob.part(0));
      leech->session->load(blob.spec(kFirst, 0, files.back()), {seed.id});
    }
    for (std::size_t i = 0; i < leeches.size(); ++i) {
      EXPECT_TRUE(leeches[i]->wait_pieces({blob.id, kFirst}, blob.all())) << size << " bytes, leech " << i;
      EXPECT_EQ(files[i]->bytes(), blob.bytes);
    }
  }
}

// What a seed of 16 MiB sends to three peers that also swap among themselves. 0: they did not get everything.
std::uint64_t sent_by_a_seed_to_three() {
  const TestBlob blob(16 * kMiB);
  TestNode seed(1);
  TestNode a(2);
  TestNode b(3);
  TestNode c(4);
  meet({&seed, &a, &b, &c});
  const std::vector<TestNode*> leeches{&a, &b, &c};
  for (auto* leech : leeches) leech->session->load(blob.spec(kFirst, 0, blob.part(0)), {});
  a.session->connect({blob.id, kFirst}, {b.id, c.id});
  b.session->connect({blob.id, kFirst}, {c.id});
  seed.session->load(blob.spec(kFirst, blob.all(), blob.full()), {});
  for (auto* leech : leeches) leech->session->connect({blob.id, kFirst}, {seed.id});
  std::uint64_t from_seed = 0;
  for (auto* leech : leeches) {
    if (!leech->wait_pieces({blob.id, kFirst}, blob.all())) return 0;
    const bool counted = leech->wait([](const auto& told) {
      std::uint64_t received = 0;
      for (const auto& [node, traffic] : told.traffic) received += traffic.first;
      return received >= 16 * kMiB;
    });
    if (!counted) return 0;
    from_seed += leech->told().traffic[seed.id].first;
  }
  return from_seed;
}

// Without showing pieces one by one it is 1.8 to 3 copies, each time. On a busy machine a peer may get
// nothing for PieceReveal::kPatience and is then rightly shown everything, so that one try says little.
TEST(SwarmSegments, ASeedSendsEachPieceAboutOnceToPeersThatSwap) {
  std::uint64_t least = std::numeric_limits<std::uint64_t>::max();
  for (int attempt = 0; attempt < 5 && least >= 24 * kMiB; ++attempt) {
    const std::uint64_t sent = sent_by_a_seed_to_three();
    ASSERT_GT(sent, 0U);
    least = std::min(least, sent);
  }
  EXPECT_LT(least, 24 * kMiB);
}

TEST(SwarmSegments, PiecesHeldAreNotFetched) {
  const TestBlob blob(4 * kMiB);
  TestNode seed(1);
  TestNode leech(2);
  meet({&seed, &leech});
  const PieceMask held = 0xff;
  const auto file = blob.part(held);
  seed.session->load(blob.spec(kFirst, blob.all(), blob.full()), {});
  leech.session->load(blob.spec(kFirst, held, file), {seed.id});
  ASSERT_TRUE(leech.wait_pieces({blob.id, kFirst}, blob.all() & ~held));
  EXPECT_EQ(file->bytes(), blob.bytes);
  EXPECT_EQ(leech.told().mask({blob.id, kFirst}), blob.all() & ~held);
  EXPECT_EQ(file->first_written(), 8 * blob.geometry.piece_size());
}

TEST(SwarmSegments, APeerWithWrongBytesIsNamedAndTheSegmentCompletesFromAnother) {
  const TestBlob blob(4 * kMiB);
  TestNode liar(1);
  TestNode honest(2);
  TestNode leech(3);
  meet({&liar, &honest, &leech});
  auto wrong = blob.bytes;
  for (std::size_t i = 0; i < wrong.size(); i += kBlockSize) wrong[i] ^= std::byte{1};
  liar.session->load(blob.spec(kFirst, blob.all(), std::make_shared<MemoryBlob>(blob.id, wrong)), {});
  const auto file = blob.part(0);
  leech.session->load(blob.spec(kFirst, 0, file), {liar.id});
  ASSERT_TRUE(leech.wait([](const auto& told) { return !told.bad_pieces.empty(); }));
  EXPECT_EQ(leech.told().bad_pieces.front().second, std::vector{liar.id});

  honest.session->load(blob.spec(kFirst, blob.all(), blob.full()), {});
  leech.session->connect({blob.id, kFirst}, {honest.id});
  ASSERT_TRUE(leech.wait_pieces({blob.id, kFirst}, blob.all()));
  EXPECT_EQ(file->bytes(), blob.bytes);
}

TEST(SwarmSegments, ABannedNodeServesNothing) {
  const TestBlob blob(1 * kMiB);
  TestNode banned(1);
  TestNode other(2);
  TestNode leech(3);
  meet({&banned, &other, &leech});
  leech.session->ban(banned.id, std::chrono::seconds(60));
  banned.session->load(blob.spec(kFirst, blob.all(), blob.full()), {});
  other.session->load(blob.spec(kFirst, blob.all(), blob.full()), {});
  leech.session->load(blob.spec(kFirst, 0, blob.part(0)), {banned.id, other.id});
  // The banned one tries by itself, too.
  banned.session->connect({blob.id, kFirst}, {leech.id});
  ASSERT_TRUE(leech.wait_pieces({blob.id, kFirst}, blob.all()));
  const auto told = leech.told();
  for (const auto& [piece, from] : told.pieces.at({blob.id, kFirst})) EXPECT_EQ(from, other.id);
}

TEST(SwarmSegments, ASegmentCanBeUnloadedAndLoadedAgain) {
  const TestBlob blob(2 * kMiB);
  TestNode seed(1);
  TestNode leech(2);
  meet({&seed, &leech});
  const SegmentKey key{blob.id, kFirst};
  const auto source = blob.full();
  std::weak_ptr<MemoryBlob> watched;
  for (int round = 0; round < 4; ++round) {
    auto file = blob.part(0);
    watched = file;
    seed.session->load(blob.spec(kFirst, blob.all(), source), {});
    leech.session->load(blob.spec(kFirst, 0, file), {seed.id});
    const auto wanted =
        static_cast<std::size_t>(round) * static_cast<std::size_t>(blob.geometry.piece_count(kFirst));
    ASSERT_TRUE(leech.wait([&](const auto& told) {
      return told.mask(key) == blob.all() && static_cast<std::size_t>(told.repeated_pieces) == wanted;
    })) << round;
    EXPECT_EQ(file->bytes(), blob.bytes);
    leech.session->unload(key);
    seed.session->unload(key);
  }
  // The session lets go of the file.
  const auto deadline = std::chrono::steady_clock::now() + kDeadline;
  while (!watched.expired() && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_TRUE(watched.expired());
}

TEST(SwarmSegments, AFullDiskIsToldAndTheSegmentIsGone) {
  const TestBlob blob(2 * kMiB);
  TestNode seed(1);
  TestNode leech(2);
  meet({&seed, &leech});
  const SegmentKey key{blob.id, kFirst};
  const auto full_disk = blob.part(0);
  full_disk->fail_writes = Error{Code::no_space, "the disk is full", 28};
  seed.session->load(blob.spec(kFirst, blob.all(), blob.full()), {});
  leech.session->load(blob.spec(kFirst, 0, full_disk), {seed.id});
  ASSERT_TRUE(leech.wait([](const auto& told) { return !told.failures.empty(); }));
  EXPECT_EQ(leech.told().failures.front().first, key);
  EXPECT_EQ(leech.told().failures.front().second.code, Code::no_space);
  EXPECT_TRUE(leech.told().pieces.empty());

  const auto file = blob.part(0);
  leech.session->load(blob.spec(kFirst, 0, file), {seed.id});
  ASSERT_TRUE(leech.wait_pieces(key, blob.all()));
  EXPECT_EQ(leech.told().failures.size(), 1U);
}

TEST(SwarmSegments, ASeedThatCannotReadSaysSo) {
  const TestBlob blob(2 * kMiB);
  TestNode seed(1);
  TestNode leech(2);
  meet({&seed, &leech});
  const auto broken = blob.full();
  broken->fail_reads = Error{Code::io, "the disk is broken", 5};
  seed.session->load(blob.spec(kFirst, blob.all(), broken), {});
  leech.session->load(blob.spec(kFirst, 0, blob.part(0)), {seed.id});
  ASSERT_TRUE(seed.wait([](const auto& told) { return !told.failures.empty(); }));
  EXPECT_EQ(seed.told().failures.front().second.code, Code::io);
}

TEST(SwarmSegments, HashesThatDoNotFitTheBlobAreRefused) {
  const TestBlob blob(2 * kMiB);
  TestNode node(1);
  auto few = blob.spec(kFirst, 0, blob.part(0));
  few.piece_hashes.pop_back();
  auto zero = blob.spec(kFirst, 0, blob.part(0));
  zero.piece_hashes[0] = Hash256{};
  auto outside = blob.spec(kFirst, 0, blob.part(0));
  outside.key.index = SegmentIndex{1};
  auto surplus = blob.spec(kFirst, blob.all() + 1, blob.part(0));
  for (const auto& spec : {few, zero, outside, surplus}) node.session->load(spec, {});
  ASSERT_TRUE(node.wait([](const auto& told) { return told.failures.size() == 4; }));
  const auto told = node.told();
  for (const auto& [key, error] : told.failures) EXPECT_EQ(error.code, Code::invalid);
}

TEST(SwarmSegments, AnEqualSegmentOfAnotherBlobIsServedByTheSameTorrent) {
  // Two blobs that begin with the same 16 MiB segment and differ in the next.
  TestBlob one(17 * kMiB, 1);
  TestBlob two(18 * kMiB, 1);
  TestNode seed(1);
  TestNode leech(2);
  meet({&seed, &leech});
  const auto two_file = two.full();
  seed.session->load(one.spec(kFirst, one.all(), one.full()), {});
  seed.session->load(two.spec(kFirst, two.all(), two_file), {});
  // Its first owner leaves; the second still serves it.
  seed.session->unload({one.id, kFirst});
  const auto file = two.part(0);
  leech.session->load(two.spec(kFirst, 0, file), {seed.id});
  ASSERT_TRUE(leech.wait_pieces({two.id, kFirst}, two.all()));
  EXPECT_TRUE(seed.told().failures.empty());

  // One that is not complete cannot share.
  leech.session->load(one.spec(kFirst, 0, one.part(0)), {seed.id});
  ASSERT_TRUE(leech.wait([](const auto& told) { return !told.failures.empty(); }));
  EXPECT_EQ(leech.told().failures.front().second.code, Code::unavailable);
}

TEST(SwarmSegments, ASegmentOfOneShortPieceIsMoved) {
  for (const std::uint64_t size :
       {std::uint64_t{1}, std::uint64_t{kBlockSize}, 40 * kKiB, 256 * kKiB, 256 * kKiB + 1}) {
    const TestBlob blob(size);
    TestNode seed(1);
    TestNode leech(2);
    meet({&seed, &leech});
    const auto file = blob.part(0);
    seed.session->load(blob.spec(kFirst, blob.all(), blob.full()), {});
    leech.session->load(blob.spec(kFirst, 0, file), {seed.id});
    ASSERT_TRUE(leech.wait_pieces({blob.id, kFirst}, blob.all())) << size;
    EXPECT_EQ(file->bytes(), blob.bytes);
  }
}

}  // namespace
}  // namespace shoal
