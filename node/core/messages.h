// What neighbours tell each other, as plain values. `transport/gossip_codec` puts them on the wire;
// `docs/protocol.md` describes the bytes. Everything received is checked against the limits here before it
// becomes one of these.
#pragma once

#include "node/core/geometry.h"
#include "node/core/ids.h"
#include "node/core/load.h"
#include "node/core/piece_hashes.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace shoal {

namespace limits {
inline constexpr std::size_t kMessageBytesMax = 512 * kKiB;  // libtorrent closes connections above 1 MiB
inline constexpr std::size_t kBlobsPerMessage = 1024;  // 1024 x 41 bytes stays far below the message limit
inline constexpr std::size_t kSegmentsPerMessage = 4096;
inline constexpr std::size_t kNodeNameBytes = 64;
inline constexpr std::size_t kVersionBytes = 32;
inline constexpr std::size_t kNeighbourAddresses = 64;
inline constexpr std::size_t kListingPartBytes = 256 * kKiB;  // a model's listing is 2 to 20 KiB
inline constexpr std::uint64_t kListingBytesMax = 32 * kMiB;  // 200,000 files, the most of any repo
inline constexpr std::size_t kRevocationBytes = 128 * kKiB;   // 3,000 machines put out of one cluster
}  // namespace limits

// An address of a neighbour's swarm port, e.g. "10.0.0.7" and 8421.
struct Endpoint {
  std::string address;  // numeric IPv4 or IPv6, no brackets
  std::uint16_t port = 0;
  auto operator<=>(const Endpoint&) const = default;
  [[nodiscard]] std::string text() const;  // "10.0.0.7:8421", "[fe80::1]:8421"
};

namespace msg {

// First message on each connection, both ways.
struct Hello {
  NodeId node;
  std::string name;              // for people
  std::string version;           // of the program
  std::uint16_t swarm_port = 0;  // where this node accepts connections
  std::uint64_t run = 0;         // random per process start: tells a restart from a second connection
  bool operator==(const Hello&) const = default;
};

// Every second. Silence for 5 s means dead.
struct Heartbeat {
  std::uint64_t sequence = 0;
  DeviceLoad load;
  std::uint32_t blobs_held = 0;
  std::uint64_t bytes_held = 0;
  std::uint64_t site_wan_limit = 0;  // bytes per second this node was told to keep the site below; 0: none
  bool wan_hungry = false;           // it would take more from the origin than it does
  bool operator==(const Heartbeat&) const = default;
};

// "I want these: tell me what you have of each, and keep me posted until I say Unwant."
struct Want {
  std::vector<BlobId> blobs;
  bool operator==(const Want&) const = default;
};
struct Unwant {
  std::vector<BlobId> blobs;
  bool operator==(const Unwant&) const = default;
};

// "I have all of these." Sent in answer to Want, and when a blob the other side wants becomes complete here.
struct HaveBlobs {
  std::vector<BlobId> blobs;
  bool operator==(const HaveBlobs&) const = default;
};

// "Of this blob, which I do not have whole, I have these segments whole." Hashes are asked for with
// AskSegment.
struct HaveSegments {
  BlobId blob;
  std::vector<SegmentIndex> segments;
  bool operator==(const HaveSegments&) const = default;
};

// "I do not have these (any more)", so that nobody waits for them.
struct LackBlobs {
  std::vector<BlobId> blobs;
  bool operator==(const LackBlobs&) const = default;
};

// "Of this segment I have these pieces, and their hashes are those." `hashes` has one entry per bit of
// `pieces`, lowest bit first. Sent as pieces land from the origin, and whole when a segment is complete.
struct Pieces {
  BlobId blob;
  SegmentIndex segment{};
  PieceMask pieces = 0;
  std::vector<Hash256> hashes;
  bool operator==(const Pieces&) const = default;
};

// "Of this segment I am fetching these pieces from the origin." Absolute: replaces what was claimed before;
// an empty mask gives the claim up.
struct Claim {
  BlobId blob;
  SegmentIndex segment{};
  PieceMask pieces = 0;
  bool operator==(const Claim&) const = default;
};

// "Send me the piece hashes of this segment and load its torrent: I am about to connect." Answered by a
// Pieces message with all bits set, or LackBlobs.
struct AskSegment {
  BlobId blob;
  SegmentIndex segment{};
  bool operator==(const AskSegment&) const = default;
};

// "I have this segment's torrent loaded: you may connect." Of two nodes that fetch the same segment the one
// with the lower NodeId connects, so that there is one connection; nodes that hold the blob whole never
// connect.
struct SegmentOpen {
  BlobId blob;
  SegmentIndex segment{};
  bool operator==(const SegmentOpen&) const = default;
};

// "These are all piece hashes of this segment: its pieces are on the site." Passed on from mate to mate
// (node/core/circle.h) where too many nodes want a blob for each to hear of every piece. `open`: also
// SegmentOpen. It says nothing of which pieces the sender has.
struct SegmentHashes {
  BlobId blob;
  SegmentIndex segment{};
  bool open = false;
  PieceHashes hashes;  // one per piece of the segment
  bool operator==(const SegmentHashes&) const = default;
};

// A blob of one piece travels in a message. Answered by BlobBytes or LackBlobs.
struct AskBlob {
  BlobId blob;
  bool operator==(const AskBlob&) const = default;
};
struct BlobBytes {
  BlobId blob;
  std::vector<std::byte> bytes;  // exactly blob.size, at most kSmallBlobMax
  bool operator==(const BlobBytes&) const = default;
};

// "I want to drop these from my disk: who keeps them?" Answered by Keep for those that the other side holds
// whole and means to keep; silence is a no. The rule for two that ask at once is in keep_promises.h.
struct AskKeep {
  std::vector<BlobId> blobs;
  bool operator==(const AskKeep&) const = default;
};
struct Keep {
  std::vector<BlobId> blobs;
  bool operator==(const Keep&) const = default;
};

// Addresses of other neighbours this node talks to.
struct Neighbours {
  std::vector<Endpoint> endpoints;
  bool operator==(const Neighbours&) const = default;
};

// "Do you have the list of files of a commit, and may anyone have it?" `key` names repo and commit without
// saying them: SHA-256 of "<type>/<name>@<commit>". Nobody can guess the commit of a repo that he may not
// see. Answered by Listing: with the part from `offset` on, or none of it when the offset is kListingAsk.
struct AskListing {
  Hash256 key;
  std::uint64_t offset = 0;
  bool operator==(const AskListing&) const = default;
};
inline constexpr std::uint64_t kListingAsk = ~std::uint64_t{0};

enum class ListingState : std::uint8_t {
  lack = 0,
  have = 1,
  asking = 2,  // the Hub is being asked: told again once it has answered
};
struct Listing {
  Hash256 key;
  ListingState state = ListingState::lack;
  std::uint64_t size = 0;  // of the whole document
  std::uint64_t offset = 0;
  std::vector<std::byte> bytes;
  bool operator==(const Listing&) const = default;
};

// Of a closed cluster: the authority's signed list of certificates that are good no more (an X.509 CRL, DER).
// Sent to each new neighbour, and to all when a newer one came.
struct Revocations {
  std::vector<std::byte> list;
  bool operator==(const Revocations&) const = default;
};

// "I am stopping": claims lapse at once instead of after the expiry.
struct Bye {
  bool operator==(const Bye&) const = default;
};

}  // namespace msg

using Message =
    std::variant<msg::Hello, msg::Heartbeat, msg::Want, msg::Unwant, msg::HaveBlobs, msg::HaveSegments,
                 msg::LackBlobs, msg::Pieces, msg::Claim, msg::AskSegment, msg::SegmentOpen, msg::AskBlob,
                 msg::BlobBytes, msg::Neighbours, msg::Bye, msg::AskListing, msg::Listing, msg::AskKeep,
                 msg::Keep, msg::SegmentHashes, msg::Revocations>;

}  // namespace shoal
