#include "tests/fake/faulty_disk.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <memory>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

namespace shoal::test {
namespace fs = std::filesystem;
namespace {

std::string next_name() {
  static std::atomic<int> count{0};
  return "faulty-" + std::to_string(++count);
}

std::string dir_of(const std::string& path) {
  return path.substr(0, path.rfind('/'));
}

std::uint64_t inode_of(int fd) {
  struct stat st {};
  return ::fstat(fd, &st) == 0 ? st.st_ino : 0;
}

std::uint64_t inode_of(const std::string& path) {
  struct stat st {};
  return ::stat(path.c_str(), &st) == 0 ? st.st_ino : 0;
}

std::string path_of(int fd) {
  std::error_code ec;
  return fs::read_symlink("/proc/self/fd/" + std::to_string(fd), ec).string();
}

std::size_t size_of(std::span<const iovec> parts) {
  std::size_t size = 0;
  for (const auto& part : parts) size += part.iov_len;
  return size;
}

// Opened apart from the caller's, which may be write-only.
struct Handle {
  explicit Handle(const std::string& path) : fd(::open(path.c_str(), O_RDWR | O_CLOEXEC)) {}
  ~Handle() {
    if (fd >= 0) ::close(fd);
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  int fd;
};

std::vector<char> read_old(int fd, std::uint64_t offset, std::size_t size, std::uint64_t file_size) {
  if (offset >= file_size) return {};
  std::vector<char> old(std::min<std::uint64_t>(size, file_size - offset));
  const ssize_t n = ::pread(fd, old.data(), old.size(), static_cast<off_t>(offset));
  old.resize(static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
  return old;
}

void write_back(int fd, const std::vector<char>& old, std::uint64_t offset, std::uint64_t file_size) {
  [[maybe_unused]] const ssize_t n = ::pwrite(fd, old.data(), old.size(), static_cast<off_t>(offset));
  [[maybe_unused]] const int rc = ::ftruncate(fd, static_cast<off_t>(file_size));
}

}  // namespace

FaultyDisk::FaultyDisk(std::string stash) : stash_(std::move(stash)), vfs_name_(next_name()) {
  fs::create_directories(stash_);
  vfs_ = register_faulty_vfs(vfs_name_.c_str(), *this);
}

FaultyDisk::~FaultyDisk() {
  unregister_faulty_vfs(vfs_);
}

void FaultyDisk::plan(Fault fault) {
  const std::lock_guard lock(mutex_);
  fault_ = fault;
  calls_.clear();
  hit_.clear();
}

std::vector<std::string> FaultyDisk::trace() const {
  const std::lock_guard lock(mutex_);
  return calls_;
}

std::string FaultyDisk::hit() const {
  const std::lock_guard lock(mutex_);
  return hit_;
}

void FaultyDisk::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
}

bool FaultyDisk::stopped() const {
  const std::lock_guard lock(mutex_);
  return stopped_;
}

void FaultyDisk::start() {
  const std::lock_guard lock(mutex_);
  stopped_ = false;
  fault_ = {};
  undo_.clear();
  fs::remove_all(stash_);
  fs::create_directories(stash_);
}

void FaultyDisk::lose_unflushed() {
  const std::lock_guard lock(mutex_);
  for (auto it = undo_.rbegin(); it != undo_.rend(); ++it) it->back();
  undo_.clear();
}

int FaultyDisk::before(const char* what, const std::string& path) {
  const std::lock_guard lock(mutex_);
  half_ = false;
  if (stopped_) return EIO;
  calls_.emplace_back(what);
  if (calls_.size() != fault_.at) return 0;
  hit_ = std::string(what) + " " + path;
  stopped_ = fault_.crash;
  half_ = fault_.short_write;
  return fault_.crash ? EIO : fault_.error;
}

bool FaultyDisk::half_written() const {
  const std::lock_guard lock(mutex_);
  return half_;
}

// ---- what can be taken back ----

void FaultyDisk::note(Undo undo) {
  const std::lock_guard lock(mutex_);
  undo_.push_back(std::move(undo));
}

void FaultyDisk::note_name(const std::string& path, std::function<void()> back) {
  note({.file = 0, .dir = dir_of(path), .back = std::move(back)});
}

std::string FaultyDisk::keep(const std::string& path) {
  std::string kept;
  {
    const std::lock_guard lock(mutex_);
    kept = stash_ + "/" + std::to_string(++kept_);
  }
  return ::linkat(AT_FDCWD, path.c_str(), AT_FDCWD, kept.c_str(), 0) == 0 ? kept : std::string();
}

// The bytes at `offset` and the size, to be written back. The file is found again by a descriptor that is
// opened here, since its name may change.
void FaultyDisk::note_bytes_of(int fd, std::uint64_t offset, std::size_t size) {
  auto handle = std::make_shared<Handle>("/proc/self/fd/" + std::to_string(fd));
  struct stat st {};
  if (handle->fd < 0 || ::fstat(handle->fd, &st) != 0) return;
  const auto old_size = static_cast<std::uint64_t>(st.st_size);
  auto old = read_old(handle->fd, offset, size, old_size);
  note({.file = st.st_ino, .dir = {}, .back = [handle, old, offset, old_size] {
          write_back(handle->fd, old, offset, old_size);
        }});
}

// For SQLite's files, which keep their names.
void FaultyDisk::note_bytes(const std::string& path, std::uint64_t offset, std::size_t size) {
  std::error_code ec;
  const std::uint64_t old_size = fs::file_size(path, ec);
  if (ec) return;
  const std::uint64_t file = inode_of(path);
  std::vector<char> old;
  // Closing a descriptor drops the process's POSIX locks on the file. Here all of SQLite's connections are in
  // this process, which has its own book of them, so nobody can slip in.
  if (offset < old_size) old = read_old(Handle(path).fd, offset, size, old_size);
  note({.file = file, .dir = {}, .back = [path, old, offset, old_size] {
          const Handle handle(path);
          if (handle.fd >= 0) write_back(handle.fd, old, offset, old_size);
        }});
}

void FaultyDisk::note_new_file(const std::string& path) {
  note_name(path, [path] { ::unlink(path.c_str()); });
}

void FaultyDisk::note_unlink(const std::string& path) {
  const std::string kept = keep(path);
  if (kept.empty()) return;
  note_name(path, [path, kept] { [[maybe_unused]] const int rc = ::link(kept.c_str(), path.c_str()); });
}

void FaultyDisk::flushed_file(const std::string& path, bool with_name) {
  const std::uint64_t file = inode_of(path);
  const std::string dir = dir_of(path);
  const std::lock_guard lock(mutex_);
  std::erase_if(undo_, [&](const Undo& undo) {
    return undo.dir.empty() ? undo.file == file : with_name && undo.dir == dir;
  });
}

// ---- FileSystem ----

int FaultyDisk::open(const std::string& path, int flags, unsigned mode) {
  if (const int err = before("open", path)) return -err;
  const bool there = fs::exists(fs::symlink_status(path));
  const int fd = FileSystem::open(path, flags, mode);
  if (fd >= 0 && !there) note_new_file(path);
  return fd;
}

ssize_t FaultyDisk::read(int fd, std::span<std::byte> out, std::uint64_t offset) {
  if (const int err = before("read", path_of(fd))) return -err;
  return FileSystem::read(fd, out, offset);
}

ssize_t FaultyDisk::write(int fd, std::span<const iovec> parts, std::uint64_t offset) {
  const int err = before("write", path_of(fd));
  if (err != 0 && !half_written()) return -err;
  note_bytes_of(fd, offset, size_of(parts));
  if (err == 0) return FileSystem::write(fd, parts, offset);
  // Half of it lands, and the caller hears only of the error.
  const iovec half{parts.front().iov_base, parts.front().iov_len / 2};
  FileSystem::write(fd, {&half, 1}, offset);
  return -err;
}

int FaultyDisk::resize(int fd, std::uint64_t size) {
  if (const int err = before("resize", path_of(fd))) return -err;
  note_bytes_of(fd, size, SIZE_MAX);
  return FileSystem::resize(fd, size);
}

int FaultyDisk::sync(int fd, bool data_only) {
  const std::string path = path_of(fd);
  if (const int err = before("sync", path)) return -err;
  const int rc = FileSystem::sync(fd, data_only);
  if (rc != 0) return rc;
  const std::uint64_t file = inode_of(fd);
  const std::lock_guard lock(mutex_);
  std::erase_if(undo_,
                [&](const Undo& undo) { return undo.dir.empty() ? undo.file == file : undo.dir == path; });
  return rc;
}

int FaultyDisk::status(int fd, struct stat& out) {
  if (const int err = before("stat", path_of(fd))) return -err;
  return FileSystem::status(fd, out);
}

int FaultyDisk::lock(int fd) {
  if (const int err = before("lock", path_of(fd))) return -err;
  return FileSystem::lock(fd);
}

int FaultyDisk::clone(int from, int to) {
  if (const int err = before("clone", path_of(to))) return -err;
  return FileSystem::clone(from, to);
}

ssize_t FaultyDisk::copy(int from, int to, std::uint64_t offset, std::size_t size) {
  if (const int err = before("copy", path_of(to))) return -err;
  note_bytes_of(to, offset, size);
  return FileSystem::copy(from, to, offset, size);
}

int FaultyDisk::status(const std::string& path, struct stat& out) {
  if (const int err = before("stat", path)) return -err;
  return FileSystem::status(path, out);
}

int FaultyDisk::rename(const std::string& from, const std::string& to) {
  if (const int err = before("rename", to)) return -err;
  const std::string replaced = keep(to);
  const int rc = FileSystem::rename(from, to);
  if (rc != 0) return rc;
  note_name(to, [from, to, replaced] {
    ::rename(to.c_str(), from.c_str());
    if (!replaced.empty()) ::rename(replaced.c_str(), to.c_str());
  });
  return rc;
}

int FaultyDisk::link(const std::string& from, const std::string& to) {
  if (const int err = before("link", to)) return -err;
  const int rc = FileSystem::link(from, to);
  if (rc == 0) note_new_file(to);
  return rc;
}

int FaultyDisk::symlink(const std::string& target, const std::string& path) {
  if (const int err = before("symlink", path)) return -err;
  const int rc = FileSystem::symlink(target, path);
  if (rc == 0) note_new_file(path);
  return rc;
}

int FaultyDisk::unlink(const std::string& path) {
  if (const int err = before("unlink", path)) return -err;
  note_unlink(path);
  return FileSystem::unlink(path);
}

int FaultyDisk::make_dir(const std::string& path) {
  if (const int err = before("mkdir", path)) return -err;
  const int rc = FileSystem::make_dir(path);
  if (rc == 0) note_name(path, [path] { fs::remove_all(path); });
  return rc;
}

int FaultyDisk::remove_dir(const std::string& path) {
  if (const int err = before("rmdir", path)) return -err;
  const int rc = FileSystem::remove_dir(path);
  if (rc == 0) note_name(path, [path] { fs::create_directory(path); });
  return rc;
}

int FaultyDisk::list(const std::string& dir, std::vector<Entry>& out) {
  if (const int err = before("list", dir)) return -err;
  return FileSystem::list(dir, out);
}

int FaultyDisk::free_space(const std::string& path, std::uint64_t& bytes) {
  if (const int err = before("statvfs", path)) return -err;
  return FileSystem::free_space(path, bytes);
}

}  // namespace shoal::test
