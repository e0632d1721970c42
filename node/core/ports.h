// What the decisions and the edges need from each other, in core's words. Real ones live in `storage/` and
// `transport/`, fakes in `tests/fake/`; `node/` joins them.
//
// Bytes do not pass through the loop: transport writes them straight into a BlobFile or a SliceSink, and the
// loop hears "piece 12 landed".
#pragma once

#include "node/core/geometry.h"
#include "node/core/ids.h"
#include "node/core/messages.h"
#include "node/core/result.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace shoal {

// The bytes of one blob on this disk, partial or complete. One descriptor; stays usable while the blob is
// published (renamed) or evicted (unlinked).
//
// Threads: all methods may be called from any thread at once; they block on the disk, so never from the loop.
class BlobFile {
 public:
  virtual ~BlobFile() = default;
  [[nodiscard]] virtual const BlobId& id() const = 0;
  // For sendfile(2) only; open as long as this object is. -1: there is none.
  [[nodiscard]] virtual int descriptor() const { return -1; }
  // Reads exactly out.size() bytes. Errors: io, invalid (past the end).
  virtual Result<void> read_at(std::uint64_t offset, std::span<std::byte> out) = 0;
  // Writes the buffers one after the other from `offset` on. Errors: no_space, io, invalid (past the end).
  virtual Result<void> write_at(std::uint64_t offset,
                                std::span<const std::span<const std::byte>> buffers) = 0;
};

// Where the bytes of one origin slice go: a run of whole pieces of one segment, first byte first.
//
// Threads: called from the origin's thread only, one call at a time. The sink hashes, writes, and itself
// reports each piece as it becomes whole. Dropping the sink before the end loses only the piece in progress.
class SliceSink {
 public:
  virtual ~SliceSink() = default;
  // Errors: no_space, io, invalid (more bytes than the slice has). After an error nothing more is written.
  virtual Result<void> write(std::span<const std::byte> bytes) = 0;
};

enum class FetchId : std::uint64_t {};

// Which file of the Hub to take the bytes from.
struct OriginFile {
  RepoRef repo;
  std::string commit;  // 40 hex
  std::string path;
  BlobId blob;          // what it has to be: size and linked ETag are held against it
  std::string token{};  // of the program that asked for it; empty: the node's own
};

struct SliceRequest {
  FetchId id{};
  OriginFile file;
  std::uint64_t offset = 0;  // bytes in the blob
  std::uint64_t length = 0;
  std::shared_ptr<SliceSink> sink;
};

// Bytes from the Hub or its CDN, by one Range request per slice.
//
// Threads: methods are called from the loop and return at once. Callbacks come on the origin's own thread:
// post and return.
class Origin {
 public:
  struct Callbacks {
    std::function<void(FetchId, std::uint64_t bytes)>
        on_progress;                                     // bytes since the last call, some times a second
    std::function<void(FetchId, Result<void>)> on_done;  // exactly once per fetch, also when cancelled
  };
  virtual ~Origin() = default;
  virtual void fetch(SliceRequest request) = 0;
  // The fetch is to end well after its first `length` bytes, which may be all of it, and its connection is to
  // be closed: it is slow. Nothing happens when it has ended.
  virtual void trim(FetchId id, std::uint64_t length) = 0;
  virtual void cancel(FetchId id) = 0;
};

// Everything libtorrent needs to serve or fetch one segment.
struct SegmentSpec {
  SegmentKey key;
  std::vector<Hash256> piece_hashes;  // BEP 52 piece roots, one per piece
  PieceMask have = 0;                 // pieces already in the file, trusted
  std::shared_ptr<BlobFile> file;     // the segment starts at Geometry::segment_offset(key.index)
};

// The neighbours: control messages between nodes, and one torrent per loaded segment.
//
// Threads: methods are called from the loop and return at once. Callbacks come on a transport thread: post
// and return.
class Swarm {
 public:
  struct Callbacks {
    // A neighbour said Hello (after that it may be sent to), or its last connection ended.
    std::function<void(NodeId, Endpoint, msg::Hello)> on_neighbour_up;
    std::function<void(NodeId, std::string reason)> on_neighbour_down;
    std::function<void(NodeId, Message)> on_message;
    // A piece of a loaded segment was received and matched its hash. `from`: who sent it (most of it).
    std::function<void(SegmentKey, PieceIndex, NodeId from)> on_piece;
    // A piece did not match its hash; `from` are those who sent blocks of it.
    std::function<void(SegmentKey, PieceIndex, std::vector<NodeId> from)> on_bad_piece;
    // The segment's torrent failed (disk, bad hashes) and was removed.
    std::function<void(SegmentKey, Error)> on_segment_failed;
    // Payload moved since the last report, about once a second per neighbour with traffic.
    std::function<void(NodeId, std::uint64_t received, std::uint64_t sent)> on_traffic;
  };
  virtual ~Swarm() = default;

  // Queues one message; dropped if the neighbour is gone.
  virtual void send(NodeId to, Message message) = 0;

  // Loads the segment's torrent and connects to the given neighbours. Loading a loaded segment only adds
  // neighbours.
  virtual void load(SegmentSpec spec, std::vector<NodeId> connect_to) = 0;
  virtual void connect(const SegmentKey& key, std::vector<NodeId> to) = 0;
  virtual void unload(const SegmentKey& key) = 0;

  // Refuses the neighbour's connections for the given time.
  virtual void ban(NodeId node, std::chrono::seconds duration) = 0;
};

}  // namespace shoal
