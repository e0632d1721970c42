// What storage/ does to files, with errors as values. Inside storage/ only.
//
// All of it goes through a FileSystem (file_system.h), the first argument.
#pragma once

#include "node/core/result.h"
#include "storage/file_system.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace shoal {

// An open descriptor, closed with its owner.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() { reset(); }

  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool valid() const { return fd_ >= 0; }
  void reset();

 private:
  int fd_ = -1;
};

// What tells whether a file is still the one that was read: a replaced file has another inode, an edited one
// another mtime. The device is left out, since its number may differ after a reboot.
struct FileStamp {
  std::uint64_t inode = 0;
  std::uint64_t size = 0;
  std::int64_t mtime_ns = 0;
  bool operator==(const FileStamp&) const = default;
};

// `what` and the path become the sentence: "cannot rename /a/b: Permission denied".
[[nodiscard]] Unexpected<Error> fail_errno(int err, std::string_view what, std::string_view path);

[[nodiscard]] Result<UniqueFd> open_file(FileSystem& files, const std::string& path, int flags,
                                         unsigned mode = 0666);
[[nodiscard]] Result<FileStamp> stamp_of(FileSystem& files, int fd, const std::string& path);
// Does not follow a link at the end; not_found, or invalid if it is no regular file.
[[nodiscard]] Result<FileStamp> stamp_of(FileSystem& files, const std::string& path);

Result<void> read_exactly(FileSystem& files, int fd, std::uint64_t offset, std::span<std::byte> out,
                          const std::string& path);
Result<void> write_all(FileSystem& files, int fd, std::uint64_t offset, std::span<const std::byte> bytes,
                       const std::string& path);
Result<void> write_all(FileSystem& files, int fd, std::uint64_t offset,
                       std::span<const std::span<const std::byte>> buffers, const std::string& path);
Result<void> resize_file(FileSystem& files, int fd, std::uint64_t size, const std::string& path);

Result<void> sync_file(FileSystem& files, int fd, const std::string& path);
// So that a rename or a new name survives a power loss.
Result<void> sync_dir(FileSystem& files, const std::string& dir);
// Also those above it. New folders survive a power loss.
Result<void> make_dirs(FileSystem& files, const std::string& dir);
Result<void> rename_file(FileSystem& files, const std::string& from, const std::string& to);
// A file that is not there is no error.
Result<void> remove_file(FileSystem& files, const std::string& path);
// A folder with all that is in it; links are not followed.
Result<void> remove_tree(FileSystem& files, const std::string& dir);
// What is directly in `dir`, by name; nothing if there is no such folder.
[[nodiscard]] Result<std::vector<FileSystem::Entry>> list_dir(FileSystem& files, const std::string& dir);
[[nodiscard]] Result<std::string> read_small_file(FileSystem& files, const std::string& path,
                                                  std::size_t max);

// "/a/b" of "/a/b/c".
[[nodiscard]] std::string parent_of(const std::string& path);
// "12.3 GiB", for sentences.
[[nodiscard]] std::string human_size(std::uint64_t bytes);
// 8 random hex digits for names of temporary files.
[[nodiscard]] std::string random_tag();

}  // namespace shoal
