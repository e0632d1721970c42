// The real file system, with a clock of how long this node waits for its disks.
//
// What is measured is the time in which at least one thread was inside a call that may wait for a disk: the
// same thing that the kernel's pressure figures count for all programs, so that the one can be taken from the
// other (load_meter.h). Time in which two threads wait counts once.
//
// Threads: any.
#pragma once

#include "storage/file_system.h"

#include <cstdint>
#include <mutex>

namespace shoal {

// Adds up the time in which at least one of those who enter and leave is inside.
class WaitClock {
 public:
  using Moment = std::uint64_t;  // microseconds of any clock
  void enter(Moment now) {
    if (inside_++ == 0) since_ = now;
  }
  void leave(Moment now) {
    if (--inside_ == 0 && now > since_) waited_ += now - since_;
  }
  // With what is still under way: a flush of ten seconds must be seen while it lasts.
  [[nodiscard]] std::uint64_t waited(Moment now) const {
    return waited_ + (inside_ > 0 && now > since_ ? now - since_ : 0);
  }

 private:
  int inside_ = 0;
  Moment since_ = 0;
  std::uint64_t waited_ = 0;
};

class MeteredFiles final : public FileSystem {
 public:
  // Since the start.
  [[nodiscard]] std::uint64_t waited_us() const;

  ssize_t read(int fd, std::span<std::byte> out, std::uint64_t offset) override;
  ssize_t write(int fd, std::span<const iovec> parts, std::uint64_t offset) override;
  int resize(int fd, std::uint64_t size) override;
  int sync(int fd, bool data_only) override;
  ssize_t copy(int from, int to, std::uint64_t offset, std::size_t size) override;

 private:
  class Inside;

  mutable std::mutex mutex_;
  WaitClock clock_;  // guarded by mutex_
};

}  // namespace shoal
