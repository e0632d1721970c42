#include "node/api/file_sender.h"

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <pthread.h>
#include <sys/sendfile.h>

namespace shoal {
namespace {

// One call. Small enough that a connection that was closed meanwhile ends soon.
constexpr std::uint64_t kBytesPerCall = 2U << 20U;

FileSender::Outcome send_some(int socket, const FileRegion& region) {
  FileSender::Outcome outcome;
  const int file = region.file ? region.file->descriptor() : -1;
  const std::uint64_t wanted = std::min(region.length, FileSender::kBytesPerJob);
  while (outcome.sent < wanted) {
    auto offset = static_cast<off_t>(region.offset + outcome.sent);
    const auto length = static_cast<std::size_t>(std::min(wanted - outcome.sent, kBytesPerCall));
    const ssize_t n = ::sendfile(socket, file, &offset, length);
    if (n > 0) {
      outcome.sent += static_cast<std::uint64_t>(n);
    } else if (n == 0) {  // the file ends before its size: somebody cut it
      outcome.error = EIO;
      return outcome;
    } else if (errno != EINTR) {
      outcome.error = errno;
      return outcome;
    }
  }
  return outcome;
}

}  // namespace

struct FileSender::Impl {
  struct Job {
    int socket;
    FileRegion region;
    std::function<void(Outcome)> done;
  };
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Job> jobs;   // guarded by mutex
  bool stopping = false;  // guarded by mutex
  std::vector<std::thread> threads;

  void run() {
    // sendfile(2) has no MSG_NOSIGNAL; blocked here, a SIGPIPE stays EPIPE whatever the program does with it.
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
    std::unique_lock lock(mutex);
    while (true) {
      changed.wait(lock, [this] { return stopping || !jobs.empty(); });
      if (stopping) return;
      Job job = std::move(jobs.front());
      jobs.pop_front();
      lock.unlock();
      const Outcome outcome = send_some(job.socket, job.region);
      job.region.file.reset();
      job.done(outcome);
      job = {};
      lock.lock();
    }
  }
};

FileSender::FileSender(int threads) : impl_(std::make_unique<Impl>()) {
  for (int i = 0; i < std::max(1, threads); ++i)
    impl_->threads.emplace_back([impl = impl_.get()] { impl->run(); });
}

FileSender::~FileSender() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->changed.notify_all();
  for (std::thread& thread : impl_->threads) thread.join();
}

void FileSender::send(int socket, FileRegion region, std::function<void(Outcome)> done) {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->jobs.push_back({socket, std::move(region), std::move(done)});
  }
  impl_->changed.notify_one();
}

}  // namespace shoal
