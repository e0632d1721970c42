#include "node/daemon/metered_files.h"

#include <chrono>

namespace shoal {
namespace {

std::uint64_t now_us() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(now).count());
}

}  // namespace

// One thread inside a call.
class MeteredFiles::Inside {
 public:
  explicit Inside(MeteredFiles& files) : files_(files) {
    const std::lock_guard lock(files_.mutex_);
    files_.clock_.enter(now_us());
  }
  ~Inside() {
    const std::lock_guard lock(files_.mutex_);
    files_.clock_.leave(now_us());
  }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

 private:
  MeteredFiles& files_;
};

std::uint64_t MeteredFiles::waited_us() const {
  const std::lock_guard lock(mutex_);
  return clock_.waited(now_us());
}

ssize_t MeteredFiles::read(int fd, std::span<std::byte> out, std::uint64_t offset) {
  const Inside inside(*this);
  return FileSystem::read(fd, out, offset);
}

ssize_t MeteredFiles::write(int fd, std::span<const iovec> parts, std::uint64_t offset) {
  const Inside inside(*this);
  return FileSystem::write(fd, parts, offset);
}

int MeteredFiles::resize(int fd, std::uint64_t size) {
  const Inside inside(*this);
  return FileSystem::resize(fd, size);
}

int MeteredFiles::sync(int fd, bool data_only) {
  const Inside inside(*this);
  return FileSystem::sync(fd, data_only);
}

ssize_t MeteredFiles::copy(int from, int to, std::uint64_t offset, std::size_t size) {
  const Inside inside(*this);
  return FileSystem::copy(from, to, offset, size);
}

}  // namespace shoal
