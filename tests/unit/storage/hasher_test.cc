#include "storage/hasher.h"

#include "tests/unit/storage/support.h"

namespace shoal {
namespace {

using test::Bytes;
using test::pattern_bytes;

// Computed by an independent program (hashlib) over the same pattern: BEP 52 root, SHA-256, git blob SHA-1.
struct Vector {
  std::uint64_t size;
  const char* root;
  const char* sha256;
  const char* git_sha1;
};
constexpr Vector kVectors[] = {
    {1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
     "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
     "f76dd238ade08917e6712764a16a22005a50573d"},
    {16384, "5420aeee22ec63a2713629edd7a0038994a9cc8be3addd0b8c8ceaaabf053463",
     "5420aeee22ec63a2713629edd7a0038994a9cc8be3addd0b8c8ceaaabf053463",
     "80537e52dd7722a9d2d655fd0721d3b8339f8bf3"},
    {16385, "b0edaca561af3ccac4956d6047a2fb99f268847561f763e1dd9b125d3388a9c8",
     "56d5e0dc34ce06d397f7644d4981cce58f9f57ba80b8ad62439234002fbf54d4",
     "833256500dc9c0eacb1b6b8c1d7d5c86853dd052"},
    {100000, "1bd68c1d3f0f2a18125aad0f4aeea9a5e5bf1a52aa1464cd85e591086f06d0ae",
     "d59e144ec870fca29024db812dfa41a9da411b640554e6d27586c201ae265c40",
     "56e4b2c5a3ffe30f6061a75769da6fb7fed085e1"},
    {262144, "51723cd2e3fe16b2ac648015dd8699ed1d90107c5e0b6e6171e67744f4f35aab",
     "7d783a717001fae92db7385c30bb056de976dffc8021ab06897f569b2de6e9e1",
     "b5043613edd3da5f1d261f46abf2e0fe97052973"},
    {262145, "fbd13048f36edac6bc1ba5146bdebfbb1013ae6d2f678bd8071e72bb897bab79",
     "4c12e95499d4392719bac15b87c9ce15e28ad917732a52cc73e209c941b1534b",
     "82991087fe65901d80ee52ce5181ade7b8bc07f0"},
    {1000000, "36c05ba55927b97fcd4cf41f8e7bd399fed08af7de3cf7419933e9313bc6111b",
     "8042cee344a7b030d87e62a0ee65192bad36698c7ce6e0dae555d1935d4e3177",
     "71bdd3c6599b1ac99436a21726e337a74850dde8"},
    {16777217, "e3a8bdfc3a727ec14e52c93808cf47bf74769bdd9c93828981ca6407328f8545",
     "5ba075bb425e91e88dde27561d6af3e20e864a83dc2e28cc4cd8b315acd3362c",
     "971a37dbf7b662fbe01bd6694df3524cecebdd76"},
    {18125792, "608830a00197775ff3e418df01ef1d98f61e11146a99e9f340b54b4cfe42751d",
     "8a617b2fcf462d4e8656f099d7d483845991e8076c8c7792a944e8e6db986913",
     "13d8cc6501c848e4ea7c10b06615eb04d835e294"},
    {41943035, "78240db3e084c93b1b13c4dd561ae7ab1bed42ad70854aef04c659458ae14c9b",
     "e11aaa5ac5ae65aac6214116d44449fe1c90d1b1e5f3c869567a58806fb1202c",
     "80d1729bc9d31cc144f2b66213dcb2c4bed70d5b"},
};

std::vector<Hash256> piece_hashes(const Bytes& bytes, SegmentIndex s) {
  const Geometry g(bytes.size());
  std::vector<Hash256> out;
  for (int i = 0; i < g.piece_count(s); ++i) {
    const auto p = static_cast<PieceIndex>(i);
    out.push_back(hash_piece(g, s, p, test::piece_of(bytes, s, p)));
  }
  return out;
}

TEST(Hasher, SegmentRootsCombineToTheRootOfTheWholeFile) {
  for (const auto& v : kVectors) {
    const Bytes bytes = pattern_bytes(v.size);
    const Geometry g(v.size);
    std::vector<Hash256> roots;
    for (std::uint32_t i = 0; i < g.segment_count(); ++i) {
      const auto s = static_cast<SegmentIndex>(i);
      roots.push_back(segment_root(g, s, piece_hashes(bytes, s)));
    }
    EXPECT_EQ(blob_root(g, roots).hex(), v.root) << v.size;
  }
}

TEST(Hasher, ASegmentIsAFileOfItsOwnToBitTorrent) {
  // The last segment of 16 MiB + 300000 bytes must have the root of those 300000 bytes as a file.
  const Bytes bytes = pattern_bytes(16 * kMiB + 1);
  const Geometry g(bytes.size());
  ASSERT_EQ(g.segment_count(), 2U);
  const auto last = static_cast<SegmentIndex>(1);
  const Bytes tail(bytes.end() - 1, bytes.end());
  const Geometry alone(tail.size());
  EXPECT_EQ(segment_root(g, last, piece_hashes(bytes, last)),
            segment_root(alone, SegmentIndex{0}, piece_hashes(tail, SegmentIndex{0})));
}

TEST(Hasher, ThePieceLayerOfTheWholeFileHasFullWidthPieces) {
  // In a file of several segments even a one-byte last piece has a tree of 16 leaves; combined as plain
  // pieces of a tree of pieces they give the file's root.
  const Bytes bytes = pattern_bytes(16 * kMiB + 1);
  const Geometry g(bytes.size());
  std::vector<Hash256> layer;
  for (std::uint32_t i = 0; i < g.segment_count(); ++i) {
    const auto s = static_cast<SegmentIndex>(i);
    for (const auto& hash : piece_hashes(bytes, s)) layer.push_back(piece_in_blob_layer(g, s, hash));
  }
  ASSERT_EQ(layer.size(), 65U);
  const unsigned piece_level = 4;
  while (layer.size() < 128) layer.push_back(empty_tree_root(piece_level));
  while (layer.size() > 1) {
    for (std::size_t i = 0; i < layer.size() / 2; ++i) {
      Sha256 sha;
      sha.update(std::as_bytes(std::span(layer[2 * i].bytes)));
      sha.update(std::as_bytes(std::span(layer[2 * i + 1].bytes)));
      sha.finish(layer[i].bytes);
    }
    layer.resize(layer.size() / 2);
  }
  EXPECT_EQ(layer.front().hex(), "e3a8bdfc3a727ec14e52c93808cf47bf74769bdd9c93828981ca6407328f8545");
}

TEST(Hasher, PiecesDoNotDependOnHowTheyAreFed) {
  const Bytes bytes = pattern_bytes(300'000);
  const Geometry g(bytes.size());
  const auto piece = test::piece_of(bytes, SegmentIndex{0}, PieceIndex{0});
  const Hash256 expected = hash_piece(g, SegmentIndex{0}, PieceIndex{0}, piece);
  for (const std::size_t step :
       {std::size_t{1}, std::size_t{1000}, std::size_t{16384}, std::size_t{99'999}}) {
    PieceHasher hasher(g, SegmentIndex{0}, PieceIndex{0});
    for (std::size_t at = 0; at < piece.size(); at += step) {
      hasher.update(piece.subspan(at, std::min(step, piece.size() - at)));
    }
    ASSERT_TRUE(hasher.whole());
    EXPECT_EQ(hasher.finish(), expected) << step;
  }
}

TEST(Hasher, AWrongCountOfHashesHasNoRoot) {
  const Geometry g(16 * kMiB + 1);
  EXPECT_TRUE(segment_root(g, SegmentIndex{0}, std::vector<Hash256>(63)).is_zero());
  EXPECT_TRUE(segment_root(g, SegmentIndex{2}, std::vector<Hash256>(1)).is_zero());
  EXPECT_TRUE(blob_root(g, std::vector<Hash256>(1)).is_zero());
  EXPECT_TRUE(blob_root(Geometry(0), {}).is_zero());
}

TEST(Hasher, BlobsAreHashedAsTheirPublisherDoes) {
  for (const auto& v : kVectors) {
    const Bytes bytes = pattern_bytes(v.size);
    EXPECT_EQ(test::sha256_id(bytes).etag(), v.sha256);
    EXPECT_EQ(test::git_id(bytes).etag(), v.git_sha1);
  }
  EXPECT_EQ(test::git_id({}).etag(), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
  EXPECT_EQ(test::sha256_id({}).etag(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(Hasher, ASavedMidstateGoesOnWhereItWas) {
  const Bytes bytes = pattern_bytes(1'000'000);
  for (const BlobId& id : {test::sha256_id(bytes), test::git_id(bytes)}) {
    for (const std::size_t cut : {std::size_t{0}, std::size_t{1}, std::size_t{63}, std::size_t{64},
                                  std::size_t{262'144}, std::size_t{777'777}, bytes.size()}) {
      BlobHasher first(id);
      first.update(std::span(bytes).first(cut));
      const auto saved = first.save();
      EXPECT_LE(saved.size(), 128U);
      auto second = BlobHasher::restore(id, saved);
      ASSERT_TRUE(second.has_value());
      EXPECT_EQ(second->bytes(), cut);
      second->update(std::span(bytes).subspan(cut));
      EXPECT_TRUE(second->matches(id)) << id.text() << " cut at " << cut;
    }
  }
}

TEST(Hasher, AMidstateOfMoreThanFourGigabitsKeepsItsCount) {
  // The bit counter has two words; a restored state must fill both. 600 MB are 4.8e9 bits.
  const Bytes block = pattern_bytes(4 * kMiB);
  const BlobId id{.kind = BlobId::Kind::sha256, .digest = {}, .size = 150 * block.size()};
  BlobHasher straight(id);
  std::optional<BlobHasher> restored;
  for (int i = 0; i < 150; ++i) {
    straight.update(block);
    if (restored) restored->update(block);
    if (i == 140) restored = BlobHasher::restore(id, straight.save());
  }
  ASSERT_TRUE(restored.has_value());
  EXPECT_EQ(restored->digest(), straight.digest());
}

TEST(Hasher, AMidstateThatCannotBeIsRefused) {
  const Bytes bytes = pattern_bytes(1000);
  const BlobId id = test::sha256_id(bytes);
  BlobHasher hasher(id);
  hasher.update(bytes);
  auto saved = hasher.save();
  EXPECT_FALSE(BlobHasher::restore(id, std::span(saved).first(7)));
  EXPECT_FALSE(BlobHasher::restore(id, std::span(saved).first(saved.size() - 1)));
  EXPECT_FALSE(BlobHasher::restore(test::git_id(bytes), saved));
  BlobId shorter = id;
  shorter.size = 999;
  EXPECT_FALSE(BlobHasher::restore(shorter, saved));
}

}  // namespace
}  // namespace shoal
