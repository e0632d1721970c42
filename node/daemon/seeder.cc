#include "node/daemon/seeder.h"

#include "storage/blob_store.h"

#include <optional>
#include <utility>
#include <vector>

namespace shoal {

bool Seeder::begin_ask(NodeId from) {
  int& asks = asks_[from];
  if (asks >= kAsksPerNeighbour) return false;
  ++asks;
  return true;
}

void Seeder::end_ask(NodeId from) {
  if (const auto it = asks_.find(from); it != asks_.end() && it->second > 0) --it->second;
}

void Seeder::on_ask_segment(NodeId from, const msg::AskSegment& ask, Time now) {
  const SegmentKey key{ask.blob, ask.segment};
  const Geometry geometry(ask.blob.size);
  if (!shareable_(ask.blob) || to_int(ask.segment) >= geometry.segment_count() || !begin_ask(from)) {
    swarm_.send(from, msg::LackBlobs{{ask.blob}});
    return;
  }
  struct Found {
    SegmentHashes hashes;
    std::shared_ptr<BlobFile> file;
  };
  loop_.run(
      [&store = store_, key]() -> std::optional<Found> {
        auto hashes = store.hashes(key);
        if (!hashes) return std::nullopt;
        auto file = store.open(key.blob);
        if (!file) return std::nullopt;
        return Found{std::move(*hashes), std::move(*file)};
      },
      [this, from, key, geometry, now](std::optional<Found> found) {
        end_ask(from);
        const PieceMask all = geometry.all_pieces(key.index);
        if (!found || found->hashes.have != all) {
          swarm_.send(from, msg::LackBlobs{{key.blob}});
          return;
        }
        // In this order: the torrent is loaded before the other side hears that it may connect.
        swarm_.load({key, found->hashes.piece_hashes, all, found->file}, {});
        swarm_.send(from, msg::Pieces{key.blob, key.index, all, std::move(found->hashes.piece_hashes)});
        swarm_.send(from, msg::SegmentOpen{key.blob, key.index});
        touch(key, now);
        on_served_(key.blob);
      });
}

void Seeder::on_ask_blob(NodeId from, const msg::AskBlob& ask) {
  const BlobId blob = ask.blob;
  if (!shareable_(blob) || blob.size > kSmallBlobMax || !begin_ask(from)) {
    swarm_.send(from, msg::LackBlobs{{blob}});
    return;
  }
  loop_.run(
      [&store = store_, blob]() -> std::optional<std::vector<std::byte>> {
        auto file = store.open(blob);
        if (!file) return std::nullopt;
        std::vector<std::byte> bytes(blob.size);
        if (!(*file)->read_at(0, bytes)) return std::nullopt;
        return bytes;
      },
      [this, from, blob](std::optional<std::vector<std::byte>> bytes) {
        end_ask(from);
        if (bytes) {
          on_served_(blob);
          swarm_.send(from, msg::BlobBytes{blob, std::move(*bytes)});
        } else {
          swarm_.send(from, msg::LackBlobs{{blob}});
        }
      });
}

void Seeder::on_segment_complete(const SegmentKey& key, Time now) {
  touch(key, now);
}

void Seeder::touch(const SegmentKey& key, Time now) {
  if (const auto it = by_key_.find(key); it != by_key_.end()) {
    it->second->used = now;
    by_use_.splice(by_use_.begin(), by_use_, it->second);
    return;
  }
  by_use_.push_front({key, now});
  by_key_[key] = by_use_.begin();
  if (by_use_.size() > kLoadedMax) unload(std::prev(by_use_.end()));
}

void Seeder::unload(std::list<Entry>::iterator it) {
  swarm_.unload(it->key);
  by_key_.erase(it->key);
  by_use_.erase(it);
}

void Seeder::on_blob_removed(const BlobId& blob) {
  for (auto it = by_use_.begin(); it != by_use_.end();) {
    const auto next = std::next(it);
    if (it->key.blob == blob) unload(it);
    it = next;
  }
}

void Seeder::drop_idle(Time now) {
  while (!by_use_.empty() && now - by_use_.back().used > kIdle) unload(std::prev(by_use_.end()));
}

}  // namespace shoal
