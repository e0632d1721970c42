// Whether the origin would bring what neighbours bring too slowly: the measure behind hybrid downloads.
//
// Measuring only: told in on_... calls with `now`, asked in advice(). No I/O, no clock. Owned by the loop
// thread.
//
// - Compared are the bytes that arrive from neighbours while this node fetches from them, and what the site
//   takes from the origin while this node takes part. Why the site: pieces that neighbours fetch from the
//   origin reach this node as well, so with seven others at it the line is worth seven times the own part.
// - Bytes of the origin cost the site's line, so it has to promise twice as much, for three seconds in a row,
//   and loses its turn again below 1.3 times.
// - A node whose own link is full gains nothing: when both sources together bring hardly more than neighbours
//   alone did, it stays with these.
// - A line nobody used lately is unknown. It is tried, by a few pieces, only when neighbours bring less than
//   40 Mbit/s, and once a minute at most. Why: a warm pull on a sound LAN must not touch the line at all.
#pragma once

#include "node/core/time.h"

#include <chrono>
#include <cstdint>

namespace shoal {

class SourceBalance {
 public:
  struct Limits {
    Duration period = std::chrono::seconds(1);  // neighbours' bytes are reported about once a second
    int slow_periods = 3;                       // a swarm needs a second or two to get going
    double start_factor = 2;                    // origin / neighbours
    double stop_factor = 1.3;
    double full_link = 0.8;                         // neighbours alone / both sources together
    double slow_lan_bytes_per_s = 5e6;              // 40 Mbit/s: a bad wireless link
    Duration known_for = std::chrono::minutes(10);  // a line's rate of this morning says little
    Duration attempt = std::chrono::seconds(4);     // a request, a new connection, and two periods
    Duration try_again = std::chrono::seconds(60);
  };
  enum class Advice : std::uint8_t {
    neighbours,  // leave everything to them
    attempt,     // fetch a little from the origin to learn its rate
    origin,      // move whole segments to the origin
  };

  explicit SourceBalance(Limits limits) : limits_(limits) {}

  void on_swarm_bytes(std::uint64_t bytes, Time now);
  void on_origin_bytes(std::uint64_t bytes, Time now);
  // At each turn. `loading`: segments are being fetched from neighbours. `fetching`: slices from the origin
  // run.
  void on_turn(bool loading, bool fetching, double neighbours_origin_bytes_per_s, Time now);

  [[nodiscard]] Advice advice(Time now) const;
  // An attempt was begun: it goes on until the origin's rate is known, and there is no other for a while.
  void on_attempt(Time now);

  [[nodiscard]] double swarm_bytes_per_s() const { return swarm_rate_; }
  [[nodiscard]] double origin_bytes_per_s() const { return origin_rate_; }  // 0: unknown

 private:
  void advance(Time now);
  void judge(double seconds, Time now);

  const Limits limits_;
  bool begun_ = false;
  Time period_began_;
  // Of this period.
  std::uint64_t swarm_bytes_ = 0;
  std::uint64_t origin_bytes_ = 0;
  bool loading_throughout_ = false;
  bool fetching_throughout_ = false;
  double neighbours_rate_ = 0;

  bool loading_ = false;
  bool fetching_ = false;
  double swarm_rate_ = 0;
  double alone_rate_ = 0;  // swarm_rate_ when it was last the only source
  double both_rate_ = 0;   // the most that both sources together brought
  double origin_rate_ = 0;
  Time origin_seen_;
  int slow_ = 0;  // periods in a row in which neighbours were too slow
  bool moving_ = false;
  Time attempt_until_;
  Time no_attempt_before_;
};

}  // namespace shoal
