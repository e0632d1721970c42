// `shoal status --watch` on a terminal: the whole screen, every second, until q or Ctrl-C.
#include "node/cli/commands.h"
#include "node/cli/interrupts.h"
#include "node/cli/json_read.h"
#include "node/cli/watch_view.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include <poll.h>
#include <termios.h>
#include <unistd.h>

namespace shoal::cli {
namespace {

constexpr std::chrono::milliseconds kEvery{1000};
constexpr std::size_t kPullsWithPieces = 20;  // more than fit on a screen

// The terminal's second screen, keys without Enter and without echo; put back by the destructor.
class FullScreen {
 public:
  FullScreen() : keys_(isatty(STDIN_FILENO) != 0 && tcgetattr(STDIN_FILENO, &before_) == 0) { enter(); }
  ~FullScreen() { leave(); }
  FullScreen(const FullScreen&) = delete;
  FullScreen& operator=(const FullScreen&) = delete;

  // Also after the program was stopped and goes on: the shell has put its own modes.
  void enter() const {
    if (keys_) {
      termios raw = before_;
      raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
      tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
    write("\x1b[?1049h\x1b[?25l");
  }
  void leave() const {
    write("\x1b[?25h\x1b[?1049l");
    if (keys_) tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  }
  static void write(const std::string& bytes) {
    std::fwrite(bytes.data(), 1, bytes.size(), stdout);
    std::fflush(stdout);
  }

  // Waits, at most as long as one look lasts; true when the person wants to leave.
  [[nodiscard]] bool wait_for_quit(TerminalSize shown) const {
    const auto until = std::chrono::steady_clock::now() + kEvery;
    while (!Interrupts::interrupted()) {
      const auto left =
          std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
      if (left.count() <= 0) return false;
      pollfd input{keys_ ? STDIN_FILENO : -1, POLLIN, 0};
      // A signal (resize, Ctrl-C, return from the background) ends the wait.
      if (poll(&input, 1, static_cast<int>(left.count())) < 0) {
        const TerminalSize size = terminal_size(STDOUT_FILENO);
        if (size.columns != shown.columns || size.rows != shown.rows) return false;
        continue;
      }
      if ((input.revents & (POLLIN | POLLHUP)) == 0) continue;
      char key = 0;
      if (read(STDIN_FILENO, &key, 1) != 1 || key == 'q' || key == 'Q') return true;
    }
    return true;
  }

 private:
  termios before_{};
  const bool keys_;
};

}  // namespace

ExitStatus run_watch(Session& session) {
  const ApiAnswer node = session.api.get("/shoal/v1/node");
  if (!node.ok()) return report(session, node);
  const bool colour = std::getenv("NO_COLOR") == nullptr;
  ApiAnswer trouble;
  bool failed = false;
  {
    const Interrupts interrupts;
    const FullScreen screen;
    while (!Interrupts::interrupted()) {
      WatchFacts facts;
      facts.node = node.body;
      ApiAnswer progress = session.api.get("/shoal/v1/progress");
      if (Interrupts::interrupted()) break;
      if (!progress.ok()) {
        trouble = std::move(progress);
        failed = true;
        break;
      }
      facts.progress = std::move(progress.body);
      for (const Json& pull : rows_of(facts.progress, "pulls")) {
        if (facts.pieces.size() >= kPullsWithPieces) break;
        const auto id = number_of(pull, "id");
        ApiAnswer pieces = session.api.get("/shoal/v1/pulls/" + std::to_string(id) + "/pieces");
        if (pieces.ok()) facts.pieces.emplace(id, std::move(pieces.body));
      }
      const ApiAnswer events = session.api.get("/shoal/v1/events?limit=50");
      if (events.ok()) facts.events = rows_of(events.body, "events");
      if (Interrupts::take_resumed()) screen.enter();
      const TerminalSize size = terminal_size(STDOUT_FILENO);
      FullScreen::write(paint(watch_screen(facts, size), size, colour));
      if (screen.wait_for_quit(size)) break;
    }
  }
  if (failed) return report(session, trouble);
  if (Interrupts::interrupted()) Interrupts::die_interrupted();
  return exit_done;
}

}  // namespace shoal::cli
