// The torrent of a whole file, held against one made from all of its bytes.
#include "transport/swarm/whole_file.h"

#include "swarm_fixture.h"

namespace shoal {
namespace {

// The file's tree as BEP 52 says it, from every 16 KiB block.
Hash256 root_of_bytes(const std::vector<std::byte>& bytes) {
  std::vector<Hash256> leaves;
  for (std::size_t at = 0; at < bytes.size(); at += kBlockSize)
    leaves.push_back(
        sha256(std::span(bytes).subspan(at, std::min<std::size_t>(kBlockSize, bytes.size() - at))));
  const auto width = std::bit_ceil(leaves.size());
  return merkle_root(std::move(leaves), width, Hash256{});
}

std::string raw(const Hash256& hash) {
  return {reinterpret_cast<const char*>(hash.bytes.data()), hash.bytes.size()};
}

WholeFileSpec spec_of(const TestBlob& blob) {
  WholeFileSpec out{blob.id, "model.bin", {}, nullptr};
  for (std::uint32_t s = 0; s < blob.geometry.segment_count(); ++s)
    out.piece_hashes.push_back(blob.spec(static_cast<SegmentIndex>(s), 0, nullptr).piece_hashes);
  return out;
}

class WholeFile : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(WholeFile, HasTheRootOfItsBytes) {
  const TestBlob blob(GetParam());
  const auto torrent = whole_file_torrent(spec_of(blob));
  ASSERT_TRUE(torrent) << torrent.error().message;
  const auto& text = torrent->bencoded;
  EXPECT_NE(text.find("11:pieces root32:" + raw(root_of_bytes(blob.bytes))), std::string::npos);
  EXPECT_NE(text.find("6:lengthi" + std::to_string(blob.id.size) + "e"), std::string::npos);
  EXPECT_NE(text.find("12:piece lengthi" + std::to_string(blob.geometry.piece_size()) + "e"),
            std::string::npos);
  EXPECT_NE(text.find("4:name9:model.bin"), std::string::npos);
  EXPECT_EQ(text.find("ssl-cert"), std::string::npos);
  EXPECT_EQ(text.find("6:pieces"), std::string::npos) << "v2 only";
  // The info-hash is that of the info dictionary as it stands in the file.
  const auto info = text.find("4:info") + 6;
  const auto end = text.find("12:piece layers");
  EXPECT_EQ(torrent->info_hash, sha256(std::as_bytes(std::span(text).subspan(info, end - info))));
}

// One piece; three; one segment exactly; a second segment of one piece that is shorter than a piece, of a
// block and less, of two pieces; three segments.
INSTANTIATE_TEST_SUITE_P(Sizes, WholeFile,
                         ::testing::Values(1, 100'000, 256 * kKiB, 600 * kKiB, 16 * kMiB, 16 * kMiB + 5,
                                           16 * kMiB + 3 * kBlockSize, 16 * kMiB + 200 * kKiB,
                                           16 * kMiB + 256 * kKiB, 16 * kMiB + 300 * kKiB, 33 * kMiB + 5));

TEST(WholeFiles, WhatDoesNotFitIsRefused) {
  const TestBlob blob(17 * kMiB);
  auto spec = spec_of(blob);
  spec.piece_hashes.pop_back();
  EXPECT_FALSE(whole_file_torrent(spec));
  spec = spec_of(blob);
  spec.piece_hashes.back().pop_back();
  EXPECT_FALSE(whole_file_torrent(spec));
  spec = spec_of(blob);
  spec.piece_hashes.front().front() = Hash256{};
  EXPECT_FALSE(whole_file_torrent(spec));
  for (const char* name : {"", ".", "..", "a/b"}) {
    spec = spec_of(blob);
    spec.name = name;
    EXPECT_FALSE(whole_file_torrent(spec)) << name;
  }
  EXPECT_FALSE(whole_file_torrent({BlobId{}, "empty", {}, nullptr}));
  WholeFileSpec huge{BlobId{}, "huge", {}, nullptr};
  huge.blob.size = kMaxBlobSize;
  EXPECT_FALSE(whole_file_torrent(huge));
}

TEST(WholeFiles, AMagnetNamesHashNameSizeAndPeers) {
  Hash256 hash;
  hash.bytes.fill(0xab);
  std::string hex;
  for (int i = 0; i < 32; ++i) hex += "ab";
  EXPECT_EQ(whole_file_magnet(hash, "a b&c.bin", 17, {{"10.0.0.1", 8421}, {"fd00::1", 1}}),
            "magnet:?xt=urn:btmh:1220" + hex + "&dn=a%20b%26c.bin&xl=17&x.pe=10.0.0.1:8421&x.pe=[fd00::1]:1");
}

}  // namespace
}  // namespace shoal
