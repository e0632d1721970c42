#include "transport/swarm/segment_io.h"

#include "swarm_fixture.h"

#include <atomic>
#include <chrono>
#include <future>
#include <thread>

namespace shoal {
namespace {

// A blob whose calls stop at a gate, to make queues grow.
class GatedBlob final : public BlobFile {
 public:
  explicit GatedBlob(std::uint64_t size) : bytes_(size) { id_.size = size; }
  const BlobId& id() const override { return id_; }
  Result<void> read_at(std::uint64_t offset, std::span<std::byte> out) override {
    wait();
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(offset), out.size(), out.begin());
    return {};
  }
  Result<void> write_at(std::uint64_t offset, std::span<const std::span<const std::byte>> buffers) override {
    wait();
    const std::lock_guard lock(mutex_);
    if (fail_with) return fail(*fail_with);
    for (const auto& buffer : buffers) {
      std::ranges::copy(buffer, bytes_.begin() + static_cast<std::ptrdiff_t>(offset));
      offset += buffer.size();
    }
    return {};
  }
  void open_gate() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  std::optional<Error> fail_with;

 private:
  void wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return open_; });
  }
  BlobId id_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
  std::vector<std::byte> bytes_;
};

class SegmentIoTest : public ::testing::Test {
 protected:
  static constexpr std::uint32_t kPiece = 256 * kKiB;
  static constexpr std::uint64_t kLength = 4 * kPiece + 100;

  void start(SegmentIo::Options options = {}) {
    io = std::make_unique<SegmentIo>(options);
    // Completions run where they are posted: on a worker, or inside the call.
    io->set_post([](const std::shared_ptr<SegmentIo::Completions>& done) { done->run(); });
    blob = std::make_shared<GatedBlob>(kMiB + kLength);
    id = io->open(blob, kMiB, kLength, kPiece);
  }

  bool write(std::uint64_t offset, char fill, std::uint32_t length = kBlockSize) {
    const std::vector<char> bytes(length, fill);
    ++asked;
    const bool full = io->write(
        id, offset, bytes,
        [this](const std::optional<Error>& error) {
          if (error) ++failed;
          ++written;
        },
        [this] { ++rooms; });
    io->submit();
    return full;
  }
  std::optional<Error> hash(int piece, std::vector<Hash256>& leaves) {
    std::promise<std::optional<Error>> done;
    io->hash_piece(id, piece, leaves, [&](const std::optional<Error>& error) { done.set_value(error); });
    io->submit();
    return done.get_future().get();
  }
  void settle() {
    std::promise<void> done;
    io->when_idle(id, [&] { done.set_value(); });
    done.get_future().wait();
  }

  std::unique_ptr<SegmentIo> io;
  std::shared_ptr<GatedBlob> blob;
  SegmentIo::StorageId id = 0;
  int asked = 0;
  std::atomic<int> written{0};
  std::atomic<int> failed{0};
  std::atomic<int> rooms{0};
};

Hash256 leaf_of(char fill, std::size_t length = kBlockSize) {
  const std::vector<char> bytes(length, fill);
  return sha256(std::as_bytes(std::span(bytes)));
}

TEST_F(SegmentIoTest, BlocksThatWaitedAreWrittenInFewCallsAndHashedWithoutReadingBack) {
  start();
  for (std::uint32_t block = 0; block < 16; ++block)
    (void)write(block * kBlockSize, static_cast<char>('a' + block));
  blob->open_gate();
  std::vector<Hash256> leaves(16);
  EXPECT_FALSE(hash(0, leaves));
  EXPECT_EQ(written, 16) << "the hash waits for the writes";
  for (std::uint32_t block = 0; block < 16; ++block)
    EXPECT_EQ(leaves[block], leaf_of(static_cast<char>('a' + block)));
  EXPECT_LE(io->counters().write_calls, 3U);
  EXPECT_EQ(io->counters().blocks_read_back, 0U);
}

TEST_F(SegmentIoTest, BlocksThatComeOneByOneAndMixedWaitForTheirRun) {
  start();
  blob->open_gate();
  for (std::uint32_t block = 0; block < 15; ++block) {
    (void)write(block * 7 % 16 * kBlockSize, 'a');
    (void)write(kPiece + block * kBlockSize, 'b');
  }
  EXPECT_EQ(written, 0);
  EXPECT_EQ(io->counters().write_calls, 0U);
  (void)write(15 * 7 % 16 * kBlockSize, 'a');
  std::vector<Hash256> leaves(16);
  EXPECT_FALSE(hash(0, leaves));
  EXPECT_EQ(leaves[9], leaf_of('a'));
  EXPECT_EQ(written, 16);
  EXPECT_EQ(io->counters().write_calls, 1U);
  EXPECT_EQ(io->counters().blocks_read_back, 0U);
  // Of the other run a block is missing, and somebody waits.
  EXPECT_FALSE(hash(1, leaves));
  const auto until = std::chrono::steady_clock::now() + kDeadline;  // told by another thread than the hash
  while (written < 31 && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  EXPECT_EQ(written, 31);
}

TEST_F(SegmentIoTest, WhoeverWaitsForAPieceToBeIdleGetsItsHeldBlocksWritten) {
  start();
  blob->open_gate();
  (void)write(0, 'x');
  (void)write(kPiece, 'y');
  std::promise<void> idle;
  io->when_piece_idle(id, 0, [&] { idle.set_value(); });
  idle.get_future().wait();
  EXPECT_EQ(written, 1) << "of the other piece nobody asked";
  settle();
  EXPECT_EQ(written, 2);
}

TEST_F(SegmentIoTest, NotMoreThanHalfTheQueueWaitsForTheRestOfItsRuns) {
  SegmentIo::Options options;
  options.write_queue_bytes = 8 * kBlockSize;
  start(options);
  blob->open_gate();
  for (std::uint32_t piece = 0; piece < 4; ++piece) EXPECT_FALSE(write(piece * kPiece, 'x'));
  EXPECT_EQ(io->counters().queued_write_bytes, 4 * kBlockSize);
  // The run that began first.
  EXPECT_FALSE(write(kBlockSize, 'x'));
  for (const auto deadline = std::chrono::steady_clock::now() + kDeadline;
       written < 2 && std::chrono::steady_clock::now() < deadline;) {
    std::this_thread::yield();
  }
  EXPECT_EQ(written, 2);
  EXPECT_EQ(io->counters().queued_write_bytes, 3 * kBlockSize);
  settle();
}

TEST_F(SegmentIoTest, OnlyBlocksNotWrittenHereAreReadBack) {
  start();
  blob->open_gate();
  for (std::uint32_t block = 0; block < 16; ++block) (void)write(block * kBlockSize, 'x');
  settle();
  std::vector<Hash256> leaves(16);
  EXPECT_FALSE(hash(0, leaves));
  EXPECT_EQ(io->counters().blocks_read_back, 0U);
  // The piece failed, and one block comes again.
  (void)write(3 * kBlockSize, 'y');
  EXPECT_FALSE(hash(0, leaves));
  EXPECT_EQ(io->counters().blocks_read_back, 15U);
  EXPECT_EQ(leaves[2], leaf_of('x'));
  EXPECT_EQ(leaves[3], leaf_of('y'));
}

TEST_F(SegmentIoTest, TheLastShortBlockIsHashedAsItIsWhateverPaddingComesWithIt) {
  start();
  blob->open_gate();
  (void)write(4 * kPiece, 'z', kBlockSize);  // 100 bytes are inside
  std::vector<Hash256> leaves(1);
  EXPECT_FALSE(hash(4, leaves));
  EXPECT_EQ(leaves[0], leaf_of('z', 100));

  std::promise<std::vector<char>> read;
  io->read(id, 4 * kPiece, kBlockSize, [&](char* block, const std::optional<Error>& error) {
    EXPECT_FALSE(error);
    read.set_value({block, block + kBlockSize});
    io->free_block(block);
  });
  io->submit();
  const auto bytes = read.get_future().get();
  EXPECT_EQ(std::count(bytes.begin(), bytes.end(), 'z'), 100);
  EXPECT_EQ(std::count(bytes.begin(), bytes.end(), '\0'), kBlockSize - 100);
}

TEST_F(SegmentIoTest, AFullQueueSaysSoAndCallsWhenHalfOfItIsWritten) {
  SegmentIo::Options options;
  options.write_queue_bytes = 8 * kBlockSize;
  start(options);
  int refusals = 0;
  for (std::uint32_t block = 0; block < 12; ++block) refusals += write(block * kBlockSize, 'x') ? 1 : 0;
  EXPECT_EQ(refusals, 4);
  EXPECT_EQ(rooms, 0);
  blob->open_gate();
  settle();
  EXPECT_EQ(rooms, 4);
  EXPECT_EQ(written, asked);
  EXPECT_EQ(io->counters().queued_write_bytes, 0U);
}

TEST_F(SegmentIoTest, ReadsWaitForBuffersToComeBack) {
  SegmentIo::Options options;
  options.read_buffer_bytes = 4 * kBlockSize;
  start(options);
  blob->open_gate();
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<char*> held;
  int done = 0;
  for (std::uint32_t block = 0; block < 20; ++block) {
    io->read(id, block * kBlockSize, kBlockSize, [&](char* bytes, const std::optional<Error>&) {
      const std::lock_guard lock(mutex);
      held.push_back(bytes);
      ++done;
      changed.notify_all();
    });
  }
  io->submit();
  std::unique_lock lock(mutex);
  while (done < 20) {
    ASSERT_TRUE(changed.wait_for(lock, kDeadline, [&] { return !held.empty(); }));
    EXPECT_LE(held.size(), 4U);
    auto back = std::exchange(held, {});
    lock.unlock();
    for (char* bytes : back) io->free_block(bytes);
    lock.lock();
  }
  for (char* bytes : held) io->free_block(bytes);
  EXPECT_EQ(io->counters().read_bytes_out, 0U);
}

TEST_F(SegmentIoTest, LimitedReadsWaitWhileWritesGoOnAndComeWhenTheLimitIsLifted) {
  start();
  blob->open_gate();
  io->limit_reads(1);
  std::promise<void> all;
  std::atomic<int> read{0};
  for (std::uint32_t block = 0; block < 8; ++block) {
    io->read(id, block * kBlockSize, kBlockSize, [&](char* bytes, const std::optional<Error>& error) {
      EXPECT_FALSE(error);
      io->free_block(bytes);
      if (++read == 8) all.set_value();
    });
  }
  io->submit();
  (void)write(kPiece, 'w');
  std::vector<Hash256> leaves(16);
  EXPECT_FALSE(hash(1, leaves));
  EXPECT_EQ(leaves[0], leaf_of('w'));
  EXPECT_EQ(written, 1);
  EXPECT_EQ(read, 0);
  io->limit_reads(0);
  all.get_future().wait();
}

TEST_F(SegmentIoTest, ALimitDoesNotHoldUpAStorageThatIsClosed) {
  start();
  blob->open_gate();
  io->limit_reads(1);
  std::atomic<int> read{0};
  for (std::uint32_t block = 0; block < 40; ++block) {
    io->read(id, block * kBlockSize, kBlockSize, [&](char* bytes, const std::optional<Error>&) {
      io->free_block(bytes);
      ++read;
    });
  }
  io->submit();
  settle();
  EXPECT_EQ(read, 40);
}

TEST_F(SegmentIoTest, ReadsKeepTheirRate) {
  start();
  blob->open_gate();
  const auto begin = std::chrono::steady_clock::now();
  io->limit_reads(4 * kMiB);
  std::promise<void> all;
  std::atomic<int> read{0};
  for (std::uint32_t block = 0; block < 64; ++block) {
    io->read(id, block * kBlockSize, kBlockSize, [&](char* bytes, const std::optional<Error>&) {
      io->free_block(bytes);
      if (++read == 64) all.set_value();
    });
  }
  io->submit();
  all.get_future().wait();
  // 1 MiB at 4 MiB/s; it may always take longer on a loaded machine.
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(225));
}

TEST_F(SegmentIoTest, OneThreadIsEnoughForAllWork) {
  start();
  io->limit_threads(0);  // at least one
  for (std::uint32_t block = 0; block < 16; ++block) (void)write(block * kBlockSize, 'o');
  blob->open_gate();
  std::vector<Hash256> leaves(16);
  EXPECT_FALSE(hash(0, leaves));
  EXPECT_EQ(leaves[15], leaf_of('o'));
  io->limit_threads(2);
  settle();
}

TEST_F(SegmentIoTest, AWriteErrorReachesEveryBlockOfTheRun) {
  start();
  blob->fail_with = Error{Code::no_space, "full", 28};
  for (std::uint32_t block = 0; block < 4; ++block) (void)write(block * kBlockSize, 'x');
  blob->open_gate();
  settle();
  EXPECT_EQ(failed, 4);
}

TEST_F(SegmentIoTest, ClosingWritesWhatIsQueuedAndCancelsTheReads) {
  start();
  for (std::uint32_t block = 0; block < 40; ++block) (void)write(block * kBlockSize, 'x');
  blob->open_gate();
  io->close_all();
  EXPECT_EQ(written, 40);
  EXPECT_EQ(failed, 0);
  std::optional<Error> late;
  io->read(id, 0, kBlockSize, [&](char*, const std::optional<Error>& error) { late = error; });
  ASSERT_TRUE(late);
  EXPECT_EQ(late->code, Code::cancelled);
}

TEST_F(SegmentIoTest, AStorageWithoutBytesTakesWritesAndMatchesNoHash) {
  start();
  const auto none = io->open(nullptr, 0, kBlockSize, kBlockSize);
  std::promise<void> done;
  const std::vector<char> bytes(kBlockSize, 'x');
  (void)io->write(
      none, 0, bytes,
      [&](const std::optional<Error>& error) {
        EXPECT_FALSE(error);
        done.set_value();
      },
      [] {});
  io->submit();
  done.get_future().wait();
  std::vector<Hash256> leaves(1);
  std::promise<void> hashed;
  io->hash_piece(none, 0, leaves, [&](const std::optional<Error>&) { hashed.set_value(); });
  io->submit();
  hashed.get_future().wait();
  EXPECT_TRUE(leaves[0].is_zero());
  blob->open_gate();
}

TEST(BlockPoolTest, BlocksAreDistinctAndEmptyChunksGoBackToTheSystem) {
  BlockPool pool;
  std::vector<char*> blocks;
  for (int i = 0; i < 1000; ++i) {
    blocks.push_back(pool.allocate());
    std::memset(blocks.back(), i, kBlockSize);
  }
  for (int i = 0; i < 1000; ++i)
    EXPECT_EQ(blocks[static_cast<std::size_t>(i)][kBlockSize - 1], static_cast<char>(i));
  EXPECT_EQ(pool.resident_bytes(), 16 * kMiB);  // 63 blocks a MiB
  std::ranges::shuffle(blocks, std::mt19937(1));
  for (char* block : blocks) pool.free(block);
  EXPECT_LE(pool.resident_bytes(), 4 * kMiB);
}

}  // namespace
}  // namespace shoal
