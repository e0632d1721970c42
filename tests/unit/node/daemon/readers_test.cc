// How far a file that is still coming in may be read.
#include "node/daemon/readers.h"

#include "storage/partial_blob.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

// 40 MiB: two segments of 64 pieces of 256 KiB and one of 32.
constexpr std::uint64_t kPiece = 256 * kKiB;
constexpr std::uint64_t kSize = 40 * kMiB;

class FakePartial final : public PartialBlob {
 public:
  FakePartial() { id_.size = kSize; }
  [[nodiscard]] const BlobId& id() const override { return id_; }
  Result<void> read_at(std::uint64_t, std::span<std::byte>) override { return fail(Code::io, "not used"); }
  Result<void> write_at(std::uint64_t, std::span<const std::span<const std::byte>>) override {
    return fail(Code::io, "not used");
  }
  [[nodiscard]] const Geometry& geometry() const override { return geometry_; }
  [[nodiscard]] const RepoRef& repo() const override { return repo_; }
  [[nodiscard]] PieceMask have(SegmentIndex segment) const override { return have_[to_int(segment)]; }
  [[nodiscard]] std::vector<PieceMask> have_all() const override { return have_; }
  [[nodiscard]] std::uint64_t bytes_have() const override { return 0; }
  [[nodiscard]] std::uint64_t bytes_hashed() const override { return 0; }
  [[nodiscard]] bool all_here() const override { return false; }
  [[nodiscard]] bool published() const override { return false; }

  std::vector<PieceMask> have_{0, 0, 0};

 private:
  BlobId id_;
  Geometry geometry_{kSize};
  RepoRef repo_;
};

TEST(ReadableEnd, IsWhereTheFirstMissingPieceBegins) {
  FakePartial partial;
  EXPECT_EQ(readable_end(partial, 0), 0U);
  partial.have_[0] = 0b1011;
  EXPECT_EQ(readable_end(partial, 0), 2 * kPiece);
  EXPECT_EQ(readable_end(partial, 17), 2 * kPiece);
  EXPECT_EQ(readable_end(partial, 2 * kPiece), 2 * kPiece);
  EXPECT_EQ(readable_end(partial, 2 * kPiece + 5), 2 * kPiece + 5)
      << "inside a missing piece nothing may be read";
  EXPECT_EQ(readable_end(partial, 3 * kPiece + 5), 4 * kPiece);
}

TEST(ReadableEnd, GoesOnFromSegmentToSegment) {
  FakePartial partial;
  partial.have_[0] = ~PieceMask{0};
  partial.have_[1] = 1;
  EXPECT_EQ(readable_end(partial, 0), 65 * kPiece);
}

TEST(ReadableEnd, NeverReachesIntoTheLastPiece) {
  FakePartial partial;
  partial.have_ = {~PieceMask{0}, ~PieceMask{0}, 0xffffffff};
  EXPECT_EQ(readable_end(partial, 0), kSize - kPiece);
  EXPECT_EQ(readable_end(partial, kSize - kPiece - 1), kSize - kPiece);
  EXPECT_EQ(readable_end(partial, kSize - kPiece), kSize - kPiece);
  EXPECT_EQ(readable_end(partial, kSize - 1), kSize - 1);
  EXPECT_EQ(readable_end(partial, kSize), kSize);
}

}  // namespace
}  // namespace shoal
