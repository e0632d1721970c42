// One function for every element of a vector, on several threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <thread>
#include <vector>

namespace shoal::sim {

// Returns when `visit` has returned for all items. `visit` is called on several threads, the caller's among
// them, for each item once and in no order; what it changes belongs to its item. It must not throw: that ends
// the program.
//
// threads: at most so many, the caller's included; 0: one a core. They are started anew each time: 20 us
// each, where the large site's rounds take some 10 ms.
template <class T, class Visit>
void in_parallel(std::vector<T>& items, int threads, const Visit& visit) {
  constexpr std::size_t kBatch = 8;  // items taken at once: threads rarely meet, and end together
  std::atomic<std::size_t> next = 0;
  const auto work = [&]() noexcept {
    for (;;) {
      const std::size_t first = next.fetch_add(kBatch, std::memory_order_relaxed);
      if (first >= items.size()) return;
      const std::size_t last = std::min(first + kBatch, items.size());
      for (std::size_t i = first; i < last; ++i) visit(items[i]);
    }
  };
  const std::size_t batches = (items.size() + kBatch - 1) / kBatch;
  const std::size_t cores = std::max(std::thread::hardware_concurrency(), 1U);
  const std::size_t wanted = std::min(threads > 0 ? static_cast<std::size_t>(threads) : cores, batches);
  std::vector<std::jthread> others;
  for (std::size_t i = 1; i < wanted; ++i) others.emplace_back(work);
  work();
}

}  // namespace shoal::sim
