#include "storage/file_system.h"

#include <cerrno>
#include <csignal>

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

namespace shoal {
namespace {

template <typename Call>
auto answer(Call call) {
  while (true) {
    const auto result = call();
    if (result >= 0) return result;
    if (errno != EINTR) return static_cast<decltype(call())>(-errno);
  }
}

}  // namespace

int FileSystem::open(const std::string& path, int flags, unsigned mode) {
  return answer([&] { return ::open(path.c_str(), flags | O_CLOEXEC, mode); });
}
ssize_t FileSystem::read(int fd, std::span<std::byte> out, std::uint64_t offset) {
  return answer([&] { return ::pread(fd, out.data(), out.size(), static_cast<off_t>(offset)); });
}
ssize_t FileSystem::write(int fd, std::span<const iovec> parts, std::uint64_t offset) {
  return answer([&] {
    return ::pwritev(fd, parts.data(), static_cast<int>(parts.size()), static_cast<off_t>(offset));
  });
}
int FileSystem::resize(int fd, std::uint64_t size) {
  return answer([&] { return ::ftruncate(fd, static_cast<off_t>(size)); });
}
int FileSystem::sync(int fd, bool data_only) {
  return answer([&] { return data_only ? ::fdatasync(fd) : ::fsync(fd); });
}
int FileSystem::status(int fd, struct stat& out) {
  return answer([&] { return ::fstat(fd, &out); });
}
int FileSystem::lock(int fd) {
  return answer([&] { return ::flock(fd, LOCK_EX | LOCK_NB); });
}
int FileSystem::is_open_elsewhere(const std::string& path) {
  const int fd = this->open(path, O_RDONLY | O_NOFOLLOW, 0);
  if (fd < 0) return 0;
  // A write lease is given only when nobody else has the file open. If somebody opens it at this very moment
  // the kernel tells by a signal, and SIGURG is one that nothing happens by; the close gives the lease back.
  ::fcntl(fd, F_SETSIG, SIGURG);
  const bool refused = ::fcntl(fd, F_SETLEASE, F_WRLCK) != 0 && (errno == EAGAIN || errno == EBUSY);
  ::close(fd);
  return refused ? 1 : 0;
}
int FileSystem::clone(int from, int to) {
  return answer([&] { return ::ioctl(to, FICLONE, from); });
}
ssize_t FileSystem::copy(int from, int to, std::uint64_t offset, std::size_t size) {
  return answer([&] {
    auto in = static_cast<loff_t>(offset);
    auto out = static_cast<loff_t>(offset);
    return ::copy_file_range(from, &in, to, &out, size, 0);
  });
}

int FileSystem::status(const std::string& path, struct stat& out) {
  return answer([&] { return ::lstat(path.c_str(), &out); });
}
int FileSystem::rename(const std::string& from, const std::string& to) {
  return answer([&] { return ::rename(from.c_str(), to.c_str()); });
}
int FileSystem::link(const std::string& from, const std::string& to) {
  return answer([&] { return ::link(from.c_str(), to.c_str()); });
}
int FileSystem::symlink(const std::string& target, const std::string& path) {
  return answer([&] { return ::symlink(target.c_str(), path.c_str()); });
}
int FileSystem::unlink(const std::string& path) {
  return answer([&] { return ::unlink(path.c_str()); });
}
int FileSystem::make_dir(const std::string& path) {
  return answer([&] { return ::mkdir(path.c_str(), 0777); });
}
int FileSystem::remove_dir(const std::string& path) {
  return answer([&] { return ::rmdir(path.c_str()); });
}

int FileSystem::list(const std::string& dir, std::vector<Entry>& out) {
  DIR* stream = ::opendir(dir.c_str());
  if (stream == nullptr) return -errno;
  int err = 0;
  while (true) {
    errno = 0;
    const dirent* entry = ::readdir(stream);  // NOLINT(concurrency-mt-unsafe): one stream per thread
    if (entry == nullptr) {
      err = errno;
      break;
    }
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    bool is_dir = entry->d_type == DT_DIR;
    if (entry->d_type == DT_UNKNOWN) {
      struct stat st {};
      is_dir = ::lstat(std::string(dir).append("/").append(name).c_str(), &st) == 0 && S_ISDIR(st.st_mode);
    }
    out.push_back({name, is_dir});
  }
  ::closedir(stream);
  return -err;
}

int FileSystem::free_space(const std::string& path, std::uint64_t& bytes) {
  struct statvfs fs {};
  if (::statvfs(path.c_str(), &fs) != 0) return -errno;
  bytes = std::uint64_t{fs.f_bavail} * fs.f_frsize;
  return 0;
}

FileSystem& real_files() {
  static FileSystem files;
  return files;
}

}  // namespace shoal
