#include "node/daemon/end_watch.h"

#include "node/daemon/loop.h"

namespace shoal {

bool EndWatch::wait(PullId id, Duration time, std::function<void()> then) {
  if (waiting_.size() >= kWaitingMax) return false;
  const std::uint64_t number = ++last_number_;
  waiting_.emplace(number, std::pair{id, std::move(then)});
  loop_.after(time, [this, number] { run(number); });
  return true;
}

void EndWatch::ended(PullId id) {
  for (const auto& [number, waiting] : waiting_) {
    if (waiting.first == id) loop_.post([this, number = number] { run(number); });
  }
}

void EndWatch::run(std::uint64_t number) {
  const auto it = waiting_.find(number);
  if (it == waiting_.end()) return;
  const auto then = std::move(it->second.second);
  waiting_.erase(it);
  then();
}

}  // namespace shoal
