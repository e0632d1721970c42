#include "transport/swarm/gossip_codec.h"

#include "transport/swarm/wire_bytes.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>

namespace shoal {
namespace {

// Message types on the wire. Numbers are never used again for something else.
enum class Type : std::uint8_t {
  hello = 1,
  heartbeat = 2,
  want = 3,
  unwant = 4,
  have_blobs = 5,
  have_segments = 6,
  lack_blobs = 7,
  pieces = 8,
  claim = 9,
  ask_segment = 10,
  segment_open = 11,
  ask_blob = 12,
  blob_bytes = 13,
  neighbours = 14,
  bye = 15,
  ask_listing = 16,
  listing = 17,
  ask_keep = 20,
  keep = 21,
  segment_hashes = 22,
  revocations = 30,
};

constexpr std::size_t kAddressTextMax = 45;  // INET6_ADDRSTRLEN without its NUL

// ---------------------------------------------------------------- writing

void put(ByteWriter& w, const BlobId& id) {
  w.u8(static_cast<std::uint8_t>(id.kind));
  w.bytes(id.digest_bytes());
  w.varint(id.size);
}

void put(ByteWriter& w, const std::vector<BlobId>& blobs) {
  const std::size_t count = std::min(blobs.size(), limits::kBlobsPerMessage);
  w.varint(count);
  for (std::size_t i = 0; i < count; ++i) put(w, blobs[i]);
}

void put_segment(ByteWriter& w, const BlobId& blob, SegmentIndex segment) {
  put(w, blob);
  w.varint(to_int(segment));
}

void put_body(ByteWriter& w, const msg::Hello& m) {
  w.bytes(m.node.bytes);
  w.u64(m.run);
  w.u16(m.swarm_port);
  w.text(m.name, limits::kNodeNameBytes);
  w.text(m.version, limits::kVersionBytes);
}

void put_body(ByteWriter& w, const msg::Heartbeat& m) {
  w.varint(m.sequence);
  w.u16(m.load.cpu_permille);
  w.u16(m.load.memory_permille);
  w.u16(m.load.io_permille);
  w.u16(m.load.nic_permille);
  w.u16(m.load.gpu_permille);
  w.u8(m.load.busy ? 1 : 0);
  w.varint(m.load.origin_bytes_per_s);
  w.varint(m.load.upload_bytes_per_s);
  w.varint(m.load.download_bytes_per_s);
  w.varint(m.blobs_held);
  w.varint(m.bytes_held);
  w.varint(m.site_wan_limit);
  w.u8(m.wan_hungry ? 1 : 0);
}

void put_body(ByteWriter& w, const msg::Want& m) {
  put(w, m.blobs);
}
void put_body(ByteWriter& w, const msg::Unwant& m) {
  put(w, m.blobs);
}
void put_body(ByteWriter& w, const msg::HaveBlobs& m) {
  put(w, m.blobs);
}
void put_body(ByteWriter& w, const msg::LackBlobs& m) {
  put(w, m.blobs);
}

void put_body(ByteWriter& w, const msg::AskKeep& m) {
  put(w, m.blobs);
}
void put_body(ByteWriter& w, const msg::Keep& m) {
  put(w, m.blobs);
}

void put_body(ByteWriter& w, const msg::Revocations& m) {
  const auto list = std::span(m.list).first(std::min(m.list.size(), limits::kRevocationBytes));
  w.varint(list.size());
  w.bytes(list);
}

void put_body(ByteWriter& w, const msg::HaveSegments& m) {
  put(w, m.blob);
  const std::size_t count = std::min(m.segments.size(), limits::kSegmentsPerMessage);
  w.varint(count);
  for (std::size_t i = 0; i < count; ++i) w.varint(to_int(m.segments[i]));
}

void put_body(ByteWriter& w, const msg::Pieces& m) {
  put_segment(w, m.blob, m.segment);
  // A hash per bit and a bit per hash, whatever the caller gave: surplus of either is left out.
  PieceMask pieces = m.pieces;
  std::size_t count = static_cast<std::size_t>(std::popcount(pieces));
  while (count > m.hashes.size()) {
    pieces &= ~std::bit_floor(pieces);
    --count;
  }
  w.u64(pieces);
  for (std::size_t i = 0; i < count; ++i) w.bytes(m.hashes[i].bytes);
}

void put_body(ByteWriter& w, const msg::SegmentHashes& m) {
  put_segment(w, m.blob, m.segment);
  w.u8(m.open ? 1 : 0);
  for (const Hash256& hash : m.hashes.list()) w.bytes(hash.bytes);
}

void put_body(ByteWriter& w, const msg::Claim& m) {
  put_segment(w, m.blob, m.segment);
  w.u64(m.pieces);
}
void put_body(ByteWriter& w, const msg::AskSegment& m) {
  put_segment(w, m.blob, m.segment);
}
void put_body(ByteWriter& w, const msg::SegmentOpen& m) {
  put_segment(w, m.blob, m.segment);
}
void put_body(ByteWriter& w, const msg::AskBlob& m) {
  put(w, m.blob);
}
void put_body(ByteWriter& w, const msg::BlobBytes& m) {
  put(w, m.blob);
  w.bytes(std::span(m.bytes).first(std::min<std::size_t>(m.bytes.size(), kSmallBlobMax)));
}

void put_body(ByteWriter& w, const msg::Neighbours& m) {
  const std::size_t count = std::min(m.endpoints.size(), limits::kNeighbourAddresses);
  w.varint(count);
  for (std::size_t i = 0; i < count; ++i) {
    w.u16(m.endpoints[i].port);
    w.text(m.endpoints[i].address, kAddressTextMax);
  }
}

void put_body(ByteWriter&, const msg::Bye&) {}

void put_body(ByteWriter& w, const msg::AskListing& m) {
  w.bytes(m.key.bytes);
  w.u64(m.offset);
}
void put_body(ByteWriter& w, const msg::Listing& m) {
  w.bytes(m.key.bytes);
  w.u8(static_cast<std::uint8_t>(m.state));
  w.varint(m.size);
  w.varint(m.offset);
  const std::size_t length = std::min(m.bytes.size(), limits::kListingPartBytes);
  w.varint(length);
  w.bytes(std::span(m.bytes).first(length));
}

constexpr Type type_of(const msg::Hello*) {
  return Type::hello;
}
constexpr Type type_of(const msg::Heartbeat*) {
  return Type::heartbeat;
}
constexpr Type type_of(const msg::Want*) {
  return Type::want;
}
constexpr Type type_of(const msg::Unwant*) {
  return Type::unwant;
}
constexpr Type type_of(const msg::HaveBlobs*) {
  return Type::have_blobs;
}
constexpr Type type_of(const msg::HaveSegments*) {
  return Type::have_segments;
}
constexpr Type type_of(const msg::LackBlobs*) {
  return Type::lack_blobs;
}
constexpr Type type_of(const msg::Pieces*) {
  return Type::pieces;
}
constexpr Type type_of(const msg::Claim*) {
  return Type::claim;
}
constexpr Type type_of(const msg::AskSegment*) {
  return Type::ask_segment;
}
constexpr Type type_of(const msg::SegmentOpen*) {
  return Type::segment_open;
}
constexpr Type type_of(const msg::AskBlob*) {
  return Type::ask_blob;
}
constexpr Type type_of(const msg::BlobBytes*) {
  return Type::blob_bytes;
}
constexpr Type type_of(const msg::Neighbours*) {
  return Type::neighbours;
}
constexpr Type type_of(const msg::Bye*) {
  return Type::bye;
}
constexpr Type type_of(const msg::AskListing*) {
  return Type::ask_listing;
}
constexpr Type type_of(const msg::Listing*) {
  return Type::listing;
}
constexpr Type type_of(const msg::AskKeep*) {
  return Type::ask_keep;
}
constexpr Type type_of(const msg::Keep*) {
  return Type::keep;
}
constexpr Type type_of(const msg::Revocations*) {
  return Type::revocations;
}
constexpr Type type_of(const msg::SegmentHashes*) {
  return Type::segment_hashes;
}

// ---------------------------------------------------------------- reading
//
// Readers set the reader's failure and go on with zeros; decode() looks at the failure once, at the end.
// Loops end at the first failure.

BlobId get_blob(ByteReader& r) {
  BlobId id;
  const auto kind = r.u8();
  if (kind != static_cast<std::uint8_t>(BlobId::Kind::sha256) &&
      kind != static_cast<std::uint8_t>(BlobId::Kind::git_sha1)) {
    r.refuse("unknown kind of blob");
    return id;
  }
  id.kind = static_cast<BlobId::Kind>(kind);
  r.bytes(std::span(id.digest).first(id.kind == BlobId::Kind::sha256 ? 32 : 20));
  id.size = r.varint();
  if (id.size > kMaxBlobSize) r.refuse("blob larger than any accepted");
  return id;
}

// Smallest bytes one entry can take; a count that cannot fit into what is left is refused before reserving.
constexpr std::size_t kBlobBytesMin = 1 + 20 + 1;

std::vector<BlobId> get_blobs(ByteReader& r) {
  const auto count = r.count(limits::kBlobsPerMessage, kBlobBytesMin);
  std::vector<BlobId> blobs;
  blobs.reserve(count);
  for (std::size_t i = 0; i < count && r.ok(); ++i) blobs.push_back(get_blob(r));
  return blobs;
}

// A segment that exists in that blob.
SegmentIndex checked_segment(ByteReader& r, const Geometry& geometry) {
  const auto index = r.varint();
  if (index >= geometry.segment_count()) {
    r.refuse("segment outside its blob");
    return {};
  }
  return static_cast<SegmentIndex>(index);
}

template <typename M>
M get_segment_message(ByteReader& r) {
  M m;
  m.blob = get_blob(r);
  if (r.ok()) m.segment = checked_segment(r, Geometry(m.blob.size));
  return m;
}

PieceMask checked_pieces(ByteReader& r, const BlobId& blob, SegmentIndex segment) {
  const PieceMask pieces = r.u64();
  if (r.ok() && (pieces & ~Geometry(blob.size).all_pieces(segment)) != 0)
    r.refuse("pieces outside their segment");
  return r.ok() ? pieces : 0;
}

std::uint16_t get_permille(ByteReader& r) {
  const auto value = r.u16();
  if (value > 1000) r.refuse("load above 1000 permille");
  return value;
}

msg::Hello get(ByteReader& r, const msg::Hello*) {
  msg::Hello m;
  r.bytes(m.node.bytes);
  m.run = r.u64();
  m.swarm_port = r.u16();
  m.name = r.text(limits::kNodeNameBytes);
  m.version = r.text(limits::kVersionBytes);
  if (r.ok() && m.node == NodeId{}) r.refuse("zero node id");
  return m;
}

msg::Heartbeat get(ByteReader& r, const msg::Heartbeat*) {
  msg::Heartbeat m;
  m.sequence = r.varint();
  m.load.cpu_permille = get_permille(r);
  m.load.memory_permille = get_permille(r);
  m.load.io_permille = get_permille(r);
  m.load.nic_permille = get_permille(r);
  m.load.gpu_permille = get_permille(r);
  m.load.busy = (r.u8() & 1U) != 0;
  m.load.origin_bytes_per_s = r.varint();
  m.load.upload_bytes_per_s = r.varint();
  m.load.download_bytes_per_s = r.varint();
  const auto held = r.varint();
  if (held > std::numeric_limits<std::uint32_t>::max()) r.refuse("more blobs than can be counted");
  m.blobs_held = static_cast<std::uint32_t>(held);
  m.bytes_held = r.varint();
  if (r.more()) m.site_wan_limit = r.varint();
  if (r.more()) m.wan_hungry = (r.u8() & 1U) != 0;
  return m;
}

msg::Want get(ByteReader& r, const msg::Want*) {
  return {get_blobs(r)};
}
msg::Unwant get(ByteReader& r, const msg::Unwant*) {
  return {get_blobs(r)};
}
msg::HaveBlobs get(ByteReader& r, const msg::HaveBlobs*) {
  return {get_blobs(r)};
}
msg::LackBlobs get(ByteReader& r, const msg::LackBlobs*) {
  return {get_blobs(r)};
}

msg::AskKeep get(ByteReader& r, const msg::AskKeep*) {
  return {get_blobs(r)};
}
msg::Keep get(ByteReader& r, const msg::Keep*) {
  return {get_blobs(r)};
}

msg::Revocations get(ByteReader& r, const msg::Revocations*) {
  msg::Revocations m;
  m.list.resize(r.count(limits::kRevocationBytes, 1));
  r.bytes(std::span(m.list));
  return m;
}

msg::HaveSegments get(ByteReader& r, const msg::HaveSegments*) {
  msg::HaveSegments m;
  m.blob = get_blob(r);
  const auto count = r.count(limits::kSegmentsPerMessage, 1);
  if (!r.ok()) return m;
  const Geometry geometry(m.blob.size);
  m.segments.reserve(count);
  for (std::size_t i = 0; i < count && r.ok(); ++i) m.segments.push_back(checked_segment(r, geometry));
  return m;
}

msg::Pieces get(ByteReader& r, const msg::Pieces*) {
  auto m = get_segment_message<msg::Pieces>(r);
  m.pieces = checked_pieces(r, m.blob, m.segment);
  const auto count = static_cast<std::size_t>(std::popcount(m.pieces));
  if (!r.fits(count, sizeof(Hash256))) return m;
  m.hashes.resize(count);
  for (auto& hash : m.hashes) {
    r.bytes(hash.bytes);
    // libtorrent takes a zero hash for one that is not set.
    if (r.ok() && hash.is_zero()) r.refuse("zero piece hash");
  }
  return m;
}

msg::SegmentHashes get(ByteReader& r, const msg::SegmentHashes*) {
  auto m = get_segment_message<msg::SegmentHashes>(r);
  m.open = (r.u8() & 1U) != 0;
  if (!r.ok()) return m;
  const auto count = static_cast<std::size_t>(Geometry(m.blob.size).piece_count(m.segment));
  if (!r.fits(count, sizeof(Hash256))) return m;
  std::vector<Hash256> hashes(count);
  for (auto& hash : hashes) {
    r.bytes(hash.bytes);
    if (r.ok() && hash.is_zero()) r.refuse("zero piece hash");
  }
  m.hashes = PieceHashes(std::move(hashes));
  return m;
}

msg::Claim get(ByteReader& r, const msg::Claim*) {
  auto m = get_segment_message<msg::Claim>(r);
  m.pieces = checked_pieces(r, m.blob, m.segment);
  return m;
}

msg::AskSegment get(ByteReader& r, const msg::AskSegment*) {
  return get_segment_message<msg::AskSegment>(r);
}
msg::SegmentOpen get(ByteReader& r, const msg::SegmentOpen*) {
  return get_segment_message<msg::SegmentOpen>(r);
}
msg::AskBlob get(ByteReader& r, const msg::AskBlob*) {
  return {get_blob(r)};
}

msg::BlobBytes get(ByteReader& r, const msg::BlobBytes*) {
  msg::BlobBytes m;
  m.blob = get_blob(r);
  if (r.ok() && m.blob.size > kSmallBlobMax) r.refuse("blob too large for a message");
  if (!r.fits(1, static_cast<std::size_t>(m.blob.size))) return m;
  m.bytes.resize(static_cast<std::size_t>(m.blob.size));
  r.bytes(std::span(m.bytes));
  return m;
}

msg::Neighbours get(ByteReader& r, const msg::Neighbours*) {
  msg::Neighbours m;
  const auto count = r.count(limits::kNeighbourAddresses, 2 + 1);
  m.endpoints.reserve(count);
  for (std::size_t i = 0; i < count && r.ok(); ++i) {
    Endpoint endpoint;
    endpoint.port = r.u16();
    endpoint.address = r.text(kAddressTextMax);
    m.endpoints.push_back(std::move(endpoint));
  }
  return m;
}

msg::Bye get(ByteReader&, const msg::Bye*) {
  return {};
}

msg::AskListing get(ByteReader& r, const msg::AskListing*) {
  msg::AskListing m;
  r.bytes(m.key.bytes);
  m.offset = r.u64();
  return m;
}

msg::Listing get(ByteReader& r, const msg::Listing*) {
  msg::Listing m;
  r.bytes(m.key.bytes);
  const auto state = r.u8();
  if (state > static_cast<std::uint8_t>(msg::ListingState::asking)) r.refuse("unknown state of a listing");
  m.state = static_cast<msg::ListingState>(state);
  m.size = r.varint();
  m.offset = r.varint();
  if (m.size > limits::kListingBytesMax) r.refuse("listing larger than any accepted");
  const std::size_t length = r.count(limits::kListingPartBytes, 1);
  if (length > 0 && (m.offset > m.size || length > m.size - m.offset)) r.refuse("part outside its listing");
  if (!r.ok()) return m;
  m.bytes.resize(length);
  r.bytes(std::span(m.bytes));
  return m;
}

using Decoded = Result<std::optional<Message>>;

template <typename M>
bool try_type(Type type, ByteReader& r, std::optional<Message>& out) {
  constexpr const M* kTag = nullptr;
  if (type != type_of(kTag)) return false;
  out = Message(get(r, kTag));
  return true;
}

// Tries each alternative of the variant, so that a message type cannot be forgotten here.
template <typename... M>
bool try_all(std::type_identity<std::variant<M...>>, Type type, ByteReader& r, std::optional<Message>& out) {
  return (try_type<M>(type, r, out) || ...);
}

}  // namespace

std::vector<std::byte> encode(const Message& message) {
  ByteWriter w;
  std::visit(
      [&w]<typename M>(const M& m) {
        constexpr const M* kTag = nullptr;
        w.u8(kGossipVersion);
        w.u8(static_cast<std::uint8_t>(type_of(kTag)));
        put_body(w, m);
      },
      message);
  return std::move(w).take();
}

Decoded decode(std::span<const std::byte> bytes) {
  if (bytes.size() > limits::kMessageBytesMax) return fail(Code::invalid, "message longer than 512 KiB");
  ByteReader r(bytes);
  const auto version = r.u8();
  const auto type = static_cast<Type>(r.u8());
  if (!r.ok()) return fail(Code::invalid, "message without a type");
  if (version != kGossipVersion) {
    return fail(Code::invalid, "message of protocol version " + std::to_string(version));
  }
  std::optional<Message> out;
  if (!try_all(std::type_identity<Message>{}, type, r, out)) return Decoded(std::optional<Message>());
  if (!r.ok()) {
    return fail(Code::invalid, "message of type " + std::to_string(static_cast<int>(type)) + ": " + r.why());
  }
  return Decoded(std::move(out));
}

}  // namespace shoal
