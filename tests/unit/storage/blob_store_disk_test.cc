// What the store does when the disk rots, forgets, fails or is full, and what a restart finds.
#include "storage/blob_store.h"
#include "tests/unit/storage/support.h"

#include <atomic>
#include <mutex>

namespace shoal {
namespace {

namespace fs = std::filesystem;
using test::Bytes;
using test::Download;
using test::kFirst;
using test::Machine;
using test::pattern_bytes;
using test::two_and_a_bit;

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
  m.files.sync_data = [&] {
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
  m.files.sync_data = [&] { return EIO; };
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
    m.files.sync_data = {};
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
  m.files.sync_data = [&] {
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
  m.files.sync_data = [&] { return broken ? ENOSPC : 0; };
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

TEST(BlobStore, DiscardedPartialsLeaveNothing) {
  Download m;
  const Bytes& bytes = m.bytes;
  const BlobId& id = m.id;
  auto& partial = m.partial;
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

}  // namespace
}  // namespace shoal
