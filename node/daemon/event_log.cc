#include "node/daemon/event_log.h"

#include <chrono>
#include <utility>

#include <spdlog/spdlog.h>

namespace shoal {
namespace {

// " pull=3 repo=org/name file=a.bin peer=1f2e3d4c" for what is known.
std::string context_of(const EventRow& row) {
  std::string context;
  if (row.pull) context += " pull=" + std::to_string(to_int(*row.pull));
  if (!row.repo.empty()) context += " repo=" + row.repo;
  if (!row.path.empty()) context += " file=" + row.path;
  if (!row.peer.empty()) context += " peer=" + row.peer.substr(0, 8);
  return context;
}

}  // namespace

WallTime wall_clock_now() {
  const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
  return {std::chrono::duration_cast<std::chrono::milliseconds>(since_epoch).count()};
}

void EventLog::add(EventRow row) {
  if (row.at.ms == 0) row.at = wall_clock_now();
  const auto level = row.level == EventLevel::error     ? spdlog::level::err
                     : row.level == EventLevel::warning ? spdlog::level::warn
                                                        : spdlog::level::info;
  spdlog::log(level, "{}:{} {}", row.kind, context_of(row), row.text);
  if (listener_) listener_(row);
  if (pending_.size() == kPendingMax) pending_.pop_front();
  pending_.push_back(std::move(row));
}

std::vector<EventRow> EventLog::take_pending() {
  std::vector<EventRow> rows(std::make_move_iterator(pending_.begin()),
                             std::make_move_iterator(pending_.end()));
  pending_.clear();
  return rows;
}

}  // namespace shoal
