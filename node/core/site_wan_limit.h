// One cap on what a whole site takes from the origin, kept by all its nodes together without a coordinator.
//
// Arithmetic only: told in on_... calls, asked in const queries. No I/O, no clock. Owned by the loop thread.
//
// Every node tells in its heartbeat the cap it was configured with, what it takes from the origin and whether
// it would take more. From that each computes its own part:
//
//   cap 100, four nodes:   A takes 10, wants no more     -> keeps 10 (and some room to grow)
//                          B, C, D would take more       -> share the rest, 90, by their free capacity
//
// - The smallest cap that any living node was configured with holds for all. Why: a forgotten setting on one
//   machine must not break the promise made on another.
// - The cap of a node holds while that node lives. Why: there is nobody to ask when it is gone.
// - A node counts itself as one that would take more. Why: its part must let it grow at once; the others
//   hear of it within a heartbeat, so the sum is too large for at most that long.
// - Who cannot use its part leaves it to the others. Why: the line must not idle because one machine is slow.
#pragma once

#include "node/core/ids.h"
#include "node/core/messages.h"
#include "node/core/time.h"

#include <cstdint>
#include <map>

namespace shoal {

class SiteWanLimit {
 public:
  // `configured`: bytes per second for the whole site, 0: this node knows of no cap.
  explicit SiteWanLimit(std::uint64_t configured) : configured_(configured) {}

  void on_heartbeat(NodeId node, const msg::Heartbeat& heartbeat);
  void on_gone(NodeId node) { others_.erase(node); }
  // What this node does, about once a second. `active`: it fetches from the origin, or would if it might.
  void on_own_state(double free_capacity, std::uint64_t origin_bytes_per_s, bool active, Time now);

  // What this node was configured with, for its heartbeat.
  [[nodiscard]] std::uint64_t configured() const { return configured_; }
  // Whether this node would take more than it does, for its heartbeat.
  [[nodiscard]] bool hungry() const { return hungry_; }
  // The cap in force: the smallest known; 0: none.
  [[nodiscard]] std::uint64_t site_limit() const;
  // This node's part of it, bytes per second, at least kLeast; 0: no cap.
  [[nodiscard]] std::uint64_t own_limit() const;

  // A cap below this that a neighbour tells is ignored: nobody means it, and one machine could stop all
  // others.
  static constexpr std::uint64_t kPlausible = 125'000;  // 1 Mbit/s
  // A node whose part is less could not finish a request before it is taken for stalled.
  static constexpr std::uint64_t kLeast = 16 * kKiB;

 private:
  struct User {
    double weight = 1;  // free capacity
    std::uint64_t bytes_per_s = 0;
    bool hungry = false;
    std::uint64_t configured = 0;
  };

  const std::uint64_t configured_;
  std::map<NodeId, User> others_;
  double own_weight_ = 1;
  bool hungry_ = false;
  bool active_ = false;
  Time active_since_;
};

}  // namespace shoal
