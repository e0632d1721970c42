#include "storage/blob_store.h"

#include "tests/unit/storage/support.h"

#include <atomic>
#include <mutex>

#include <sys/file.h>
#include <sys/stat.h>

namespace shoal {
namespace {

namespace fs = std::filesystem;
using test::Bytes;
using test::Machine;
using test::pattern_bytes;

// Three segments, the last one a short piece: 64 + 64 + 1 pieces.
const Bytes& two_and_a_bit() {
  static const Bytes bytes = pattern_bytes(32 * kMiB + 100'000);
  return bytes;
}
constexpr SegmentIndex kFirst{0};
constexpr SegmentIndex kLast{2};

TEST(BlobStore, ABlobFetchedInOrderIsPublished) {
  Machine m;
  const Bytes& bytes = two_and_a_bit();
  const BlobId id = test::sha256_id(bytes);
  auto partial = m.store->begin(id, m.repo);
  ASSERT_OK(partial);
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
  Machine m;
  const Bytes& bytes = two_and_a_bit();
  const BlobId id = test::sha256_id(bytes);
  auto partial = m.store->begin(id, m.repo);
  ASSERT_OK(partial);
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
  Machine m;
  const Bytes& bytes = two_and_a_bit();
  const BlobId id = test::sha256_id(bytes);
  auto partial = m.store->begin(id, m.repo);
  ASSERT_OK(partial);
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
  Machine m;
  const Bytes& bytes = two_and_a_bit();
  const BlobId id = test::sha256_id(bytes);
  auto partial = m.store->begin(id, m.repo);
  ASSERT_OK(partial);
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

TEST(BlobStore, BytesThatRotOnTheDiskAreFoundAndForgotten) {
  Machine m;
  const Bytes& bytes = two_and_a_bit();
  const BlobId id = test::sha256_id(bytes);
  Bytes lies = bytes;
  lies[5] ^= std::byte{1};
  auto partial = m.store->begin(id, m.repo);
  ASSERT_OK(partial);
  ASSERT_OK(m.fetch_all(*partial, lies));  // the whole hash will not match, so the disk is read again
  {
    std::fstream file(m.layout().partial(m.repo, id), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(17 * kMiB);
    file.put('!');
  }
  const auto finished = m.store->finish(*partial);
  ASSERT_FALSE(finished.has_value());
  EXPECT_EQ(finished.error().code, Code::corrupt);
  EXPECT_EQ((*partial)->have(SegmentIndex{1}), ~mask_of(PieceIndex{4}));
  ASSERT_OK(m.store->forget_pieces({id, kFirst}, 1));
  ASSERT_OK(m.fetch_all(*partial, bytes));
  ASSERT_OK(m.store->finish(*partial));
  EXPECT_EQ(test::read_file(m.store->find(id)->path), bytes);
}

TEST(BlobStore, ARestartForgetsNothingAndReadsNothing) {
  Machine m;
  const Bytes& bytes = two_and_a_bit();
  const BlobId id = test::sha256_id(bytes);
  PieceMask later = 0;
  {
    auto partial = m.store->begin(id, m.repo);
    ASSERT_OK(partial);
    ASSERT_OK(m.fetch(*partial, bytes, kFirst, 0, 64));
    ASSERT_OK(m.fetch(*partial, bytes, SegmentIndex{1}, 0, 10));
    ASSERT_OK(m.fetch(*partial, bytes, SegmentIndex{1}, 20, 10));
    later = (*partial)->have(SegmentIndex{1});
    EXPECT_EQ((*partial)->bytes_hashed(), 74 * 256 * kKiB);
  }
  m.reopen();
  EXPECT_THAT(*m.store->partials(), testing::ElementsAre(id));
  // If anything were read again, these holes in place of the first segment would show.
  {
    std::fstream file(m.layout().partial(m.repo, id), std::ios::in | std::ios::out | std::ios::binary);
    file.write(reinterpret_cast<const char*>(Bytes(16 * kMiB).data()), 16 * kMiB);
  }
  auto partial = m.store->begin(id, m.repo);
  ASSERT_OK(partial);
  EXPECT_EQ((*partial)->have(kFirst), ~PieceMask{0});
  EXPECT_EQ((*partial)->have(SegmentIndex{1}), later);
  EXPECT_EQ((*partial)->bytes_hashed(), 74 * 256 * kKiB);
  {
    std::fstream file(m.layout().partial(m.repo, id), std::ios::in | std::ios::out | std::ios::binary);
    file.write(reinterpret_cast<const char*>(bytes.data()), 16 * kMiB);
  }
  ASSERT_OK(m.fetch_all(*partial, bytes));
  ASSERT_OK(m.store->finish(*partial));
  EXPECT_EQ(test::read_file(m.store->find(id)->path), bytes);
  for (std::uint32_t i = 0; i < 3; ++i) {
    const auto known = m.store->hashes({id, SegmentIndex{i}});
    ASSERT_OK(known);
    for (const auto& hash : known->piece_hashes) EXPECT_FALSE(hash.is_zero());
  }
}

TEST(BlobStore, AfterARebootOnlyDurablePiecesCount) {
  Machine m;
  std::atomic<int> flushes{0};
  m.options.sync_interval = std::chrono::milliseconds(1);
  m.options.datasync = [&](int) {
    ++flushes;
    return 0;
  };
  m.reopen();
  const Bytes& bytes = two_and_a_bit();
  const BlobId id = test::sha256_id(bytes);
  auto partial = m.store->begin(id, m.repo);
  ASSERT_OK(partial);
  ASSERT_OK(m.fetch(*partial, bytes, kFirst, 0, 8));
  EXPECT_TRUE(test::eventually([&] { return flushes > 0; }));
  partial->reset();
  m.reopen();  // its end flushes too

  // From here on the disk refuses, so nothing more becomes durable.
  m.close();
  m.options.sync_interval = std::chrono::hours(1);
  m.options.datasync = [&](int) { return EIO; };
  m.reopen();
  partial = m.store->begin(id, m.repo);
  ASSERT_OK(partial);
  EXPECT_EQ((*partial)->have(kFirst), mask_of_run(0, 8));
  ASSERT_OK(m.fetch(*partial, bytes, kFirst, 8, 8));
  ASSERT_OK(m.store->flush());
  // A copy of the state as a power loss would leave it at worst: recorded, not durable.
  fs::copy(m.dir / "shoal.db", m.dir / "copy.db");
  fs::copy(m.dir / "shoal.db-wal", m.dir / "copy.db-wal");
  partial->reset();
  m.close();

  for (const auto& [boot, expected] : {std::pair{"boot-1", 16}, {"boot-2", 8}}) {
    m.close();
    for (const char* suffix : {"", "-wal", "-shm"}) fs::remove(m.dir / (std::string("shoal.db") + suffix));
    fs::copy(m.dir / "copy.db", m.dir / "shoal.db");
    fs::copy(m.dir / "copy.db-wal", m.dir / "shoal.db-wal");
    m.options.boot_id = boot;
    m.options.datasync = {};
    m.reopen();
    partial = m.store->begin(id, m.repo);
    ASSERT_OK(partial);
    EXPECT_EQ((*partial)->have(kFirst), mask_of_run(0, expected)) << boot;
    EXPECT_EQ((*partial)->bytes_hashed(), static_cast<std::uint64_t>(expected) * 256 * kKiB) << boot;
    partial->reset();
  }
  partial = m.store->begin(id, m.repo);
  ASSERT_OK(m.fetch_all(*partial, bytes));
  ASSERT_OK(m.store->finish(*partial));
}

TEST(BlobStore, AFailingFlushTakesBackWhatItShouldHaveSaved) {
  Machine m;
  std::atomic<bool> broken{false};
  std::atomic<int> flushes{0};
  std::mutex mutex;
  std::vector<std::pair<SegmentKey, PieceMask>> lost;
  m.options.sync_interval = std::chrono::milliseconds(1);
  m.options.datasync = [&](int) {
    ++flushes;
    return broken ? EIO : 0;
  };
  m.options.on_pieces_lost = [&](const SegmentKey& key, PieceMask pieces, const Error& error) {
    EXPECT_EQ(error.code, Code::io);
    const std::lock_guard lock(mutex);
    lost.emplace_back(key, pieces);
  };
  m.reopen();
  const Bytes& bytes = two_and_a_bit();
  const BlobId id = test::sha256_id(bytes);
  auto partial = m.store->begin(id, m.repo);
  ASSERT_OK(partial);
  ASSERT_OK(m.fetch(*partial, bytes, kFirst, 0, 4));
  EXPECT_TRUE(test::eventually([&] { return flushes > 0; }));
  partial->reset();
  m.close();  // flushed at the end, so four pieces are durable
  m.reopen();
  partial = m.store->begin(id, m.repo);
  ASSERT_OK(partial);
  broken = true;
  ASSERT_OK(m.fetch(*partial, bytes, kFirst, 4, 60));
  EXPECT_TRUE(test::eventually([&] { return (*partial)->have(kFirst) == mask_of_run(0, 4); }));
  EXPECT_TRUE(test::eventually([&] {
    const std::lock_guard lock(mutex);
    PieceMask all = 0;
    for (const auto& [key, pieces] : lost) all |= pieces;
    return all == ~mask_of_run(0, 4);
  }));
  EXPECT_LE((*partial)->bytes_hashed(), 4 * 256 * kKiB);
  broken = false;
  ASSERT_OK(m.fetch_all(*partial, bytes));
  ASSERT_OK(m.store->finish(*partial));
  EXPECT_EQ(test::read_file(m.store->find(id)->path), bytes);
}

TEST(BlobStore, AFailingFlushAtTheEndIsToldAndRepaired) {
  Machine m;
  std::atomic<bool> broken{true};
  m.options.sync_interval = std::chrono::hours(1);
  m.options.datasync = [&](int) { return broken ? ENOSPC : 0; };
  m.reopen();
  const Bytes bytes = pattern_bytes(3 * kMiB);
  const BlobId id = test::sha256_id(bytes);
  auto partial = m.store->begin(id, m.repo);
  ASSERT_OK(partial);
  ASSERT_OK(m.fetch_all(*partial, bytes));
  EXPECT_EQ(m.store->finish(*partial).error().code, Code::no_space);
  EXPECT_EQ((*partial)->bytes_have(), 0U);
  EXPECT_FALSE(m.store->find(id).has_value());
  broken = false;
  ASSERT_OK(m.fetch_all(*partial, bytes));
  ASSERT_OK(m.store->finish(*partial));
}

TEST(BlobStore, WhatDoesNotFitIsRefusedWithItsSizes) {
  Machine m;
  const BlobId big{.kind = BlobId::Kind::sha256, .digest = {1}, .size = kMaxBlobSize};
  const auto refused = m.store->begin(big, m.repo);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::no_space);
  EXPECT_THAT(refused.error().message, testing::HasSubstr("64.0 TiB are needed"));
  EXPECT_FALSE(fs::exists(m.layout().partial(m.repo, big)));

  const auto free = fs::space(m.dir.path()).available;
  BlobId half{.kind = BlobId::Kind::sha256, .digest = {2}, .size = free / 5 * 3};
  const auto first = m.store->begin(half, m.repo);
  ASSERT_OK(first);
  half.digest[0] = 3;
  const auto second = m.store->begin(half, m.repo);
  ASSERT_FALSE(second.has_value());
  EXPECT_THAT(second.error().message, testing::HasSubstr("downloads under way"));
}

TEST(BlobStore, AnotherProgramsLockIsRespected) {
  Machine m;
  const Bytes bytes = pattern_bytes(kMiB);
  const BlobId id = test::sha256_id(bytes);
  HubCache other(m.dir / "hub");
  {
    auto lock = other.try_lock(m.repo, id);
    ASSERT_OK(lock);
    EXPECT_EQ(m.store->begin(id, m.repo).error().code, Code::unavailable);
  }
  auto partial = m.store->begin(id, m.repo);
  ASSERT_OK(partial);
  EXPECT_FALSE(other.try_lock(m.repo, id)->has_value());
  ASSERT_OK(m.fetch_all(*partial, bytes));
  ASSERT_OK(m.store->finish(*partial));
  EXPECT_TRUE(other.try_lock(m.repo, id)->has_value());
}

TEST(BlobStore, TwoReposThatWantABlobShareOnePartialAndThenOneFile) {
  Machine m;
  const Bytes bytes = pattern_bytes(2 * kMiB);
  const BlobId id = test::sha256_id(bytes);
  const RepoRef twin{RepoType::dataset, "acme/twin"};
  auto one = m.store->begin(id, m.repo);
  auto two = m.store->begin(id, twin);
  ASSERT_OK(one);
  ASSERT_OK(two);
  EXPECT_EQ(*one, *two);
  EXPECT_EQ(m.store->materialize(id, twin).error().code, Code::not_found);
  ASSERT_OK(m.fetch_all(*one, bytes));
  ASSERT_OK(m.store->finish(*one));
  EXPECT_EQ(m.store->begin(id, twin).error().code, Code::invalid);
  EXPECT_EQ(m.store->find(id, twin), std::nullopt);
  EXPECT_EQ(m.store->materialize(id, twin).value(), id.size);
  EXPECT_TRUE(fs::equivalent(m.layout().blob(m.repo, id), m.layout().blob(twin, id)));
  EXPECT_EQ(m.store->find(id, twin)->path, m.layout().blob(twin, id));
  EXPECT_THAT(*m.store->held(), testing::ElementsAre(id));
  // Nothing lies about.
  EXPECT_EQ(std::distance(fs::directory_iterator(m.layout().blobs_dir(twin)), fs::directory_iterator()), 1);
}

TEST(BlobStore, AForeignFileOfTheRightNameIsReadBeforeItIsBelieved) {
  Machine m;
  const Bytes bytes = pattern_bytes(2 * kMiB);
  const BlobId id = test::sha256_id(bytes);
  test::write_file(m.layout().blob(m.repo, id), pattern_bytes(2 * kMiB, 5));
  EXPECT_EQ(m.store->materialize(id, m.repo).error().code, Code::not_found);
  test::write_file(m.layout().blob(m.repo, id), bytes);
  EXPECT_EQ(m.store->materialize(id, m.repo).value(), id.size);
  EXPECT_TRUE(m.store->hashes({id, kFirst}).has_value());
}

TEST(BlobStore, AWrongForeignFileIsReplacedByTheRightOne) {
  Machine m;
  const Bytes bytes = pattern_bytes(2 * kMiB);
  const BlobId id = test::sha256_id(bytes);
  test::write_file(m.layout().blob(m.repo, id), pattern_bytes(2 * kMiB, 5));
  ASSERT_OK(m.obtain(id, bytes));
  EXPECT_EQ(test::read_file(m.layout().blob(m.repo, id)), bytes);
}

TEST(BlobStore, SmallBlobsArePublishedFromMemory) {
  Machine m;
  for (const auto& text : {std::string(), std::string("{}"), std::string(256 * kKiB, 'x')}) {
    const Bytes bytes = test::text_bytes(text);
    for (const BlobId& id : {test::git_id(bytes), test::sha256_id(bytes)}) {
      ASSERT_OK(m.store->publish_small(id, m.repo, bytes));
      ASSERT_OK(m.store->publish_small(id, m.repo, bytes));
      EXPECT_EQ(test::read_file(m.store->find(id, m.repo)->path), bytes);
      struct stat st {};
      ASSERT_EQ(::stat(m.store->find(id)->path.c_str(), &st), 0);
      const auto mask = ::umask(0);
      ::umask(mask);
      EXPECT_EQ(st.st_mode & 0777U, 0666U & ~mask);
      if (!bytes.empty()) {
        const Geometry g(bytes.size());
        EXPECT_EQ(m.store->hashes({id, kFirst})->piece_hashes.at(0),
                  hash_piece(g, kFirst, PieceIndex{0}, bytes));
      }
    }
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(m.layout().blobs_dir(m.repo)), fs::directory_iterator()), 6);
}

TEST(BlobStore, SmallBlobsThatAreWrongAreRefused) {
  Machine m;
  const Bytes bytes = test::text_bytes("right");
  const BlobId id = test::git_id(bytes);
  EXPECT_EQ(m.store->publish_small(id, m.repo, test::text_bytes("wrong")).error().code, Code::corrupt);
  EXPECT_EQ(m.store->publish_small(id, m.repo, test::text_bytes("short")).error().code, Code::corrupt);
  EXPECT_EQ(m.store->publish_small(id, m.repo, test::text_bytes("x")).error().code, Code::invalid);
  const Bytes large = pattern_bytes(kSmallBlobMax + 1);
  EXPECT_EQ(m.store->publish_small(test::git_id(large), m.repo, large).error().code, Code::invalid);
  EXPECT_FALSE(fs::exists(m.layout().blob(m.repo, id)));
}

TEST(BlobStore, CompleteBlobsAreReadAndNotWritten) {
  Machine m;
  const Bytes bytes = pattern_bytes(kMiB);
  const BlobId id = test::sha256_id(bytes);
  EXPECT_EQ(m.store->open(id).error().code, Code::not_found);
  ASSERT_OK(m.obtain(id, bytes));
  const auto file = m.store->open(id);
  ASSERT_OK(file);
  EXPECT_EQ(*m.store->open(id), *file);  // one descriptor
  Bytes there(1000);
  ASSERT_OK((*file)->read_at(5000, there));
  EXPECT_TRUE(std::ranges::equal(there, std::span(bytes).subspan(5000, 1000)));
  EXPECT_EQ((*file)->read_at(bytes.size() - 5, there).error().code, Code::invalid);
  const std::array one{std::span<const std::byte>(there)};
  EXPECT_EQ((*file)->write_at(0, one).error().code, Code::invalid);
  // Removed by someone: who has it open goes on reading.
  fs::remove(m.layout().blob(m.repo, id));
  ASSERT_OK((*file)->read_at(0, there));
  EXPECT_EQ(m.store->open(id).error().code, Code::not_found);
}

TEST(BlobStore, VanishedAndChangedFilesLoseTheirRecord) {
  Machine m;
  const Bytes bytes = pattern_bytes(kMiB);
  const BlobId id = test::sha256_id(bytes);
  ASSERT_OK(m.obtain(id, bytes));
  FileStatus row;
  row.repo = m.repo;
  row.commit_id = std::string(40, 'a');
  row.path = "f";
  row.blob = id;
  row.bytes_done = id.size;
  row.state = FileState::held;
  ASSERT_OK(m.db->save_files(std::vector{row}, {}));
  fs::remove(m.layout().blob(m.repo, id));
  EXPECT_EQ(m.store->find(id), std::nullopt);
  EXPECT_TRUE(m.store->held()->empty());
  EXPECT_TRUE(m.db->held_files()->empty());
  EXPECT_EQ(m.store->hashes({id, kFirst}).error().code, Code::not_found);

  ASSERT_OK(m.obtain(id, bytes));
  test::write_file(m.layout().blob(m.repo, id), bytes);  // the same bytes, but who knows
  EXPECT_EQ(m.store->find(id), std::nullopt);
  EXPECT_EQ(m.store->materialize(id, m.repo).value(), id.size);
}

TEST(BlobStore, DiscardedPartialsLeaveNothing) {
  Machine m;
  const Bytes& bytes = two_and_a_bit();
  const BlobId id = test::sha256_id(bytes);
  auto partial = m.store->begin(id, m.repo);
  ASSERT_OK(partial);
  ASSERT_OK(m.fetch(*partial, bytes, kFirst, 0, 4));
  ASSERT_OK(m.store->discard(id));
  EXPECT_FALSE(fs::exists(m.layout().partial(m.repo, id)));
  EXPECT_TRUE(m.store->partials()->empty());
  EXPECT_EQ(m.store->partial(id), nullptr);
  ASSERT_OK(m.fetch(*partial, bytes, kFirst, 4, 4));  // whoever still writes does no harm
  auto fresh = m.store->begin(id, m.repo);
  ASSERT_OK(fresh);
  EXPECT_NE(*fresh, *partial);
  EXPECT_EQ((*fresh)->bytes_have(), 0U);
  ASSERT_OK(m.fetch_all(*fresh, bytes));
  ASSERT_OK(m.store->finish(*fresh));
}

TEST(BlobStore, APartialThatVanishedStartsAgain) {
  Machine m;
  const Bytes& bytes = two_and_a_bit();
  const BlobId id = test::sha256_id(bytes);
  {
    auto partial = m.store->begin(id, m.repo);
    ASSERT_OK(partial);
    ASSERT_OK(m.fetch(*partial, bytes, kFirst, 0, 4));
  }
  m.close();
  fs::remove(m.layout().partial(m.repo, id));
  m.reopen();
  EXPECT_TRUE(m.store->partials()->empty());
  auto partial = m.store->begin(id, m.repo);
  ASSERT_OK(partial);
  EXPECT_EQ((*partial)->bytes_have(), 0U);
}

TEST(BlobStore, APartialWithoutRecordsStartsAgain) {
  Machine m;
  const Bytes& bytes = two_and_a_bit();
  const BlobId id = test::sha256_id(bytes);
  {
    auto partial = m.store->begin(id, m.repo);
    ASSERT_OK(partial);
    ASSERT_OK(m.fetch(*partial, bytes, kFirst, 0, 4));
  }
  m.close();
  for (const char* suffix : {"", "-wal", "-shm"}) fs::remove(m.dir / (std::string("shoal.db") + suffix));
  m.reopen();
  auto partial = m.store->begin(id, m.repo);
  ASSERT_OK(partial);
  EXPECT_EQ((*partial)->bytes_have(), 0U);
  ASSERT_OK(m.fetch_all(*partial, bytes));
  ASSERT_OK(m.store->finish(*partial));
}

TEST(BlobStore, APartialCopiedFromABackupIsBelievedAsFarAsItHashesRight) {
  Machine m;
  const Bytes& bytes = two_and_a_bit();
  const BlobId id = test::sha256_id(bytes);
  const std::string path = m.layout().partial(m.repo, id);
  {
    auto partial = m.store->begin(id, m.repo);
    ASSERT_OK(partial);
    ASSERT_OK(m.fetch(*partial, bytes, kFirst, 0, 64));
  }
  m.close();
  fs::copy(path, path + "-backup");
  {
    std::fstream file(path + "-backup", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(kMiB);
    file.put('!');
  }
  fs::rename(path + "-backup", path);
  m.reopen();
  auto partial = m.store->begin(id, m.repo);
  ASSERT_OK(partial);
  EXPECT_EQ((*partial)->have(kFirst), ~mask_of(PieceIndex{4}));
  ASSERT_OK(m.fetch_all(*partial, bytes));
  ASSERT_OK(m.store->finish(*partial));
  EXPECT_EQ(test::read_file(m.store->find(id)->path), bytes);
}

TEST(BlobStore, ManyThreadsMayWriteAtOnce) {
  Machine m;
  const Bytes& bytes = two_and_a_bit();
  const BlobId id = test::sha256_id(bytes);
  auto partial = m.store->begin(id, m.repo);
  ASSERT_OK(partial);
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
