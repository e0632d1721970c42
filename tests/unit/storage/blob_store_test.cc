// The way of a blob from its first piece to its final name.
#include "storage/blob_store.h"

#include "tests/unit/storage/support.h"

#include <atomic>
#include <thread>

namespace shoal {
namespace {

namespace fs = std::filesystem;
using test::Bytes;
using test::Download;
using test::kFirst;
using test::kLast;
using test::Machine;
using test::pattern_bytes;
using test::two_and_a_bit;

TEST(BlobStore, ABlobFetchedInOrderIsPublished) {
  Download m;
  const Bytes& bytes = m.bytes;
  const BlobId& id = m.id;
  auto& partial = m.partial;
  EXPECT_EQ(m.store->find(id), std::nullopt);
  EXPECT_FALSE((*partial)->all_here());
  ASSERT_OK(m.fetch_all(*partial, bytes));
  EXPECT_TRUE((*partial)->all_here());
  EXPECT_FALSE(fs::exists(m.layout().blob(m.repo, id)));
  ASSERT_OK(m.store->finish(*partial));
  EXPECT_TRUE((*partial)->published());

  const auto found = m.store->find(id);
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->path, m.layout().blob(m.repo, id));
  EXPECT_EQ(test::read_file(found->path), bytes);
  EXPECT_FALSE(fs::exists(m.layout().partial(m.repo, id)));
  EXPECT_THAT(*m.store->held(), testing::ElementsAre(id));
  EXPECT_TRUE(m.store->partials()->empty());
  ASSERT_OK(m.store->finish(*partial));  // again: nothing to do
}

TEST(BlobStore, GitBlobsAndOddSizesArePublishedToo) {
  Machine m;
  for (const std::uint64_t size :
       {std::uint64_t{0}, std::uint64_t{1}, 16 * kKiB, 256 * kKiB, 256 * kKiB + 1, 5 * kMiB}) {
    const Bytes bytes = pattern_bytes(size);
    for (const BlobId& id : {test::git_id(bytes), test::sha256_id(bytes)}) {
      ASSERT_OK(m.obtain(id, bytes));
      EXPECT_EQ(test::read_file(m.store->find(id)->path), bytes);
    }
  }
}

TEST(BlobStore, HashesOfPartialAndCompleteSegmentsAreTold) {
  Machine m;
  const Bytes& bytes = two_and_a_bit();
  const BlobId id = test::sha256_id(bytes);
  const Geometry g(bytes.size());
  auto partial = m.store->begin(id, m.repo);
  ASSERT_OK(partial);
  ASSERT_OK(m.fetch(*partial, bytes, kFirst, 3, 2));
  const PieceMask two = mask_of_run(3, 2);
  EXPECT_EQ((*partial)->have(kFirst), two);
  EXPECT_EQ((*partial)->bytes_have(), 2 * g.piece_size());
  auto known = m.store->hashes({id, kFirst});
  ASSERT_OK(known);
  EXPECT_EQ(known->have, two);
  EXPECT_EQ(known->piece_hashes[4],
            hash_piece(g, kFirst, PieceIndex{4}, test::piece_of(bytes, kFirst, PieceIndex{4})));
  EXPECT_TRUE(known->piece_hashes[0].is_zero());

  ASSERT_OK(m.fetch_all(*partial, bytes));
  ASSERT_OK(m.store->flush());  // from here on the database has them
  for (const bool published : {false, true}) {
    if (published) ASSERT_OK(m.store->finish(*partial));
    for (std::uint32_t i = 0; i < g.segment_count(); ++i) {
      const auto s = static_cast<SegmentIndex>(i);
      known = m.store->hashes({id, s});
      ASSERT_OK(known);
      EXPECT_EQ(known->have, g.all_pieces(s));
      for (int p = 0; p < g.piece_count(s); ++p) {
        const auto piece = static_cast<PieceIndex>(p);
        ASSERT_EQ(known->piece_hashes[static_cast<std::size_t>(p)],
                  hash_piece(g, s, piece, test::piece_of(bytes, s, piece)));
      }
    }
  }
  EXPECT_EQ(m.store->hashes({id, SegmentIndex{9}}).error().code, Code::not_found);
  EXPECT_EQ(m.store->hashes({test::git_id(bytes), kFirst}).error().code, Code::not_found);
}

TEST(BlobStore, SinksReportEachPieceOnceItIsInTheFile) {
  Download m;
  const Bytes& bytes = m.bytes;
  const BlobId& id = m.id;
  auto& partial = m.partial;
  std::vector<int> pieces;
  auto sink = m.store->slice_sink(*partial, kFirst, PieceIndex{1}, 3,
                                  [&](const SegmentKey& key, PieceIndex piece, const Hash256& hash) {
                                    EXPECT_EQ(key, (SegmentKey{id, kFirst}));
                                    Bytes there(256 * kKiB);
                                    const Geometry g(id.size);
                                    ASSERT_OK((*partial)->read_at(g.piece_offset(kFirst, piece), there));
                                    EXPECT_EQ(hash, hash_piece(g, kFirst, piece, there));
                                    pieces.push_back(to_int(piece));
                                  });
  const auto run = std::span(bytes).subspan(256 * kKiB, 3 * 256 * kKiB);
  ASSERT_OK(sink->write(run.first(1)));
  ASSERT_OK(sink->write(run.subspan(1, 500'000)));
  ASSERT_OK(sink->write(run.subspan(500'001)));
  EXPECT_THAT(pieces, testing::ElementsAre(1, 2, 3));
  EXPECT_EQ(sink->write(run.first(1)).error().code, Code::invalid);
}

TEST(BlobStore, DroppingASinkLosesOnlyThePieceInProgress) {
  Download m;
  const Bytes& bytes = m.bytes;
  auto& partial = m.partial;
  {
    auto sink = m.store->slice_sink(*partial, kFirst, PieceIndex{0}, 64, {});
    ASSERT_OK(sink->write(std::span(bytes).first(3 * 256 * kKiB + 12'345)));
  }
  EXPECT_EQ((*partial)->have(kFirst), mask_of_run(0, 3));
  EXPECT_EQ((*partial)->bytes_hashed(), 3 * 256 * kKiB);
  ASSERT_OK(m.fetch_all(*partial, bytes));
  ASSERT_OK(m.store->finish(*partial));
}

TEST(BlobStore, PiecesThatAreHereAreNeverOverwritten) {
  Download m;
  const Bytes& bytes = m.bytes;
  auto& partial = m.partial;
  ASSERT_OK(m.fetch(*partial, bytes, kFirst, 1, 1));
  const Bytes lies = pattern_bytes(bytes.size(), 99);
  // From a second slice, and from a neighbour whose write spans three pieces.
  ASSERT_OK(m.fetch(*partial, lies, kFirst, 1, 1));
  const std::array parts{std::span<const std::byte>(lies).first(300'000),
                         std::span<const std::byte>(lies).subspan(300'000, 400'000)};
  ASSERT_OK((*partial)->write_at(0, parts));
  Bytes there(256 * kKiB);
  ASSERT_OK((*partial)->read_at(256 * kKiB, there));
  EXPECT_TRUE(std::ranges::equal(there, test::piece_of(bytes, kFirst, PieceIndex{1})));
  ASSERT_OK((*partial)->read_at(0, there));
  EXPECT_TRUE(std::ranges::equal(there, test::piece_of(lies, kFirst, PieceIndex{0})));
  EXPECT_EQ((*partial)->write_at(bytes.size() - 10, parts).error().code, Code::invalid);
  EXPECT_EQ((*partial)->read_at(bytes.size() - 10, there).error().code, Code::invalid);
}

TEST(BlobStore, OfTwoSinksForOnePieceTheLaterIsInCharge) {
  Machine m;
  const Bytes& bytes = two_and_a_bit();
  auto partial = m.store->begin(test::sha256_id(bytes), m.repo);
  ASSERT_OK(partial);
  const Bytes lies = pattern_bytes(bytes.size(), 99);
  int from_first = 0;
  auto first = m.store->slice_sink(*partial, kFirst, PieceIndex{0}, 2, [&](auto...) { ++from_first; });
  ASSERT_OK(first->write(std::span(lies).first(200'000)));
  int from_second = 0;
  auto second = m.store->slice_sink(*partial, kFirst, PieceIndex{0}, 1, [&](auto...) { ++from_second; });
  ASSERT_OK(second->write(std::span(bytes).first(100'000)));
  ASSERT_OK(first->write(std::span(lies).subspan(200'000, 62'144)));
  EXPECT_EQ(from_first, 0);
  ASSERT_OK(second->write(std::span(bytes).subspan(100'000, 162'144)));
  EXPECT_EQ(from_second, 1);
  // The first goes on with its second piece.
  ASSERT_OK(first->write(test::piece_of(bytes, kFirst, PieceIndex{1})));
  EXPECT_EQ(from_first, 1);
  Bytes there(2 * 256 * kKiB);
  ASSERT_OK((*partial)->read_at(0, there));
  EXPECT_TRUE(std::ranges::equal(there, std::span(bytes).first(there.size())));
}

TEST(BlobStore, PiecesFromNeighboursInAnyOrderAreHashedBehind) {
  Machine m;
  std::atomic<int> hashed{0};
  m.options.on_hashed = [&](const BlobId&) { ++hashed; };
  m.reopen();
  const Bytes& bytes = two_and_a_bit();
  const BlobId id = test::sha256_id(bytes);
  const Geometry g(bytes.size());
  auto partial = m.store->begin(id, m.repo);
  ASSERT_OK(partial);
  for (std::uint32_t i = g.segment_count(); i-- > 0;) {
    const auto s = static_cast<SegmentIndex>(i);
    for (int p = g.piece_count(s); p-- > 0;) {
      const auto piece = static_cast<PieceIndex>(p);
      const std::array one{test::piece_of(bytes, s, piece)};
      ASSERT_OK((*partial)->write_at(g.piece_offset(s, piece), one));
      m.store->note_piece({id, s}, piece, hash_piece(g, s, piece, one[0]));
    }
  }
  EXPECT_TRUE((*partial)->all_here());
  EXPECT_TRUE(test::eventually([&] { return hashed > 0; }));
  EXPECT_EQ((*partial)->bytes_hashed(), bytes.size());
  ASSERT_OK(m.store->finish(*partial));
}

TEST(BlobStore, NotesAboutNothingAreIgnored) {
  Machine m;
  const Bytes& bytes = two_and_a_bit();
  const BlobId id = test::sha256_id(bytes);
  m.store->note_piece({id, kFirst}, PieceIndex{0}, {});
  auto partial = m.store->begin(id, m.repo);
  ASSERT_OK(partial);
  m.store->note_piece({id, SegmentIndex{77}}, PieceIndex{0}, {});
  m.store->note_piece({id, kLast}, PieceIndex{1}, {});
  EXPECT_EQ((*partial)->bytes_have(), 0U);
  EXPECT_EQ(m.store->finish(*partial).error().code, Code::invalid);
}

TEST(BlobStore, WrongBytesAreNotPublished) {
  Machine m;
  const Bytes& bytes = two_and_a_bit();
  const BlobId id = test::sha256_id(bytes);
  Bytes lies = bytes;
  lies[20 * kMiB] ^= std::byte{1};
  const Geometry g(bytes.size());
  auto partial = m.store->begin(id, m.repo);
  ASSERT_OK(partial);
  ASSERT_OK(m.fetch_all(*partial, lies));
  const auto finished = m.store->finish(*partial);
  ASSERT_FALSE(finished.has_value());
  EXPECT_EQ(finished.error().code, Code::corrupt);
  EXPECT_FALSE(fs::exists(m.layout().blob(m.repo, id)));
  EXPECT_EQ(m.store->find(id), std::nullopt);
  // Every piece matches what was told of it: nothing is missing, someone lied.
  EXPECT_TRUE((*partial)->all_here());

  // The repair: the piece is forgotten, fetched again, and all is well.
  const SegmentIndex second{1};
  const PieceIndex bad{16};
  ASSERT_OK(m.store->forget_pieces({id, second}, mask_of(bad)));
  EXPECT_EQ((*partial)->have(second), g.all_pieces(second) & ~mask_of(bad));
  EXPECT_LE((*partial)->bytes_hashed(), g.piece_offset(second, bad));
  const auto known = m.store->hashes({id, second});
  ASSERT_OK(known);
  EXPECT_TRUE(known->piece_hashes[16].is_zero());
  EXPECT_FALSE(known->piece_hashes[17].is_zero());
  ASSERT_OK(m.fetch(*partial, bytes, second, 16, 1));
  ASSERT_OK(m.store->finish(*partial));
  EXPECT_EQ(test::read_file(m.store->find(id)->path), bytes);
  EXPECT_EQ(m.store->hashes({id, second})->piece_hashes[17], known->piece_hashes[17]);
}

TEST(BlobStore, ManyThreadsMayWriteAtOnce) {
  Download m;
  const Bytes& bytes = m.bytes;
  const BlobId& id = m.id;
  auto& partial = m.partial;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int first = 0; first < 64; first += 8) {
        // Neighbouring threads overlap in half of their runs.
        EXPECT_TRUE(m.fetch(*partial, bytes, SegmentIndex{static_cast<std::uint32_t>(t / 2)},
                            (first + t * 4) % 64, std::min(8, 64 - (first + t * 4) % 64), 30'000)
                        .has_value());
      }
    });
  }
  for (auto& thread : threads) thread.join();
  ASSERT_OK(m.fetch_all(*partial, bytes));
  ASSERT_OK(m.store->finish(*partial));
  EXPECT_EQ(test::read_file(m.store->find(id)->path), bytes);
}

}  // namespace
}  // namespace shoal
