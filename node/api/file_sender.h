// Sends bytes of files to sockets by sendfile(2), on threads of its own: the page cache may have to wait for
// the disk, and the server's thread must not.
//
// A socket and its file stay open until the job's callback: close a connection only after that.
#pragma once

#include "node/api/http_message.h"

#include <cstdint>
#include <functional>
#include <memory>

namespace shoal {

class FileSender {
 public:
  // What one job may send before another connection has its turn.
  static constexpr std::uint64_t kBytesPerJob = 8U << 20U;

  struct Outcome {
    std::uint64_t sent = 0;
    int error = 0;  // 0: all or a job's worth was sent; EAGAIN: the socket is full; other errno: it is over
  };

  explicit FileSender(int threads);
  // Waits for running jobs; those that have not begun are dropped without a call.
  ~FileSender();
  FileSender(const FileSender&) = delete;
  FileSender& operator=(const FileSender&) = delete;

  // REQUIRES: the socket does not block. `done` is called on one of the sender's threads. Queued jobs are
  // bounded by the server's connections: each has one at most.
  void send(int socket, FileRegion region, std::function<void(Outcome)> done);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace shoal
