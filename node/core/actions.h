// What the scheduler wants done: plain values. The node starts them; unit tests and the simulator compare
// them.
#pragma once

#include "node/core/geometry.h"
#include "node/core/ids.h"
#include "node/core/messages.h"
#include "node/core/ports.h"
#include "node/core/result.h"

#include <string>
#include <variant>
#include <vector>

namespace shoal {
namespace act {

struct Tell {
  NodeId to;
  Message message;
  bool operator==(const Tell&) const = default;
};

// Take these pieces from the origin by one Range request.
struct FetchSlice {
  FetchId id{};
  SegmentKey key;
  PieceIndex first{};
  int count = 0;
  bool operator==(const FetchSlice&) const = default;
};
// End this fetch after its first `count` pieces (all of them: at its end) and close its connection, which is
// slow.
struct TrimFetch {
  FetchId id{};
  SegmentKey key;
  PieceIndex first{};  // of the fetch
  int count = 0;
  bool operator==(const TrimFetch&) const = default;
};
struct CancelFetch {
  FetchId id{};
  bool operator==(const CancelFetch&) const = default;
};
// Take a blob of one piece from the origin, whole.
struct FetchSmall {
  BlobId blob;
  bool operator==(const FetchSmall&) const = default;
};

// All piece hashes are known: build the torrent, keep the pieces that are here, connect.
struct LoadSegment {
  SegmentKey key;
  PieceMask have = 0;
  std::vector<Hash256> hashes;
  std::vector<NodeId> connect_to;
  bool operator==(const LoadSegment&) const = default;
};
struct ConnectSegment {
  SegmentKey key;
  std::vector<NodeId> to;
  bool operator==(const ConnectSegment&) const = default;
};
struct UnloadSegment {
  SegmentKey key;
  bool operator==(const UnloadSegment&) const = default;
};

// These pieces are not to be trusted: record them as missing.
struct ForgetPieces {
  SegmentKey key;
  PieceMask pieces = 0;
  bool operator==(const ForgetPieces&) const = default;
};

// Every piece is here: compare the publisher's hash and publish.
struct FinishBlob {
  BlobId blob;
  bool operator==(const FinishBlob&) const = default;
};
struct FailBlob {
  BlobId blob;
  Error error;
};

// The neighbour lied about bytes or hashes.
struct BanNode {
  NodeId node;
  std::string reason;
  bool operator==(const BanNode&) const = default;
};

}  // namespace act

using Action = std::variant<act::Tell, act::FetchSlice, act::TrimFetch, act::CancelFetch, act::FetchSmall,
                            act::LoadSegment, act::ConnectSegment, act::UnloadSegment, act::ForgetPieces,
                            act::FinishBlob, act::FailBlob, act::BanNode>;

}  // namespace shoal
