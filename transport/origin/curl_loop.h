// One libcurl multi handle, the thread that drives it, its timers, and tasks posted to it.
//
// It knows nothing of the Hub. Everything but post() and the start and stop belongs to its own thread.
#pragma once

#include "node/core/result.h"
#include "node/core/time.h"

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace shoal {

class Exchange;

class CurlLoop {
 public:
  using Task = std::function<void()>;
  using TimerId = std::pair<Time, std::uint64_t>;  // {} is none

  CurlLoop() = default;
  ~CurlLoop();  // stops
  CurlLoop(const CurlLoop&) = delete;
  CurlLoop& operator=(const CurlLoop&) = delete;

  // Errors: io.
  Result<void> start();
  // Runs the tasks posted so far, then `last`, then ends and joins the thread. Not from the loop's own
  // thread.
  void stop(Task last);

  // From any thread, in order. The queue is bounded by the callers: HubClient counts what is under way.
  void post(Task task);

  // Below: the loop's thread only, except before start().

  // How many idle connections are kept for reuse.
  void keep_connections(int count);

  TimerId at(Time when, Task task);
  void cancel(TimerId& timer);  // and forgets it
  // Runs the task after libcurl has returned; for what may not be done in one of its callbacks.
  void defer(Task task);

  // Total time the thread was held up by its own tasks and callbacks (a slow disk in a sink), beyond turns of
  // `kQuickTurn`. While that lasts nothing is read from any connection, which must not be held against them.
  [[nodiscard]] Duration held_up() const { return held_up_; }

  // For Exchange.
  [[nodiscard]] bool add(void* easy);
  void remove(void* easy);
  [[nodiscard]] void* take_easy();  // a reset easy handle; null when out of memory
  void give_back_easy(void* easy);

 private:
  static constexpr std::chrono::milliseconds kQuickTurn{50};

  void run();
  void run_tasks();
  void run_timers();
  void finish_transfers();
  [[nodiscard]] int poll_timeout_ms();

  void* multi_ = nullptr;  // CURLM; constant after start()
  std::thread thread_;     // owner's thread only

  std::mutex mutex_;
  std::vector<Task> posted_;  // guarded by mutex_
  bool stopping_ = false;     // guarded by mutex_

  // The loop's thread only.
  std::vector<Task> deferred_;
  std::map<TimerId, Task> timers_;
  std::uint64_t next_timer_ = 1;
  std::vector<void*> idle_easy_;
  Duration held_up_{};
};

}  // namespace shoal
