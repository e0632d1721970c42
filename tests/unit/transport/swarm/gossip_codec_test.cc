#include "transport/swarm/gossip_codec.h"

#include <algorithm>
#include <bit>
#include <random>

#include <gtest/gtest.h>

namespace shoal {
namespace {

template <std::size_t N>
std::array<std::uint8_t, N> filled(std::uint8_t first) {
  std::array<std::uint8_t, N> bytes{};
  for (std::size_t i = 0; i < N; ++i) bytes[i] = static_cast<std::uint8_t>(first + i);
  return bytes;
}

BlobId weights(std::uint64_t size) {
  return {BlobId::Kind::sha256, filled<32>(1), size};
}

BlobId config(std::uint64_t size) {
  BlobId id{BlobId::Kind::git_sha1, {}, size};
  std::ranges::copy(filled<20>(9), id.digest.begin());
  return id;
}

// One of each type, with every field set.
std::vector<Message> one_of_each() {
  const auto big = weights(5 * kGiB);
  const DeviceLoad load{100, 200, 300, 400, 500, true, 1, std::uint64_t{1} << 40U, ~std::uint64_t{0}};
  return {
      msg::Hello{{filled<16>(3)}, "gpu-3", "0.1.0", 8421, 0x1122334455667788},
      msg::Heartbeat{77, load, 12, 34567890123, 12'500'000, true},
      msg::Want{{big, config(17)}},
      msg::Unwant{{config(0)}},
      msg::HaveBlobs{{big}},
      msg::HaveSegments{big, {SegmentIndex{0}, SegmentIndex{79}}},
      msg::LackBlobs{{config(300), big}},
      msg::Pieces{
          big, SegmentIndex{5}, 0x8000000000000005, {{filled<32>(1)}, {filled<32>(2)}, {filled<32>(3)}}},
      msg::Claim{big, SegmentIndex{6}, 0xff},
      msg::AskSegment{big, SegmentIndex{7}},
      msg::SegmentOpen{big, SegmentIndex{8}},
      msg::AskBlob{config(300)},
      msg::BlobBytes{config(3), {std::byte{1}, std::byte{2}, std::byte{3}}},
      msg::Neighbours{{{"10.0.0.7", 8421}, {"fd00::1", 1}}},
      msg::Bye{},
      msg::AskListing{Hash256{filled<32>(4)}, msg::kListingAsk},
      msg::Listing{Hash256{filled<32>(4)}, msg::ListingState::have, 1000, 998, {std::byte{7}, std::byte{9}}},
      msg::AskKeep{{config(300), config(4)}},
      msg::Keep{{config(300)}},
      msg::SegmentHashes{big, SegmentIndex{9}, true, PieceHashes(std::vector(64, Hash256{filled<32>(5)}))},
      msg::Revocations{{std::byte{0x30}, std::byte{0}}},
  };
}

bool decodes_cleanly(std::span<const std::byte> bytes) {
  const auto decoded = decode(bytes);
  if (decoded) return true;
  EXPECT_EQ(decoded.error().code, Code::invalid);
  EXPECT_FALSE(decoded.error().message.empty());
  return false;
}

std::vector<std::byte> raw(std::initializer_list<int> values) {
  std::vector<std::byte> bytes;
  for (const int v : values) bytes.push_back(static_cast<std::byte>(v));
  return bytes;
}

TEST(GossipCodec, EveryMessageComesBackAsItWas) {
  const auto messages = one_of_each();
  ASSERT_EQ(messages.size(), std::variant_size_v<Message>);
  for (std::size_t i = 0; i < messages.size(); ++i) {
    ASSERT_EQ(messages[i].index(), i) << "one of each type, in order";
    const auto decoded = decode(encode(messages[i]));
    ASSERT_TRUE(decoded) << decoded.error().message;
    ASSERT_TRUE(decoded->has_value());
    EXPECT_TRUE(**decoded == messages[i]) << "type " << i;
  }
}

// Bytes of fields that were appended to a message after its first release: without them it is still whole.
std::size_t appended_bytes(const Message& message) {
  const auto* heartbeat = std::get_if<msg::Heartbeat>(&message);
  if (heartbeat == nullptr) return 0;
  msg::Heartbeat first = *heartbeat;
  first.site_wan_limit = 0;
  return encode(message).size() - encode(first).size() + 2;
}

TEST(GossipCodec, EveryPrefixOfEveryMessageIsInvalid) {
  for (const auto& message : one_of_each()) {
    const auto bytes = encode(message);
    for (std::size_t length = 0; length < bytes.size() - appended_bytes(message); ++length) {
      EXPECT_FALSE(decodes_cleanly(std::span(bytes).first(length)))
          << "type " << message.index() << " cut to " << length << " of " << bytes.size();
    }
  }
}

TEST(GossipCodec, AListingThatIsStillAskedForHasNoBytes) {
  const Message asking = msg::Listing{Hash256{filled<32>(4)}, msg::ListingState::asking, 0, 0, {}};
  const auto decoded = decode(encode(asking));
  ASSERT_TRUE(decoded && decoded->has_value());
  EXPECT_TRUE(**decoded == asking);
}

TEST(GossipCodec, AHeartbeatOfAnEarlierVersionIsRead) {
  msg::Heartbeat sent{77, {}, 12, 34567890123, 12'500'000, true};
  auto bytes = encode(sent);
  bytes.resize(bytes.size() - appended_bytes(sent));
  const auto decoded = decode(bytes);
  ASSERT_TRUE(decoded && decoded->has_value());
  sent.site_wan_limit = 0;
  sent.wan_hungry = false;
  EXPECT_TRUE(**decoded == Message(sent));
}

TEST(GossipCodec, FieldsAppendedByALaterVersionAreSkipped) {
  for (const auto& message : one_of_each()) {
    auto bytes = encode(message);
    bytes.insert(bytes.end(), 9, std::byte{0xee});
    const auto decoded = decode(bytes);
    ASSERT_TRUE(decoded && decoded->has_value());
    EXPECT_TRUE(**decoded == message) << "type " << message.index();
  }
}

TEST(GossipCodec, AnUnknownTypeIsSkippedAndAnUnknownVersionIsNot) {
  const auto unknown = decode(raw({kGossipVersion, 200, 1, 2, 3}));
  ASSERT_TRUE(unknown);
  EXPECT_FALSE(unknown->has_value());
  EXPECT_FALSE(decodes_cleanly(raw({kGossipVersion + 1, 1, 2, 3})));
}

TEST(GossipCodec, RandomBytesAndRandomlyDamagedMessagesDoNoHarm) {
  std::mt19937 rng(7);
  const auto messages = one_of_each();
  for (int round = 0; round < 20000; ++round) {
    std::vector<std::byte> bytes;
    if (round % 2 == 0) {
      bytes.resize(rng() % 200);
      for (auto& b : bytes) b = static_cast<std::byte>(rng());
      if (!bytes.empty()) bytes[0] = std::byte{kGossipVersion};
      if (bytes.size() > 1) bytes[1] = static_cast<std::byte>(rng() % 17);
    } else {
      bytes = encode(messages[rng() % messages.size()]);
      for (int i = 0; i < 3; ++i) bytes[rng() % bytes.size()] = static_cast<std::byte>(rng());
    }
    const auto decoded = decode(bytes);
    if (!decoded || !decoded->has_value()) continue;
    // What was accepted keeps the limits: it survives another round trip unchanged.
    const auto again = decode(encode(**decoded));
    ASSERT_TRUE(again && again->has_value());
    EXPECT_TRUE(**again == **decoded);
  }
}

TEST(GossipCodec, ACountThatCannotBeThereIsRefusedBeforeAnythingIsReserved) {
  // Want, LackBlobs, HaveSegments with a count of 2^63, and Want with one above the limit.
  EXPECT_FALSE(decodes_cleanly(raw({1, 3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f})));
  EXPECT_FALSE(decodes_cleanly(raw({1, 3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f})));
  std::vector<std::byte> many = raw({1, 3, 0x81, 0x08});  // 1025
  many.resize(64 * 1024);
  EXPECT_FALSE(decodes_cleanly(many));
}

TEST(GossipCodec, AMessageAtItsLimitsPassesAndOneAboveTheSizeLimitDoesNot) {
  msg::Want want;
  want.blobs.assign(limits::kBlobsPerMessage, weights(kMaxBlobSize));
  const auto bytes = encode(want);
  EXPECT_LE(bytes.size(), limits::kMessageBytesMax / 8);
  EXPECT_TRUE(decodes_cleanly(bytes));

  msg::BlobBytes blob{config(kSmallBlobMax), std::vector<std::byte>(kSmallBlobMax)};
  EXPECT_TRUE(decodes_cleanly(encode(blob)));
  EXPECT_FALSE(decodes_cleanly(std::vector<std::byte>(limits::kMessageBytesMax + 1, std::byte{1})));
}

TEST(GossipCodec, EncodeCutsWhatWouldExceedALimit) {
  msg::Want want;
  want.blobs.assign(limits::kBlobsPerMessage + 5, config(1));
  const auto decoded = decode(encode(want));
  ASSERT_TRUE(decoded && decoded->has_value());
  EXPECT_EQ(std::get<msg::Want>(**decoded).blobs.size(), limits::kBlobsPerMessage);

  msg::Hello hello{{filled<16>(3)}, std::string(500, 'n'), std::string(500, 'v'), 1, 2};
  const auto back = decode(encode(hello));
  ASSERT_TRUE(back && back->has_value());
  EXPECT_EQ(std::get<msg::Hello>(**back).name.size(), limits::kNodeNameBytes);
}

TEST(GossipCodec, ValuesThatMakeNoSenseAreInvalid) {
  const auto big = weights(5 * kGiB);
  EXPECT_FALSE(decodes_cleanly(encode(msg::Hello{{}, "zero id", "", 1, 1})));
  EXPECT_FALSE(decodes_cleanly(encode(msg::AskSegment{big, SegmentIndex{80}})));
  EXPECT_FALSE(decodes_cleanly(encode(msg::AskSegment{config(0), SegmentIndex{0}})));
  EXPECT_FALSE(decodes_cleanly(encode(msg::AskBlob{weights(kMaxBlobSize + 1)})));
  EXPECT_FALSE(decodes_cleanly(encode(msg::Claim{config(300), SegmentIndex{0}, 2})));  // it has one piece
  EXPECT_FALSE(decodes_cleanly(encode(msg::Pieces{big, SegmentIndex{0}, 1, {Hash256{}}})));
  EXPECT_FALSE(decodes_cleanly(
      encode(msg::SegmentHashes{big, SegmentIndex{0}, false, PieceHashes(std::vector<Hash256>(64))})));
  EXPECT_FALSE(decodes_cleanly(encode(msg::SegmentHashes{
      big, SegmentIndex{0}, false, PieceHashes(std::vector(63, Hash256{filled<32>(5)}))})));
  EXPECT_FALSE(decodes_cleanly(
      encode(msg::BlobBytes{config(kSmallBlobMax + 1), std::vector<std::byte>(kSmallBlobMax + 1)})));
  DeviceLoad overload;
  overload.io_permille = 1001;
  EXPECT_FALSE(decodes_cleanly(encode(msg::Heartbeat{1, overload, 0, 0})));
}

TEST(GossipCodec, LittleOverheadIsSpentOnTheCommonMessages) {
  EXPECT_LE(encode(msg::Heartbeat{1000, DeviceLoad{}, 10, 100 * kGiB}).size(), 32U);
  EXPECT_LE(encode(msg::Want{{weights(5 * kGiB)}}).size(), 2U + 1 + 33 + 5);
}

}  // namespace
}  // namespace shoal
