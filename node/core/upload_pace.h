// How fast a node serves its neighbours: as fast as they ask while it is free, a share of what it can while
// it is not.
//
//   free capacity    1 ...... 0.9 ............................ 0.1
//   uploads          not limited   that share of its capacity
//
// Its capacity is the speed of its link, or, where the system does not know that, the most it was seen to
// serve. Who asks is still served at once; only the sum of all is limited. Why not by fewer slots: neighbours
// wait for pieces that only this node has, and a slow piece is better than none.
//
// Pure; owned by the loop thread.
#pragma once

#include "node/core/load.h"
#include "node/core/time.h"

#include <cstdint>

namespace shoal {

class UploadPace {
 public:
  // About once a second. `link_bytes_per_s`: 0 where it is not known.
  void on_own_state(const DeviceLoad& load, std::uint64_t link_bytes_per_s, Time now);
  // Bytes per second of all uploads together; 0: no limit.
  [[nodiscard]] std::uint64_t limit() const { return limit_; }

 private:
  std::uint64_t limit_ = 0;
  double most_served_ = 0;  // bytes per second
  Time last_;
};

}  // namespace shoal
