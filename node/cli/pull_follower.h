// How a running pull is told to whoever waits for it: a live display, plain lines for logs, or JSON lines.
#pragma once

#include "node/cli/live_display.h"
#include "node/cli/progress.h"

#include <chrono>
#include <cstdint>
#include <memory>
#include <set>
#include <string>

#include <nlohmann/json_fwd.hpp>

namespace shoal::cli {

class PullReporter {
 public:
  using Clock = std::chrono::steady_clock;

  virtual ~PullReporter() = default;
  virtual void started(std::int64_t id, const std::string& repo) = 0;
  // `body` is the API's answer that `pull` was read from.
  virtual void progress(const PullView& pull, const nlohmann::ordered_json& body, Clock::time_point now) = 0;
  // The daemon does not answer for the moment.
  virtual void lost(const std::string& text) = 0;
  // The pull ended, or the reader goes away: nothing live may stay behind.
  virtual void finish() {}
  // How often it wants to be told of progress; the end is told at once.
  [[nodiscard]] virtual std::chrono::milliseconds interval() const { return std::chrono::milliseconds(500); }
};

[[nodiscard]] std::unique_ptr<PullReporter> make_live_reporter(int fd);
[[nodiscard]] std::unique_ptr<PullReporter> make_plain_reporter(int fd);
[[nodiscard]] std::unique_ptr<PullReporter> make_json_reporter();

// Files that became held since it was last asked, each once. Those of the first answer that came whole from
// this disk are left out: they were there before the pull.
class FinishedFiles {
 public:
  [[nodiscard]] std::vector<FileView> take_new(const PullView& pull);

 private:
  bool first_ = true;
  std::set<std::string> known_;
};

}  // namespace shoal::cli
