#include "node/config/config.h"
#include "node/daemon/daemon.h"
#include "node/daemon/log_setup.h"

#include <csignal>
#include <cstdio>
#include <exception>

#include <malloc.h>
#include <sys/resource.h>

namespace {

constexpr int kRebuildsMax = 3;
constexpr int kNewerState = 3;  // exit status: the state directory is a newer shoal's (docs/operations.md)

// A seed has a descriptor per open blob and a socket per neighbour and segment; the soft limit of 1024 is for
// programs that use select(2), which this one does not.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
}

// Blocks of 16 KiB to 1 MiB are allocated by one thread and freed by another. glibc would keep an arena per
// thread and grow each to its own high-water mark; two arenas hold the resident size down.
void bound_heap_arenas() {
  ::mallopt(M_ARENA_MAX, 2);
}

}  // namespace

int main(int argc, char** argv) try {
  auto loaded = shoal::load_config(argc, argv);
  if (!loaded) {
    std::fprintf(stderr, "shoald: %s\n", loaded.error().message.c_str());
    return 2;
  }
  if (loaded->print_and_exit) {
    std::fputs(loaded->print_and_exit->c_str(), stdout);
    return 0;
  }
  shoal::set_up_log(loaded->config.log_level, loaded->config.log_format);
  std::signal(SIGPIPE, SIG_IGN);
  raise_descriptor_limit();
  bound_heap_arenas();
  // A damaged shoal.db is rebuilt by starting over. A disk that damages it again and again needs a person.
  for (int rebuilds = 0;;) {
    shoal::Daemon daemon(loaded->config);
    const auto ran = daemon.run();
    if (ran) return 0;
    if (ran.error().code == shoal::Daemon::kStartOver) continue;
    std::fprintf(stderr, "shoald: %s\n", ran.error().message.c_str());
    if (ran.error().code == shoal::Code::corrupt && rebuilds++ < kRebuildsMax) continue;
    return ran.error().raw == shoal::StateDb::kNewerSchema && ran.error().code == shoal::Code::invalid
               ? kNewerState
               : 1;
  }
} catch (const std::exception& e) {
  std::fprintf(stderr, "shoald: %s\n", e.what());
  return 1;
}
