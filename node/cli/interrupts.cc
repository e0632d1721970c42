#include "node/cli/interrupts.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace shoal::cli {
namespace {

// Written by the signal handler; lock-free, so that it may.
std::atomic<bool> g_interrupted{false};
std::atomic<bool> g_resumed{false};
std::array<int, 2> g_pipe{-1, -1};  // a byte per signal ends wait()
static_assert(std::atomic<bool>::is_always_lock_free);

void on_signal(int signal) {
  const int saved = errno;
  if (signal == SIGINT) g_interrupted = true;
  if (signal == SIGCONT) g_resumed = true;
  const char byte = 0;
  // A full pipe already ends the wait.
  [[maybe_unused]] const auto written = write(g_pipe[1], &byte, 1);
  errno = saved;
}

void install(int signal, struct sigaction& old) {
  sigaction(signal, nullptr, &old);
  if (old.sa_handler == SIG_IGN) return;
  struct sigaction mine {};
  mine.sa_handler = on_signal;
  sigemptyset(&mine.sa_mask);
  sigaction(signal, &mine, nullptr);
}

}  // namespace

Interrupts::Interrupts() {
  g_interrupted = false;
  g_resumed = false;
  if (pipe2(g_pipe.data(), O_CLOEXEC | O_NONBLOCK) != 0) g_pipe = {-1, -1};
  install(SIGINT, old_int_);
  install(SIGWINCH, old_winch_);
  install(SIGCONT, old_cont_);
}

Interrupts::~Interrupts() {
  sigaction(SIGINT, &old_int_, nullptr);
  sigaction(SIGWINCH, &old_winch_, nullptr);
  sigaction(SIGCONT, &old_cont_, nullptr);
  for (int& end : g_pipe) {
    if (end >= 0) close(end);
    end = -1;
  }
}

bool Interrupts::interrupted() {
  return g_interrupted;
}

bool Interrupts::take_resumed() {
  return g_resumed.exchange(false);
}

void Interrupts::wait(std::chrono::milliseconds time) {
  if (g_interrupted) return;
  pollfd end{g_pipe[0], POLLIN, 0};
  if (poll(&end, g_pipe[0] >= 0 ? 1 : 0, static_cast<int>(time.count())) <= 0) return;
  std::array<char, 64> bytes{};
  while (read(g_pipe[0], bytes.data(), bytes.size()) > 0) {
  }
}

void Interrupts::die_interrupted() {
  struct sigaction normal {};
  normal.sa_handler = SIG_DFL;
  sigemptyset(&normal.sa_mask);
  sigaction(SIGINT, &normal, nullptr);
  raise(SIGINT);
  std::_Exit(130);
}

}  // namespace shoal::cli
