// Clients that wait for the end of a pull: the API's long poll (`wait_ms`).
//
// Owned by the loop thread.
#pragma once

#include "node/core/ids.h"
#include "node/core/time.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <utility>

namespace shoal {

class Loop;

class EndWatch {
 public:
  // Half of the API's connections (HttpServerOptions::connections_max). A client that left keeps its place
  // until its time is over.
  static constexpr std::size_t kWaitingMax = 256;

  explicit EndWatch(Loop& loop) : loop_(loop) {}

  // Runs `then` once, on the loop: after ended(id), or when `time` is over. False: too many wait already, and
  // nothing will be run.
  [[nodiscard]] bool wait(PullId id, Duration time, std::function<void()> then);
  // From the middle of a change: those who wait are run after it.
  void ended(PullId id);

 private:
  void run(std::uint64_t number);

  Loop& loop_;
  std::uint64_t last_number_ = 0;
  std::map<std::uint64_t, std::pair<PullId, std::function<void()>>> waiting_;
};

}  // namespace shoal
