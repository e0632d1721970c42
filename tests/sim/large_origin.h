// The origin of a large site: requests that share one line, advanced in rounds.
#pragma once

#include "node/core/actions.h"
#include "node/core/geometry.h"
#include "tests/sim/options.h"
#include "tests/sim/random.h"

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

namespace shoal::sim {

class LargeSwarm;

class LargeOrigin {
 public:
  // What a request brought in a round.
  struct Event {
    int node = 0;
    FetchId id{};
    SegmentKey key;
    std::uint64_t bytes = 0;
    PieceMask pieces = 0;  // that became whole
    bool done = false;
  };

  LargeOrigin(const Options& options, std::uint64_t rng_seed);

  void fetch(int node, const act::FetchSlice& slice, const Geometry& geometry, double now_s);
  // It ends after its first `count` pieces and its connection is closed.
  void trim(FetchId id, int node, int count);
  // Bytes of it that are thrown away.
  double cancel(FetchId id, int node);
  double drop_node(int node);
  // `swarm`: whose nodes' links carry the bytes.
  const std::vector<Event>& advance(double seconds, LargeSwarm& swarm);
  // Requests that began before, with the pieces they still bring.
  template <typename Use>
  void each_older(double than_s, Use use) const {
    for (const auto& [id, fetch] : fetches_) {
      if (fetch.began_s < than_s) use(id.first, fetch.key, mask_of_run(fetch.next, fetch.end - fetch.next));
    }
  }

 private:
  struct Fetch {
    SegmentKey key;
    Geometry geometry;
    int first = 0;
    int next = 0;  // the piece that is arriving
    int end = 0;
    double arrived = 0;  // bytes of it
    double wait_s = 0;   // until the first byte
    double cap = 0;
    bool keep_connection = true;
    double began_s = 0;
    // Of this round.
    double demand = 0;
    double got = 0;
  };
  [[nodiscard]] static double left(const Fetch& fetch);

  const Options& options_;
  Random random_;
  std::map<std::pair<int, FetchId>, Fetch> fetches_;
  std::map<int, std::vector<double>> idle_;  // caps of a node's idle connections
  std::vector<Event> events_;
};

}  // namespace shoal::sim
