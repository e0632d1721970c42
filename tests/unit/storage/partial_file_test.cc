// The parts of PartialFile that need a certain order of events.
#include "storage/partial_file.h"

#include "tests/unit/storage/support.h"

#include <fcntl.h>

namespace shoal {
namespace {

using test::Bytes;
using test::pattern_bytes;

constexpr PartialFile::WriterId kWriter{1};

class PartialFileTest : public testing::Test {
 protected:
  PartialFileTest() {
    auto fd = open_file(real_files(), dir / "partial", O_RDWR | O_CREAT);
    EXPECT_TRUE(fd.has_value());
    EXPECT_EQ(::ftruncate(fd->get(), static_cast<off_t>(bytes.size())), 0);
    file = std::make_shared<PartialFile>(PartialFile::Origin{.id = id,
                                                             .repo = {RepoType::model, "a/b"},
                                                             .path = dir / "partial",
                                                             .fd = std::move(*fd),
                                                             .lock = {}});
  }
  Hash256 hash(int p) const {
    const auto piece = static_cast<PieceIndex>(p);
    return hash_piece(g, test::kFirst, piece, test::piece_of(bytes, test::kFirst, piece));
  }
  void put(int p) {
    const auto piece = static_cast<PieceIndex>(p);
    const std::array one{test::piece_of(bytes, test::kFirst, piece)};
    ASSERT_OK(file->write_at(g.piece_offset(test::kFirst, piece), one));
    ASSERT_TRUE(file->add_piece(test::kFirst, piece, hash(p)));
  }

  test::TempDir dir;
  Bytes bytes = pattern_bytes(3 * kMiB);
  BlobId id = test::sha256_id(bytes);
  Geometry g{3 * kMiB};
  std::shared_ptr<PartialFile> file;
};

TEST_F(PartialFileTest, ChangesAreTakenOnceAndAgainWhenTheyCouldNotBeWritten) {
  EXPECT_FALSE(file->take_changes().has_value());
  put(0);
  put(2);
  auto changes = file->take_changes();
  ASSERT_TRUE(changes.has_value());
  ASSERT_EQ(changes->segments.size(), 1U);
  EXPECT_EQ(changes->segments[0].written, 0b101U);
  EXPECT_EQ(changes->segments[0].durable, 0U);
  EXPECT_EQ(changes->segments[0].hashes[2], hash(2));
  EXPECT_FALSE(file->take_changes().has_value());
  file->changes_recorded(*changes, false);
  put(3);
  changes = file->take_changes();
  ASSERT_TRUE(changes.has_value());
  EXPECT_EQ(changes->segments[0].written, 0b1101U);
  EXPECT_EQ(changes->segments[0].hashes[0], hash(0));
}

TEST_F(PartialFileTest, HashesOfAWholeSegmentAreLetGoOnceRecorded) {
  for (int p = 0; p < 12; ++p) put(p);
  EXPECT_TRUE(file->known(test::kFirst).hashes.has_value());
  file->changes_recorded(*file->take_changes(), true);
  EXPECT_FALSE(file->known(test::kFirst).hashes.has_value());
  EXPECT_EQ(file->known(test::kFirst).have, mask_of_run(0, 12));
}

TEST_F(PartialFileTest, AFlushCoversWhatWasThereWhenItBegan) {
  put(0);
  const auto flush = file->start_flush();
  put(1);
  EXPECT_EQ(file->bytes_undurable(), 2 * g.piece_size());
  file->flush_succeeded(flush);
  EXPECT_EQ(file->bytes_undurable(), g.piece_size());
  EXPECT_EQ(file->take_changes()->segments[0].durable, 0b1U);
}

TEST_F(PartialFileTest, AFlushDoesNotCoverAPieceThatWasForgottenMeanwhile) {
  put(0);
  const auto flush = file->start_flush();
  file->forget(test::kFirst, 0b1);
  file->reopen(test::kFirst, 0b1, {});
  put(0);
  file->flush_succeeded(flush);
  EXPECT_EQ(file->bytes_undurable(), g.piece_size());
}

TEST_F(PartialFileTest, ForgottenPiecesStayClosedUntilThatIsRecorded) {
  put(0);
  file->forget(test::kFirst, 0b1);
  EXPECT_EQ(file->have(test::kFirst), 0U);
  EXPECT_EQ(file->bytes_have(), 0U);
  EXPECT_FALSE(file->start_piece(kWriter, test::kFirst, PieceIndex{0}).wanted);
  EXPECT_FALSE(file->add_piece(test::kFirst, PieceIndex{0}, hash(0)));
  const Bytes lies = pattern_bytes(100, 9);
  const std::array one{std::span<const std::byte>(lies)};
  ASSERT_OK(file->write_at(0, one));
  Bytes there(100);
  ASSERT_OK(file->read_at(0, there));
  EXPECT_TRUE(std::ranges::equal(there, std::span(bytes).first(100)));
  file->reopen(test::kFirst, 0b1, {});
  EXPECT_TRUE(file->start_piece(kWriter, test::kFirst, PieceIndex{0}).wanted);
}

TEST_F(PartialFileTest, AHashOverBytesThatWereTakenBackDoesNotCount) {
  // A slice feeds piece 1 on top of piece 0; piece 0 is taken back and comes again before piece 1 is whole.
  put(0);
  ASSERT_TRUE(*file->hash_some(kMiB, {}));
  auto start = file->start_piece(kWriter, test::kFirst, PieceIndex{1});
  ASSERT_TRUE(start.whole.has_value());
  file->forget(test::kFirst, 0b1);
  file->reopen(test::kFirst, 0b1, {});
  EXPECT_EQ(file->bytes_hashed(), 0U);
  put(0);
  ASSERT_TRUE(*file->hash_some(kMiB, {}));
  start.whole->update(test::piece_of(bytes, test::kFirst, PieceIndex{1}));
  const auto piece = test::piece_of(bytes, test::kFirst, PieceIndex{1});
  ASSERT_TRUE(*file->write_piece(kWriter, test::kFirst, PieceIndex{1}, g.piece_size(), piece));
  EXPECT_TRUE(file->end_piece(kWriter, test::kFirst, PieceIndex{1}, hash(1), start));
  EXPECT_EQ(file->bytes_hashed(), g.piece_size());
  EXPECT_TRUE(file->can_hash());
}

TEST_F(PartialFileTest, AMidstateBeyondTheFirstGapIsVoid) {
  for (int p = 0; p < 6; ++p) put(p);
  ASSERT_TRUE(*file->hash_some(kGiB, {}));
  const auto changes = *file->take_changes();
  auto fd = open_file(real_files(), dir / "partial", O_RDWR);
  PartialFile again(PartialFile::Origin{
      .id = id, .repo = {RepoType::model, "a/b"}, .path = dir / "partial", .fd = std::move(*fd), .lock = {}});
  auto segments = changes.segments;
  segments[0].written = 0b011;
  again.restore(segments, changes.prefixes);
  EXPECT_EQ(again.bytes_hashed(), 0U);
  const auto voided = again.take_changes();
  ASSERT_TRUE(voided.has_value());
  EXPECT_EQ(voided->prefix_back_to, 2 * g.piece_size());
}

TEST_F(PartialFileTest, OnlyOneThreadHashesAFile) {
  put(0);
  EXPECT_TRUE(*file->hash_some(kGiB, {}));
  EXPECT_FALSE(*file->hash_some(kGiB, {}));
  EXPECT_FALSE(file->can_hash());
  put(1);
  EXPECT_TRUE(file->can_hash());
}

}  // namespace
}  // namespace shoal
