// Which segments are loaded, by key, by torrent and by load. Bookkeeping only, one thread; what is to be done
// goes to `Actions`.
//
// Segments with equal bytes make the same torrent, and libtorrent has each torrent once. So a segment that is
// complete here shares the torrent of an equal one that is loaded; one that is not complete is refused,
// because its bytes would have to be written to a second file.
#pragma once

#include "node/core/ports.h"
#include "transport/swarm/net_plane.h"

#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace shoal {

class SegmentTable {
 public:
  class Actions {
   public:
    virtual ~Actions() = default;
    virtual void start_load(LoadId load, lt::add_torrent_params params, const SegmentSpec& spec,
                            std::vector<Endpoint> peers) = 0;
    virtual void connect_load(LoadId load, std::vector<Endpoint> peers) = 0;
    virtual void stop_load(LoadId load) = 0;
    virtual void segment_failed(const SegmentKey& key, Error error) = 0;
  };

  // `authority`: of a closed cluster (torrents.h).
  explicit SegmentTable(Actions& actions, std::string authority = {})
      : actions_(actions), authority_(std::move(authority)) {}

  void load(SegmentSpec spec, std::vector<Endpoint> peers);
  void connect(const SegmentKey& key, std::vector<Endpoint> peers);
  void unload(const SegmentKey& key);
  // The load is over; every segment that used it is told.
  void on_failed(LoadId load, const Error& error);

  // The segment that receives the load's pieces. nullopt: it was unloaded meanwhile.
  [[nodiscard]] std::optional<SegmentKey> receiver(LoadId load) const;

 private:
  struct Load {
    lt::sha1_hash torrent;
    SegmentKey first;                           // the one whose file it reads and writes
    std::map<SegmentKey, SegmentSpec> sharers;  // complete ones with equal bytes
  };
  void start(SegmentSpec spec, lt::add_torrent_params params, std::vector<Endpoint> peers);

  Actions& actions_;
  const std::string authority_;
  LoadId last_load_ = 0;
  std::unordered_map<LoadId, Load> loads_;
  std::unordered_map<SegmentKey, LoadId> by_key_;
  std::map<lt::sha1_hash, LoadId> by_torrent_;
};

}  // namespace shoal
