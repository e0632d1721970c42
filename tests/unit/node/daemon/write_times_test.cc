// What a thread that takes in bytes spends its time on.
#include "node/daemon/write_times.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <pthread.h>
#include <sched.h>

namespace shoal {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLong{600};

class Sink final : public SliceSink {
 public:
  explicit Sink(std::function<void()> work) : work_(std::move(work)) {}
  Result<void> write(std::span<const std::byte>) override {
    work_();
    return {};
  }

 private:
  const std::function<void()> work_;
};

void compute(milliseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < end) {
  }
}

void wait_for_the_disk(milliseconds time) {
  std::mutex mutex;
  std::unique_lock lock(mutex);
  std::condition_variable never;
  never.wait_for(lock, time, [] { return false; });
}

// Shares of a thread that writes for kLong, each call doing `work`.
WriteTimes::Shares shares_of(const std::function<void()>& work) {
  const auto times = std::make_shared<WriteTimes>();
  const auto sink = timed(times, std::make_shared<Sink>(work));
  const auto start = std::chrono::steady_clock::now();
  (void)times->sample(start);
  std::thread([&] {
    while (std::chrono::steady_clock::now() - start < kLong) (void)sink->write({});
  }).join();
  return times->sample(std::chrono::steady_clock::now());
}

// sample() shows half of a first value.
constexpr int kHalf = 500;

TEST(WriteTimes, TellsHashingFromTheDisk) {
  const auto waits = shares_of([] { wait_for_the_disk(milliseconds(5)); });
  EXPECT_GT(waits.disk_wait_permille, kHalf / 2);
  EXPECT_LT(waits.hashing_permille, kHalf / 5);
}

TEST(WriteTimes, WaitingForTheProcessorIsNotTheDisk) {
  // Three threads take the processor that this one may run on.
  cpu_set_t before;
  ASSERT_EQ(sched_getaffinity(0, sizeof before, &before), 0);
  int cpu = 0;
  while (!CPU_ISSET(cpu, &before)) ++cpu;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
  std::atomic<bool> stop{false};
  std::vector<std::thread> others;
  for (int i = 0; i < 3; ++i) {
    others.emplace_back([&stop] {
      while (!stop) compute(milliseconds(1));
    });
  }
  const auto shares = shares_of([] { compute(milliseconds(10)); });
  stop = true;
  for (std::thread& other : others) other.join();
  (void)sched_setaffinity(0, sizeof before, &before);
  EXPECT_LT(shares.disk_wait_permille, kHalf / 4) << "of the time it was ready to run";
}

}  // namespace
}  // namespace shoal
