// How many origin connections this node keeps at once, and how fast one of them is.
//
// Measuring only: told in on_... calls with `now`, asked in const queries. No I/O, no clock. Owned by the
// loop thread.
//
// The number is tried: a few connections more for some seconds, and kept if what the whole site takes from
// the origin rose with it. If it did not, the line is full and more connections only take from each other:
// back, and a rest. All nodes that share a line try at about the same time and see the same sum.
//
//   begin ── 2 s, with others 5 s ──► half as many more ── as long ──► the site's sum rose: kept, tries on
//                                     ▲                                it did not: back ── rest 30 s ──┐
//                                     └────────────────────────────────────────────────────────────────┘
//
// Why the site's sum and not the node's own: a node that adds connections to a full line always gets more, at
// its neighbours' cost. Why few: on a full line many connections starve now and then, and what waits for a
// starved one's piece waits with it (16 nodes with 3 to 4 connections each on 25 Mbit/s: pieces took up to
// 30 s, and the origin sent 1.40 of the model).
//
// It shrinks when connections have become far slower than the best seen: others came to the line.
#pragma once

#include "node/core/time.h"

#include <chrono>
#include <cstdint>
#include <optional>

namespace shoal {

class OriginPace {
 public:
  struct Limits {
    int start = 4;  // fills most lines within the first second
    int site = 8;   // of all nodes together at the beginning, at least one each: what the Hub's own tools use
    int least = 2;  // one slow connection must not be all a node has, unless there are `site` nodes
    int most = 16;  // beyond this CDNs begin to refuse; the Hub's own tools use 8
    Duration period = std::chrono::seconds(1);         // shorter periods measure bursts
    Duration refused_rest = std::chrono::seconds(10);  // no growth for so long after HTTP 429
    Duration full_rest = std::chrono::seconds(30);     // and after a try that brought nothing
    // From the beginning to the first try, and from a try until it is judged. Others' rates are means of some
    // seconds, told once a second.
    Duration try_alone = std::chrono::seconds(2);
    Duration try_shared = std::chrono::seconds(5);
  };

  explicit OriginPace(Limits limits) : limits_(limits), least_(limits.least), target_(limits.start) {}

  // So many nodes share the line, this one included.
  void on_sharers(int nodes);
  // What the others take from the origin, bytes per second.
  void on_others(double bytes_per_s) { others_ = bytes_per_s; }
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
  [[nodiscard]] Duration try_time() const;
  void try_more(Time now);
  void judge_try(Time now);

  struct Try {
    int before = 0;          // connections
    double site_before = 0;  // bytes per second
    Time since;
  };

  const Limits limits_;
  int least_;
  int target_;
  int sharers_ = 1;
  std::optional<Try> try_;
  double others_ = 0;
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
