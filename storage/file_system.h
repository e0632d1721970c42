// The system calls that storage/ makes on files: the one port through which all of them go, except SQLite's,
// which has a port of its own (its VFS).
//
// The class is the real file system. Tests derive from it to make calls fail, to write short and to forget
// what was not flushed (tests/fake/faulty_disk.h).
//
// Answers are the kernel's: 0 or a count, or a negative errno. EINTR is handled here where a call may simply
// be made again. What the answers mean is file.h's business.
//
// Threads: any; the class has no state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <sys/types.h>

struct iovec;
struct stat;

namespace shoal {

class FileSystem {
 public:
  struct Entry {
    std::string name;
    bool is_dir = false;  // itself, not by a link
  };

  FileSystem() = default;
  virtual ~FileSystem() = default;
  FileSystem(const FileSystem&) = delete;
  FileSystem& operator=(const FileSystem&) = delete;

  // ---- open files ----
  virtual int open(const std::string& path, int flags, unsigned mode);  // a descriptor; O_CLOEXEC is added
  virtual ssize_t read(int fd, std::span<std::byte> out, std::uint64_t offset);
  virtual ssize_t write(int fd, std::span<const iovec> parts, std::uint64_t offset);
  virtual int resize(int fd, std::uint64_t size);
  virtual int sync(int fd, bool data_only);  // fsync(2) or fdatasync(2)
  virtual int status(int fd, struct stat& out);
  // 1 if any other descriptor of it is open, in this process or another; 0 also when that cannot be told,
  // since only the file's owner and root may ask.
  virtual int is_open_elsewhere(const std::string& path);
  virtual int lock(int fd);             // flock(2), exclusive, at once or -EWOULDBLOCK
  virtual int clone(int from, int to);  // FICLONE: share the extents
  virtual ssize_t copy(int from, int to, std::uint64_t offset, std::size_t size);  // copy_file_range(2)

  // ---- names ----
  virtual int status(const std::string& path, struct stat& out);  // of a link itself
  virtual int rename(const std::string& from, const std::string& to);
  virtual int link(const std::string& from, const std::string& to);
  virtual int symlink(const std::string& target, const std::string& path);
  virtual int unlink(const std::string& path);
  virtual int make_dir(const std::string& path);
  virtual int remove_dir(const std::string& path);
  virtual int list(const std::string& dir, std::vector<Entry>& out);
  // Bytes that this user may still write to the file system of `path`.
  virtual int free_space(const std::string& path, std::uint64_t& bytes);
};

// The one that programs use.
[[nodiscard]] FileSystem& real_files();

}  // namespace shoal
