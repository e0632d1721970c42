#include "transport/swarm/segment_table.h"

#include "transport/swarm/torrents.h"

#include <utility>

namespace shoal {

void SegmentTable::load(SegmentSpec spec, std::vector<Endpoint> peers) {
  if (by_key_.contains(spec.key)) {
    connect(spec.key, std::move(peers));
    return;
  }
  auto params = segment_torrent(spec, authority_);
  if (!params) {
    actions_.segment_failed(spec.key, std::move(params).error());
    return;
  }
  const auto same = by_torrent_.find(params->ti->info_hashes().get_best());
  if (same == by_torrent_.end()) {
    start(std::move(spec), *std::move(params), std::move(peers));
    return;
  }
  if (spec.have != Geometry(spec.key.blob.size).all_pieces(spec.key.index)) {
    actions_.segment_failed(spec.key,
                            {Code::unavailable, "a segment with the same bytes is loaded already", 0});
    return;
  }
  const auto id = same->second;
  by_key_[spec.key] = id;
  const auto key = spec.key;
  loads_.at(id).sharers.emplace(key, std::move(spec));
  actions_.connect_load(id, std::move(peers));
}

void SegmentTable::start(SegmentSpec spec, lt::add_torrent_params params, std::vector<Endpoint> peers) {
  const auto id = ++last_load_;
  const auto torrent = params.ti->info_hashes().get_best();
  loads_[id] = {torrent, spec.key, {}};
  by_key_[spec.key] = id;
  by_torrent_[torrent] = id;
  actions_.start_load(id, std::move(params), spec, std::move(peers));
}

void SegmentTable::connect(const SegmentKey& key, std::vector<Endpoint> peers) {
  const auto found = by_key_.find(key);
  if (found != by_key_.end() && !peers.empty()) actions_.connect_load(found->second, std::move(peers));
}

void SegmentTable::unload(const SegmentKey& key) {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return;
  const auto id = found->second;
  by_key_.erase(found);
  auto& load = loads_.at(id);
  if (load.sharers.erase(key) != 0) return;

  auto sharers = std::move(load.sharers);
  by_torrent_.erase(load.torrent);
  loads_.erase(id);
  actions_.stop_load(id);
  // The torrent used the file of the one that leaves: the others go on with a file of theirs.
  for (auto& [sharer, spec] : sharers) by_key_.erase(sharer);
  for (auto& [sharer, spec] : sharers) this->load(std::move(spec), {});
}

void SegmentTable::on_failed(LoadId id, const Error& error) {
  const auto found = loads_.find(id);
  if (found == loads_.end()) return;
  const Load load = std::move(found->second);
  loads_.erase(found);
  by_torrent_.erase(load.torrent);
  by_key_.erase(load.first);
  for (const auto& [sharer, spec] : load.sharers) by_key_.erase(sharer);
  actions_.stop_load(id);
  actions_.segment_failed(load.first, error);
  for (const auto& [sharer, spec] : load.sharers) actions_.segment_failed(sharer, error);
}

std::optional<SegmentKey> SegmentTable::receiver(LoadId load) const {
  const auto found = loads_.find(load);
  if (found == loads_.end()) return std::nullopt;
  return found->second.first;
}

}  // namespace shoal
