#include "node/daemon/write_times.h"

#include <algorithm>
#include <ctime>
#include <utility>

namespace shoal {
namespace {

std::uint64_t clock_ns(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(time.tv_nsec);
}

// Adds what passes between construction and destruction.
class Stopwatch {
 public:
  explicit Stopwatch(WriteTimes::Meter& meter)
      : meter_(meter), wall_(clock_ns(CLOCK_MONOTONIC)), cpu_(clock_ns(CLOCK_THREAD_CPUTIME_ID)) {}
  ~Stopwatch() {
    meter_.wall_ns += clock_ns(CLOCK_MONOTONIC) - wall_;
    meter_.cpu_ns += clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_;
  }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

 private:
  WriteTimes::Meter& meter_;
  const std::uint64_t wall_;
  const std::uint64_t cpu_;
};

class TimedSink final : public SliceSink {
 public:
  TimedSink(std::shared_ptr<WriteTimes> times, std::shared_ptr<SliceSink> sink)
      : times_(std::move(times)), sink_(std::move(sink)) {}
  Result<void> write(std::span<const std::byte> bytes) override {
    const Stopwatch watch(times_->origin);
    return sink_->write(bytes);
  }

 private:
  const std::shared_ptr<WriteTimes> times_;
  const std::shared_ptr<SliceSink> sink_;
};

class TimedFile final : public BlobFile {
 public:
  TimedFile(std::shared_ptr<WriteTimes> times, std::shared_ptr<BlobFile> file)
      : times_(std::move(times)), file_(std::move(file)) {}
  const BlobId& id() const override { return file_->id(); }
  Result<void> read_at(std::uint64_t offset, std::span<std::byte> out) override {
    return file_->read_at(offset, out);
  }
  Result<void> write_at(std::uint64_t offset, std::span<const std::span<const std::byte>> buffers) override {
    const Stopwatch watch(times_->swarm);
    return file_->write_at(offset, buffers);
  }

 private:
  const std::shared_ptr<WriteTimes> times_;
  const std::shared_ptr<BlobFile> file_;
};

}  // namespace

WriteTimes::Shares WriteTimes::sample(Time now) {
  const auto passed_ns =
      static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(now - last_).count());
  last_ = now;
  Shares latest;
  const auto look = [&](Meter& meter, unsigned threads) {
    const std::uint64_t wall = std::exchange(meter.last_wall_ns, meter.wall_ns.load());
    const std::uint64_t cpu = std::exchange(meter.last_cpu_ns, meter.cpu_ns.load());
    const std::uint64_t busy = meter.last_wall_ns - wall;
    const std::uint64_t hashing = std::min(busy, meter.last_cpu_ns - cpu);
    const auto permille = [&](std::uint64_t ns) {
      return static_cast<std::uint16_t>(std::min<std::uint64_t>(1000, ns * 1000 / (passed_ns * threads)));
    };
    latest.disk_wait_permille = std::max(latest.disk_wait_permille, permille(busy - hashing));
    latest.hashing_permille = std::max(latest.hashing_permille, permille(hashing));
  };
  if (passed_ns == 0) return shown_;
  look(origin, 1);
  look(swarm, kSwarmThreads);
  // One slow flush is no bottleneck: half of the old value stays.
  shown_.disk_wait_permille =
      static_cast<std::uint16_t>((shown_.disk_wait_permille + latest.disk_wait_permille) / 2);
  shown_.hashing_permille =
      static_cast<std::uint16_t>((shown_.hashing_permille + latest.hashing_permille) / 2);
  return shown_;
}

std::shared_ptr<SliceSink> timed(std::shared_ptr<WriteTimes> times, std::shared_ptr<SliceSink> sink) {
  return std::make_shared<TimedSink>(std::move(times), std::move(sink));
}

std::shared_ptr<BlobFile> timed(std::shared_ptr<WriteTimes> times, std::shared_ptr<BlobFile> file) {
  return std::make_shared<TimedFile>(std::move(times), std::move(file));
}

}  // namespace shoal
