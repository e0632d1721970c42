// What an operator should hear: one line in the log, one row in `events`, one message to API listeners.
//
// Owned by the loop thread. Rows are gathered and written with the next status snapshot.
#pragma once

#include "node/core/status.h"

#include <deque>
#include <functional>
#include <string>
#include <vector>

namespace shoal {

[[nodiscard]] WallTime wall_clock_now();

class EventLog {
 public:
  // Rows waiting to be written; more than this within a second is a peer shouting, and the oldest go.
  static constexpr std::size_t kPendingMax = 1024;

  using Listener = std::function<void(const EventRow&)>;
  void set_listener(Listener listener) { listener_ = std::move(listener); }

  void add(EventRow row);
  void info(std::string kind, std::string text) {
    add({{}, EventLevel::info, std::move(kind), {}, {}, {}, {}, std::move(text)});
  }
  void warn(std::string kind, std::string text) {
    add({{}, EventLevel::warning, std::move(kind), {}, {}, {}, {}, std::move(text)});
  }

  [[nodiscard]] std::vector<EventRow> take_pending();

 private:
  Listener listener_;
  std::deque<EventRow> pending_;
};

}  // namespace shoal
