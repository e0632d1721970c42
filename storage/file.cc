#include "storage/file.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

namespace shoal {
namespace {

// IOV_MAX is 1024 on Linux; far fewer already make the call's cost vanish.
constexpr std::size_t kIovMax = 64;

Code code_of(int err) {
  switch (err) {
    case ENOENT:
    case ENOTDIR:
      return Code::not_found;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return Code::no_space;
    default:
      return Code::io;
  }
}

FileStamp to_stamp(const struct stat& st) {
  return {.inode = st.st_ino,
          .size = static_cast<std::uint64_t>(st.st_size),
          .mtime_ns = std::int64_t{st.st_mtim.tv_sec} * 1'000'000'000 + st.st_mtim.tv_nsec};
}

}  // namespace

void UniqueFd::reset() {
  // A failing close has nothing to lose here: what must not be lost was synced before.
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

Unexpected<Error> fail_errno(int err, std::string_view what, std::string_view path) {
  std::string text = "cannot " + std::string(what) + " " + std::string(path) + ": " +
                     std::error_code(err, std::generic_category()).message();
  return fail(code_of(err), std::move(text), err);
}

Result<UniqueFd> open_file(FileSystem& files, const std::string& path, int flags, unsigned mode) {
  const int fd = files.open(path, flags, mode);
  if (fd < 0) return fail_errno(-fd, "open", path);
  return UniqueFd(fd);
}

Result<FileStamp> stamp_of(FileSystem& files, int fd, const std::string& path) {
  struct stat st {};
  if (const int rc = files.status(fd, st); rc < 0) return fail_errno(-rc, "stat", path);
  return to_stamp(st);
}

Result<FileStamp> stamp_of(FileSystem& files, const std::string& path) {
  struct stat st {};
  if (const int rc = files.status(path, st); rc < 0) return fail_errno(-rc, "stat", path);
  if (!S_ISREG(st.st_mode)) return fail(Code::invalid, path + " is not a regular file");
  return to_stamp(st);
}

Result<void> read_exactly(FileSystem& files, int fd, std::uint64_t offset, std::span<std::byte> out,
                          const std::string& path) {
  while (!out.empty()) {
    const ssize_t n = files.read(fd, out, offset);
    if (n < 0) return fail_errno(static_cast<int>(-n), "read", path);
    if (n == 0) return fail(Code::io, path + " is shorter than it has to be");
    out = out.subspan(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
  return {};
}

Result<void> write_all(FileSystem& files, int fd, std::uint64_t offset, std::span<const std::byte> bytes,
                       const std::string& path) {
  const std::array one{bytes};
  return write_all(files, fd, offset, one, path);
}

Result<void> write_all(FileSystem& files, int fd, std::uint64_t offset,
                       std::span<const std::span<const std::byte>> buffers, const std::string& path) {
  std::size_t skip = 0;  // bytes of buffers[0] that are written
  while (!buffers.empty()) {
    std::array<iovec, kIovMax> vec{};
    const std::size_t count = std::min(buffers.size(), vec.size());
    for (std::size_t i = 0; i < count; ++i) {
      const auto part = i == 0 ? buffers[i].subspan(skip) : buffers[i];
      // iovec is shared with readv and so not const; pwritev only reads.
      vec[i] = {const_cast<std::byte*>(part.data()), part.size()};  // NOLINT
    }
    const ssize_t n = files.write(fd, std::span(vec).first(count), offset);
    if (n < 0) return fail_errno(static_cast<int>(-n), "write", path);
    offset += static_cast<std::uint64_t>(n);
    std::size_t written = static_cast<std::size_t>(n) + skip;
    skip = 0;
    bool moved = n > 0;
    while (!buffers.empty() && written >= buffers.front().size()) {
      written -= buffers.front().size();
      buffers = buffers.subspan(1);
      moved = true;
    }
    skip = written;
    if (!moved) return fail(Code::io, "the system wrote nothing to " + path);
  }
  return {};
}

Result<void> resize_file(FileSystem& files, int fd, std::uint64_t size, const std::string& path) {
  if (const int rc = files.resize(fd, size); rc < 0) return fail_errno(-rc, "resize", path);
  return {};
}

Result<void> sync_file(FileSystem& files, int fd, const std::string& path) {
  if (const int rc = files.sync(fd, false); rc < 0) return fail_errno(-rc, "flush", path);
  return {};
}

Result<void> sync_dir(FileSystem& files, const std::string& dir) {
  const auto fd = open_file(files, dir, O_RDONLY | O_DIRECTORY);
  if (!fd) return fail(fd.error());
  // Some network file systems cannot flush a folder and say EINVAL; their renames are synchronous.
  if (const int rc = files.sync(fd->get(), false); rc < 0 && rc != -EINVAL)
    return fail_errno(-rc, "flush", dir);
  return {};
}

Result<void> make_dirs(FileSystem& files, const std::string& dir) {
  struct stat st {};
  const int there = files.status(dir, st);
  if (there == 0 && (S_ISDIR(st.st_mode) || S_ISLNK(st.st_mode))) return {};
  if (there == 0) return fail_errno(ENOTDIR, "make the folder", dir);
  if (there != -ENOENT) return fail_errno(-there, "make the folder", dir);
  const std::string parent = parent_of(dir);
  if (!parent.empty()) {
    if (auto made = make_dirs(files, parent); !made) return made;
  }
  const int rc = files.make_dir(dir);
  if (rc == -EEXIST) return {};  // someone else was faster
  if (rc < 0) return fail_errno(-rc, "make the folder", dir);
  if (parent.empty()) return {};
  auto synced = sync_dir(files, parent);
  // A folder that others own may be entered and not read; then its owner answers for it.
  if (!synced && synced.error().raw == EACCES) return {};
  // Who tries again would find it there and not know that its name may get lost.
  if (!synced) files.remove_dir(dir);
  return synced;
}

Result<void> rename_file(FileSystem& files, const std::string& from, const std::string& to) {
  if (const int rc = files.rename(from, to); rc < 0) return fail_errno(-rc, "rename to", to);
  return {};
}

Result<void> remove_file(FileSystem& files, const std::string& path) {
  if (const int rc = files.unlink(path); rc < 0 && rc != -ENOENT) return fail_errno(-rc, "remove", path);
  return {};
}

Result<void> remove_tree(FileSystem& files, const std::string& dir) {
  const auto entries = list_dir(files, dir);
  if (!entries) return fail(entries.error());
  for (const auto& entry : *entries) {
    const std::string path = dir + "/" + entry.name;
    auto gone = entry.is_dir ? remove_tree(files, path) : remove_file(files, path);
    if (!gone) return gone;
  }
  if (const int rc = files.remove_dir(dir); rc < 0 && rc != -ENOENT) return fail_errno(-rc, "remove", dir);
  return {};
}

Result<std::vector<FileSystem::Entry>> list_dir(FileSystem& files, const std::string& dir) {
  std::vector<FileSystem::Entry> entries;
  if (const int rc = files.list(dir, entries); rc < 0 && rc != -ENOENT) return fail_errno(-rc, "list", dir);
  std::ranges::sort(entries, {}, &FileSystem::Entry::name);
  return entries;
}

Result<std::string> read_small_file(FileSystem& files, const std::string& path, std::size_t max) {
  const auto fd = open_file(files, path, O_RDONLY);
  if (!fd) return fail(fd.error());
  const auto stamp = stamp_of(files, fd->get(), path);
  if (!stamp) return fail(stamp.error());
  if (stamp->size > max) return fail(Code::invalid, path + " is larger than expected");
  // Files under /proc say size 0, so it is the limit that is read.
  std::string out(max, '\0');
  std::size_t got = 0;
  while (got < max) {
    const ssize_t n = files.read(fd->get(), std::as_writable_bytes(std::span(out).subspan(got)), got);
    if (n < 0) return fail_errno(static_cast<int>(-n), "read", path);
    if (n == 0) break;
    got += static_cast<std::size_t>(n);
  }
  out.resize(got);
  return out;
}

std::string parent_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? std::string() : path.substr(0, slash);
}

std::string human_size(std::uint64_t bytes) {
  constexpr std::array<const char*, 5> kUnits{"KiB", "MiB", "GiB", "TiB", "PiB"};
  if (bytes < 1024) return std::to_string(bytes) + " B";
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f %s", value, kUnits[unit]);
  return text.data();
}

std::string random_tag() {
  std::array<std::uint8_t, 4> bytes{};
  // Cannot fail for so few bytes once the system is up.
  [[maybe_unused]] const ssize_t n = ::getrandom(bytes.data(), bytes.size(), 0);
  std::array<char, 9> text{};
  std::snprintf(text.data(), text.size(), "%02x%02x%02x%02x", bytes[0], bytes[1], bytes[2], bytes[3]);
  return text.data();
}

}  // namespace shoal
