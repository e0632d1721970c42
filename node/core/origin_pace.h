// How many origin connections this node keeps at once, and how fast one of them is.
//
// Measuring only: told in on_... calls with `now`, asked in const queries. No I/O, no clock. Owned by the
// loop thread.
//
// The number grows while each connection stays nearly as fast as the best seen, because then the line still
// has room; it shrinks when connections have become far slower, because then they only take from each other
// (and from the neighbours, who share the line). Between the two it stays.
//
//   rate of one connection / best seen     0 ...... 0.35 ............ 0.75 ...... 1
//   number of connections                  shrinks        stays           grows
//
// Why the rate per connection and not the sum: on a shared line a node that adds connections always gets
// more, at its neighbours' cost, so the sum never says stop.
#pragma once

#include "node/core/time.h"

#include <chrono>
#include <cstdint>

namespace shoal {

class OriginPace {
 public:
  struct Limits {
    int start = 4;  // fills most lines within the first second, and is little for a site of many nodes
    int least = 2;  // one slow connection must not be all a node has
    int most = 16;  // beyond this CDNs begin to refuse; the Hub's own tools use 8
    Duration period = std::chrono::seconds(1);         // shorter periods measure bursts
    Duration refused_rest = std::chrono::seconds(10);  // no growth for so long after HTTP 429
  };

  explicit OriginPace(Limits limits) : limits_(limits), target_(limits.start) {}

  // So many nodes share the line, this one included: together they begin with about twice `start`.
  void on_sharers(int nodes);
  // The number of requests under way changed.
  void on_active(int requests, Time now);
  void on_bytes(std::uint64_t bytes, Time now);
  // The origin said 429 or 503: too many.
  void on_refused(Time now);

  [[nodiscard]] int connections() const { return target_; }
  // Mean bytes per second of one connection, its request latency included; 0: not measured yet.
  [[nodiscard]] double bytes_per_s() const { return rate_; }
  // The same of all connections of this node.
  [[nodiscard]] double node_bytes_per_s() const { return sum_; }

 private:
  void advance(Time now);
  void judge(Time now);

  const Limits limits_;
  int target_;
  int active_ = 0;
  bool begun_ = false;
  Time at_;  // up to when connection_s_ is counted
  Time period_began_;
  double connection_s_ = 0;  // connections times seconds in this period
  double full_s_ = 0;        // seconds of this period with at least `target_` connections
  std::uint64_t bytes_ = 0;  // in this period
  double rate_ = 0;
  double sum_ = 0;
  double best_ = 0;
  Time no_growth_until_;
};

}  // namespace shoal
