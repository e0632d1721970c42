// The swarm of a large site: who has which pieces of which loaded segment, and what moves in a round.
//
// Masks are kept by segment, then by node, since a round looks at all nodes of the few segments under way.
#pragma once

#include "node/core/geometry.h"
#include "tests/sim/random.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace shoal::sim {

class LargeSwarm {
 public:
  struct Link {
    double bytes_per_s = 0;
    double up_left = 0;  // bytes of this round; below 0: of the next one, too
    double down_left = 0;
  };
  struct Gain {
    int node = 0;
    int segment = 0;
    PieceMask pieces = 0;
  };

  LargeSwarm(int segments, std::vector<double> links_bytes_per_s);

  void load(int node, int segment, PieceMask have, PieceMask all, double piece_bytes);
  void unload(int node, int segment);
  [[nodiscard]] bool loaded(int node, int segment) const { return torrent(node, segment) != nullptr; }
  // Both have it loaded: they swap from the next round on.
  void connect(int node, int other, int segment);
  // A piece came from elsewhere.
  void add(int node, int segment, PieceMask pieces);
  void switch_off(int node);

  // Begins a round; links carry so many seconds' worth.
  void refill(double seconds);
  // Bytes that came from the origin take from the link as well.
  void charge_down(int node, double bytes) { links_[at(node)].down_left -= bytes; }
  [[nodiscard]] double down_left(int node) const { return links_[at(node)].down_left; }
  // What every node got in this round.
  const std::vector<Gain>& exchange(Random& random);
  [[nodiscard]] double moved_bytes() const { return moved_bytes_; }

 private:
  struct Torrent {
    PieceMask all = 0;
    PieceMask gained = 0;  // in this round
    double piece_bytes = 0;
    std::vector<std::uint16_t> peers;
  };
  static std::size_t at(int i) { return static_cast<std::size_t>(i); }
  [[nodiscard]] PieceMask& have(int node, int segment) {
    return have_[at(segment) * links_.size() + at(node)];
  }
  [[nodiscard]] Torrent* torrent(int node, int segment) const {
    return torrents_[at(node)][at(segment)].get();
  }
  void take(int node, int segment, Torrent& torrent, double down_floor, Random& random);

  std::vector<Link> links_;
  std::vector<PieceMask> have_;  // by segment, then node; 0 where nothing is loaded
  std::vector<std::vector<std::unique_ptr<Torrent>>> torrents_;
  std::vector<std::vector<int>> wanting_;  // by node: loaded and not complete, ascending
  std::vector<Gain> gains_;
  double moved_bytes_ = 0;
};

}  // namespace shoal::sim
