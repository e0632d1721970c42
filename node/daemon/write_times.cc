#include "node/daemon/write_times.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <ctime>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace shoal {
namespace {

std::uint64_t clock_ns(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(time.tv_nsec);
}

// How long the calling thread was ready to run and did not. Looked at some times a second: a read of procfs
// at each write would cost a hundredth of the thread.
class RunDelay {
 public:
  RunDelay() : fd_(::open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC)), last_ns_(read_ns()) {}
  ~RunDelay() {
    if (fd_ >= 0) ::close(fd_);
  }
  RunDelay(const RunDelay&) = delete;
  RunDelay& operator=(const RunDelay&) = delete;

  // Since it was last taken; 0: looked at a moment ago, or the kernel does not tell.
  std::uint64_t take(std::uint64_t now_ns) {
    if (fd_ < 0 || now_ns - looked_ns_ < kEveryNs) return 0;
    looked_ns_ = now_ns;
    const std::uint64_t before = std::exchange(last_ns_, read_ns());
    return last_ns_ - std::min(before, last_ns_);
  }

 private:
  static constexpr std::uint64_t kEveryNs = 50'000'000;

  // The second number: nanoseconds spent waiting on a run queue.
  [[nodiscard]] std::uint64_t read_ns() const {
    std::array<char, 96> text{};
    if (fd_ < 0 || ::pread(fd_, text.data(), text.size() - 1, 0) <= 0) return 0;
    char* end = nullptr;
    std::strtoull(text.data(), &end, 10);
    return std::strtoull(end, nullptr, 10);
  }

  const int fd_;
  std::uint64_t last_ns_;
  std::uint64_t looked_ns_ = 0;
};

// Adds what passes between construction and destruction.
class Stopwatch {
 public:
  explicit Stopwatch(WriteTimes::Meter& meter)
      : meter_(meter), wall_(clock_ns(CLOCK_MONOTONIC)), cpu_(clock_ns(CLOCK_THREAD_CPUTIME_ID)) {}
  ~Stopwatch() {
    thread_local RunDelay delay;
    const std::uint64_t now = clock_ns(CLOCK_MONOTONIC);
    meter_.wall_ns += now - wall_;
    meter_.cpu_ns += clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_;
    meter_.delay_ns += delay.take(now);
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
    const std::uint64_t delay = std::exchange(meter.last_delay_ns, meter.delay_ns.load());
    const std::uint64_t busy = meter.last_wall_ns - wall;
    const std::uint64_t hashing = std::min(busy, meter.last_cpu_ns - cpu);
    const std::uint64_t waited = busy - hashing - std::min(busy - hashing, meter.last_delay_ns - delay);
    const auto permille = [&](std::uint64_t ns) {
      return static_cast<std::uint16_t>(std::min<std::uint64_t>(1000, ns * 1000 / (passed_ns * threads)));
    };
    latest.disk_wait_permille = std::max(latest.disk_wait_permille, permille(waited));
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
