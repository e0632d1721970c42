// How much of their time the threads that take in bytes spend hashing, and waiting for the disk.
//
// A thread that writes uses the processor while it hashes and copies, and waits while the disk does not take
// more. So the processor time of a call is hashing, and the rest of it is the disk; but for the time that the
// thread was ready to run and other programs had the processor (schedstat), which counts as neither.
//
// Threads: the wrapped sinks and files as theirs; sample() by the loop.
#pragma once

#include "node/core/ports.h"
#include "node/core/time.h"

#include <atomic>
#include <cstdint>
#include <memory>

namespace shoal {

class WriteTimes {
 public:
  struct Shares {
    std::uint16_t disk_wait_permille = 0;
    std::uint16_t hashing_permille = 0;
  };
  // Of the time since the last call, for the kind of writer that was busiest. Call about once a second.
  [[nodiscard]] Shares sample(Time now);

  // One kind of writer: the origin's single thread, or one of the swarm's.
  struct Meter {
    std::atomic<std::uint64_t> wall_ns{0};
    std::atomic<std::uint64_t> cpu_ns{0};
    std::atomic<std::uint64_t> delay_ns{0};  // ready to run and not running; also between calls
    std::uint64_t last_wall_ns = 0;          // loop thread
    std::uint64_t last_cpu_ns = 0;
    std::uint64_t last_delay_ns = 0;
  };
  Meter origin;
  Meter swarm;

 private:
  static constexpr unsigned kSwarmThreads = 2;  // disk threads of libtorrent, see docs/architecture.md
  Time last_;
  Shares shown_;
};

[[nodiscard]] std::shared_ptr<SliceSink> timed(std::shared_ptr<WriteTimes> times,
                                               std::shared_ptr<SliceSink> sink);
[[nodiscard]] std::shared_ptr<BlobFile> timed(std::shared_ptr<WriteTimes> times,
                                              std::shared_ptr<BlobFile> file);

}  // namespace shoal
