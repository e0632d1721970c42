// The loop thread and its helpers.
//
// One thread owns all node state and never blocks. Work that may block (disk, SQLite) goes to the worker
// threads as a closure that owns its values; its result is posted back. Nothing else is shared.
#pragma once

#include "node/core/time.h"

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>

namespace shoal {

class Loop {
 public:
  // Threads for blocking work: enough that one slow fsync does not hold back a hash look-up. The recorder is
  // one more thread of its own: what is written to the database keeps its order.
  static constexpr int kWorkers = 4;

  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Runs `task` on the loop; from any thread. Tasks posted by one thread run in order.
  void post(std::function<void()> task);
  // Runs `task` on the loop after `delay`, unless the loop stopped before. From the loop only.
  void after(Duration delay, std::function<void()> task);

  // Runs `work` on a worker, then `done(result)` on the loop. From the loop only.
  template <typename Work, typename Done>
  void run(Work work, Done done) {
    on_worker(wrap(std::move(work), std::move(done)));
  }
  // The same on the recorder thread, in order.
  template <typename Work, typename Done>
  void record(Work work, Done done) {
    on_recorder(wrap(std::move(work), std::move(done)));
  }

  // Calls `turn` on the loop once after the tasks that are queued now, however often it is asked for.
  void set_turn(std::function<void()> turn) { turn_ = std::move(turn); }
  void request_turn();
  // Asks for a turn at this time; a later call replaces an earlier one.
  void request_turn_at(Time at);

  // Calls back on the loop for SIGTERM and SIGINT.
  void on_signal(std::function<void(int)> handler);

  // Runs until stop(). The thread that calls it is the loop thread.
  void run_until_stopped();
  void stop();
  // Waits for blocking work in flight; its results still reach the loop while it runs. Call after
  // run_until_stopped.
  void join_workers();

  [[nodiscard]] bool on_loop() const;

 private:
  template <typename Work, typename Done>
  std::function<void()> wrap(Work work, Done done) {
    // std::function wants copyable closures; results and captures may be move-only, so they travel by
    // shared_ptr.
    auto shared_work = std::make_shared<Work>(std::move(work));
    auto shared_done = std::make_shared<Done>(std::move(done));
    return [this, shared_work, shared_done] {
      using R = std::invoke_result_t<Work&>;
      if constexpr (std::is_void_v<R>) {
        (*shared_work)();
        post([shared_work, shared_done] { (*shared_done)(); });
      } else {
        auto result = std::make_shared<R>((*shared_work)());
        post([shared_work, shared_done, result] { (*shared_done)(std::move(*result)); });
      }
    };
  }
  void on_worker(std::function<void()> task);
  void on_recorder(std::function<void()> task);

  struct Impl;
  std::unique_ptr<Impl> impl_;
  std::function<void()> turn_;
  bool turn_requested_ = false;
};

}  // namespace shoal
