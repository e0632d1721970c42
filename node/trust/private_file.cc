#include "node/trust/private_file.h"

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace shoal {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool valid() const { return fd_ >= 0; }

 private:
  int fd_;
};

Unexpected<Error> trouble(const char* what, const std::filesystem::path& path, int error) {
  const Code code = error == ENOENT                      ? Code::not_found
                    : error == ENOSPC || error == EDQUOT ? Code::no_space
                                                         : Code::io;
  return fail(code, std::string("cannot ") + what + " " + path.string() + ": " + std::strerror(error), error);
}

bool write_out(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return ::fsync(fd) == 0;
}

Result<std::string> read(const std::filesystem::path& path, bool secret) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file.valid()) return trouble("open", path, errno);
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return trouble("look at", path, errno);
  if (secret && (status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return fail(Code::invalid,
                path.string() +
                    " may be read by others: it may be stolen already; if you know that it is not, "
                    "`chmod 600` it");
  }
  std::string out(kTrustFileBytesMax + 1, '\0');
  std::size_t size = 0;
  while (size < out.size()) {
    const auto n = ::read(file.get(), out.data() + size, out.size() - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return trouble("read", path, errno);
    if (n == 0) break;
    size += static_cast<std::size_t>(n);
  }
  if (size > kTrustFileBytesMax) return fail(Code::invalid, path.string() + " is longer than it can be");
  out.resize(size);
  return out;
}

}  // namespace

Result<void> write_whole_file(const std::filesystem::path& path, std::string_view bytes, unsigned mode) {
  const std::filesystem::path beside = path.string() + ".new";
  ::unlink(beside.c_str());  // what a crash left, maybe with another mode
  {
    const Descriptor file(::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
    if (!file.valid()) return trouble("make", beside, errno);
    if (!write_out(file.get(), bytes)) return trouble("write", beside, errno);
  }
  if (::rename(beside.c_str(), path.c_str()) != 0) return trouble("rename to", path, errno);
  const Descriptor folder(::open(path.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.valid() || ::fsync(folder.get()) != 0) return trouble("sync the folder of", path, errno);
  return {};
}

Result<std::string> read_whole_file(const std::filesystem::path& path) {
  return read(path, false);
}

Result<std::string> read_secret_file(const std::filesystem::path& path) {
  return read(path, true);
}

}  // namespace shoal
