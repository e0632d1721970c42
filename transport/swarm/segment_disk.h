// libtorrent's disk interface over SegmentIo: each torrent's storage is a segment, a range of one BlobFile.
//
// The session makes and destroys its disk object at times of its own, and handlers with buffers outlive it;
// DiskShared is what stays.
//
// Threads: libtorrent's network thread, unless said otherwise.
#pragma once

#include "node/core/ports.h"
#include "transport/swarm/libtorrent_all.h"
#include "transport/swarm/segment_io.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

namespace shoal {

// Where a torrent's bytes are.
struct SegmentPlace {
  std::shared_ptr<BlobFile> file;
  std::uint64_t offset = 0;  // of the segment in the blob
};

class DiskShared final : public lt::buffer_allocator_interface {
 public:
  // A read or write of the torrent's segment failed. Called on the network thread, once per storage.
  using OnError = std::function<void(const lt::sha1_hash& torrent, const Error&)>;

  DiskShared(SegmentIo::Options options, OnError on_error) : on_error_(std::move(on_error)), io_(options) {}
  virtual ~DiskShared() = default;

  // Tells where the torrent that is about to be added keeps its bytes; any thread. A torrent never placed has
  // no bytes (SegmentIo::open).
  void place(const lt::sha1_hash& torrent, SegmentPlace where);
  [[nodiscard]] std::optional<SegmentPlace> take_place(const lt::sha1_hash& torrent);

  void free_disk_buffer(char* block) override { io_.free_block(block); }

  [[nodiscard]] SegmentIo& io() { return io_; }
  void report(const lt::sha1_hash& torrent, const Error& error) const { on_error_(torrent, error); }

 private:
  const OnError on_error_;
  SegmentIo io_;
  std::mutex mutex_;
  std::map<lt::sha1_hash, SegmentPlace> places_;  // guarded by mutex_
};

// For session_params. `shared` must outlive the session's io_context.
[[nodiscard]] lt::disk_io_constructor_type disk_constructor(std::shared_ptr<DiskShared> shared);

}  // namespace shoal
