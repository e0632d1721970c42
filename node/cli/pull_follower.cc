#include "node/cli/pull_follower.h"

#include "node/cli/commands.h"
#include "node/cli/interrupts.h"
#include "node/cli/text.h"

#include <cstdio>
#include <optional>
#include <utility>

#include <unistd.h>

namespace shoal::cli {
namespace {

constexpr std::chrono::seconds kPlainInterval{5};

class LiveReporter : public PullReporter {
 public:
  explicit LiveReporter(int fd) : fd_(fd), display_(fd) {}

  void started(std::int64_t, const std::string&) override {}

  void progress(const PullView& pull, const nlohmann::ordered_json&, Clock::time_point) override {
    if (Interrupts::take_resumed()) display_.forget();
    const TerminalSize size = terminal_size(fd_);
    if (!pull.ended()) display_.show(live_lines(pull, size.columns, size.rows));
  }

  void lost(const std::string& text) override {
    const TerminalSize size = terminal_size(fd_);
    display_.show({clip_end(printable_text(text), size.columns > 1 ? size.columns - 1 : 1)});
  }

  void finish() override { display_.clear(); }

 private:
  int fd_;
  LiveDisplay display_;
};

class PlainReporter : public PullReporter {
 public:
  explicit PlainReporter(int fd) : fd_(fd) {}

  void started(std::int64_t id, const std::string& repo) override {
    write_line("pull " + std::to_string(id) + " of " + repo + " started");
  }

  void progress(const PullView& pull, const nlohmann::ordered_json&, Clock::time_point now) override {
    for (const FileView& file : finished_.take_new(pull)) write_line(file_done_line(file));
    if (pull.ended()) return;
    if (last_ && now - *last_ < kPlainInterval) return;
    // The first line comes when there is something to say.
    if (!last_ && pull.state == "resolving" && pull.waiting_for.empty()) return;
    last_ = now;
    write_line(plain_line(pull));
  }

  void lost(const std::string& text) override {
    if (text != last_lost_) write_line(text);
    last_lost_ = text;
  }

 private:
  void write_line(const std::string& text) const {
    const std::string line = printable_text(text) + "\n";
    [[maybe_unused]] const auto written = write(fd_, line.data(), line.size());
  }

  int fd_;
  FinishedFiles finished_;
  std::optional<Clock::time_point> last_;
  std::string last_lost_;
};

class JsonReporter : public PullReporter {
 public:
  void started(std::int64_t id, const std::string& repo) override {
    print_json({{"event", "started"}, {"id", id}, {"repo", repo}});
  }

  void progress(const PullView& pull, const nlohmann::ordered_json& body, Clock::time_point now) override {
    for (const FileView& file : finished_.take_new(pull)) {
      print_json({{"event", "file_done"},
                  {"path", file.path},
                  {"size", file.size},
                  {"bytes_lan", file.bytes_lan},
                  {"bytes_origin", file.bytes_origin},
                  {"bytes_local", file.bytes_local}});
    }
    if (pull.ended() || (last_ && now - *last_ < std::chrono::seconds(1))) return;
    last_ = now;
    Json event{{"event", "progress"}};
    for (const auto& [name, value] : body.items()) {
      if (name != "status" && name != "truncated") event[name] = value;
    }
    print_json(event);
  }

  void lost(const std::string& text) override {
    if (text != last_lost_) print_json({{"event", "waiting"}, {"text", text}});
    last_lost_ = text;
  }

 private:
  FinishedFiles finished_;
  std::optional<Clock::time_point> last_;
  std::string last_lost_;
};

}  // namespace

std::vector<FileView> FinishedFiles::take_new(const PullView& pull) {
  std::vector<FileView> out;
  if (pull.file_rows.empty()) return out;
  for (const FileView& file : pull.file_rows) {
    if (file.state != "held") continue;
    const bool is_new = known_.insert(file.path).second;
    // A file that was here before the pull came from this disk, all of it.
    const bool was_here = first_ && file.bytes_local == file.size;
    if (is_new && !was_here) out.push_back(file);
  }
  first_ = false;
  return out;
}

std::unique_ptr<PullReporter> make_live_reporter(int fd) {
  return std::make_unique<LiveReporter>(fd);
}
std::unique_ptr<PullReporter> make_plain_reporter(int fd) {
  return std::make_unique<PlainReporter>(fd);
}
std::unique_ptr<PullReporter> make_json_reporter() {
  return std::make_unique<JsonReporter>();
}

}  // namespace shoal::cli
