#include "node/daemon/metered_files.h"

#include <cerrno>
#include <filesystem>
#include <string>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/uio.h>
#include <unistd.h>

namespace shoal {
namespace {

TEST(WaitClock, TimeInWhichTwoWaitCountsOnce) {
  WaitClock clock;
  clock.enter(100);
  clock.enter(150);
  clock.leave(200);
  EXPECT_EQ(clock.waited(210), 110U);
  clock.leave(300);
  EXPECT_EQ(clock.waited(999), 200U);
  clock.enter(1000);
  clock.leave(1001);
  EXPECT_EQ(clock.waited(2000), 201U);
}

TEST(MeteredFiles, CallsThatWorkAndCallsThatFailAreTimed) {
  MeteredFiles files;
  const std::string path = testing::TempDir() + "metered-" + std::to_string(::getpid());
  const int fd = files.open(path, O_RDWR | O_CREAT, 0600);
  ASSERT_GE(fd, 0);
  EXPECT_EQ(files.waited_us(), 0U);
  std::string text(1 << 20, 'x');
  const iovec part{text.data(), text.size()};
  EXPECT_EQ(files.write(fd, std::span(&part, 1), 0), static_cast<ssize_t>(text.size()));
  EXPECT_EQ(files.sync(fd, true), 0);
  const auto waited = files.waited_us();
  EXPECT_GT(waited, 0U);
  std::string back(text.size(), ' ');
  EXPECT_EQ(files.read(fd, std::as_writable_bytes(std::span(back)), 0), static_cast<ssize_t>(text.size()));
  EXPECT_EQ(back, text);
  EXPECT_GT(files.waited_us(), waited);
  ::close(fd);
  EXPECT_EQ(files.sync(fd, true), -EBADF);
  const auto at_rest = files.waited_us();
  EXPECT_EQ(files.waited_us(), at_rest);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace shoal
