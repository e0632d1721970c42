// A disk that fails when it is told to, and that forgets what was not flushed: a real folder below, and two
// skins over it, one for storage's own calls (FileSystem) and one for SQLite's (a VFS). Both count together.
//
//   FaultyDisk disk;
//   disk.plan({.at = 17, .error = EIO});   the 17th call from here on fails, those after it work
//   disk.plan({.at = 17, .crash = true});  from the 17th call on nothing works: the process is as good as
//   dead
//   ...
//   disk.stop();                           nothing works any more, so that destructors cannot tidy up
//   disk.lose_unflushed();                 power loss: writes, names and sizes that no flush covered are
//   undone disk.start();
//
// What a flush covers: fsync(2) of a file covers its bytes and size, fsync(2) of a folder the names directly
// in it. That is what POSIX promises and less than most file systems do. Bytes that were not flushed are all
// lost; a real disk may keep some of them.
//
// Threads: any.
#pragma once

#include "storage/file_system.h"

#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

struct sqlite3_vfs;

namespace shoal::test {

class FaultyDisk final : public FileSystem {
 public:
  struct Fault {
    std::uint64_t at = 0;      // counted from 1; 0: no fault
    int error = 5;             // EIO; for SQLite's calls ENOSPC becomes SQLITE_FULL, all others an I/O error
    bool short_write = false;  // a write puts half of its bytes down before it fails
    bool crash = false;        // that call and all after it fail
  };

  // `stash`: a folder on the same file system for names that may have to come back.
  explicit FaultyDisk(std::string stash);
  ~FaultyDisk() override;

  // Starts counting anew.
  void plan(Fault fault);
  // What the fault hit, "write /a/models--a--b/blobs/...": empty if it was never reached.
  [[nodiscard]] std::string hit() const;
  // All calls since plan(), by what they do: "open", "write", "sqlite sync".
  [[nodiscard]] std::vector<std::string> trace() const;

  void stop();
  [[nodiscard]] bool stopped() const;
  void lose_unflushed();
  void start();

  // For StateDb; registered with SQLite while this object lives.
  [[nodiscard]] const char* sqlite_vfs() const { return vfs_name_.c_str(); }

  // FileSystem
  int open(const std::string& path, int flags, unsigned mode) override;
  ssize_t read(int fd, std::span<std::byte> out, std::uint64_t offset) override;
  ssize_t write(int fd, std::span<const iovec> parts, std::uint64_t offset) override;
  int resize(int fd, std::uint64_t size) override;
  int sync(int fd, bool data_only) override;
  int status(int fd, struct stat& out) override;
  int lock(int fd) override;
  int clone(int from, int to) override;
  ssize_t copy(int from, int to, std::uint64_t offset, std::size_t size) override;
  int status(const std::string& path, struct stat& out) override;
  int rename(const std::string& from, const std::string& to) override;
  int link(const std::string& from, const std::string& to) override;
  int symlink(const std::string& target, const std::string& path) override;
  int unlink(const std::string& path) override;
  int make_dir(const std::string& path) override;
  int remove_dir(const std::string& path) override;
  int list(const std::string& dir, std::vector<Entry>& out) override;
  int free_space(const std::string& path, std::uint64_t& bytes) override;

  // ---- for the VFS in faulty_vfs.cc ----
  // 0, or the errno that the call is to fail with.
  int before(const char* what, const std::string& path);
  // Whether the write that is about to fail puts half of its bytes down first.
  [[nodiscard]] bool half_written() const;
  // Notes how to take back what is about to be done to a file's bytes or size.
  void note_bytes(const std::string& path, std::uint64_t offset, std::size_t size);
  void note_new_file(const std::string& path);
  void note_unlink(const std::string& path);
  void flushed_file(const std::string& path, bool with_name);

 private:
  struct Undo {
    std::uint64_t file = 0;  // inode whose flush makes this final; 0: a name
    std::string dir;         // folder whose flush makes this final; empty: bytes
    std::function<void()> back;
  };
  void note(Undo undo);
  void note_bytes_of(int fd, std::uint64_t offset, std::size_t size);
  void note_name(const std::string& path, std::function<void()> back);
  // A hard link to what stands at `path`, for when it has to come back.
  std::string keep(const std::string& path);

  const std::string stash_;
  const std::string vfs_name_;
  sqlite3_vfs* vfs_ = nullptr;

  mutable std::mutex mutex_;
  // Guarded by mutex_.
  Fault fault_;
  std::vector<std::string> calls_;
  std::string hit_;
  bool stopped_ = false;
  bool half_ = false;
  std::vector<Undo> undo_;
  int kept_ = 0;
};

// faulty_vfs.cc: a VFS over SQLite's usual one that asks `disk` before each call.
sqlite3_vfs* register_faulty_vfs(const char* name, FaultyDisk& disk);
void unregister_faulty_vfs(sqlite3_vfs* vfs);

}  // namespace shoal::test
