#include "node/daemon/load_sampler.h"

#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <utility>

#include <gtest/gtest.h>
#include <unistd.h>

namespace shoal {
namespace {

using std::chrono::seconds;

// Stand-ins for /proc and /sys of a machine of one core, an idle disk and a link of 100 Mbit/s.
class LoadSamplerTest : public testing::Test {
 protected:
  void SetUp() override {
    top_ = std::filesystem::path(testing::TempDir()) /
           ("load-" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()) + "-" +
            std::to_string(::getpid()));
    for (const char* folder : {"proc/pressure", "proc/net", "proc/self", "sys/class/net/eth0/device",
                               "sys/class/net/br0", "sys/block/sda", "sys/class/drm"}) {
      std::filesystem::create_directories(top_ / folder);
    }
    put("sys/class/net/eth0/speed", "100\n");
    put("sys/class/net/br0/speed", "100\n");
    put("proc/meminfo", "MemTotal:  1000 kB\nMemFree:  10 kB\nMemAvailable:  500 kB\n");
    put("proc/self/io", "rchar: 99\nread_bytes: 0\nwrite_bytes: 0\n");
    for (const char* what : {"cpu", "memory", "io"}) pressure(what, 0);
    cpu(1000, 5000, 200);
    disk(0);
    network(0);
  }
  void TearDown() override { std::filesystem::remove_all(top_); }

  void put(const std::string& path, const std::string& text) const { std::ofstream(top_ / path) << text; }
  void cpu(int used, int idle, int own) const {
    put("proc/stat",
        "cpu  " + std::to_string(used) + " 0 0 " + std::to_string(idle) + " 0 0 0 0 0 0\ncpu0 1 2 3\n");
    put("proc/self/stat",
        "1 (a ) name) S 1 1 1 0 -1 4194304 1 1 1 1 " + std::to_string(own) + " 0 0 0 20 0\n");
  }
  void pressure(const std::string& what, int total_us) const {
    put("proc/pressure/" + what, "some avg10=0.00 avg60=0.00 avg300=0.00 total=" + std::to_string(total_us) +
                                     "\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n");
  }
  void disk(int sectors) const {
    const std::string text = std::to_string(sectors);
    put("proc/diskstats", "   8       0 sda 5 0 100 1 9 0 " + text +
                              " 0 0 70 0\n   8       1 sda1 5 0 100 1 9 0 " + text +
                              " 0 0 70 0\n   7  0 loop0 5 0 999999 1 9 0 9 0 0 70 0\n");
  }
  void network(int bytes) const {
    const std::string text = std::to_string(bytes);
    put("proc/net/dev",
        "Inter-|   Receive\n face |bytes\n    lo: 77777777 1 0 0 0 0 0 0 77777777 1 0 0 0 0 0 0\n  eth0:" +
            text +
            " 1 0 0 0 0 0 0 500 1 0 0 0 0 0 0\n   br0: 99999999 1 0 0 0 0 0 0 9999999 1 0 0 0 0 0 0\n");
  }
  // The probe's thread looks soon after it began.
  static void wait_for(const std::function<bool()>& condition) {
    const auto deadline = std::chrono::steady_clock::now() + seconds(10);
    while (!condition() && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    ASSERT_TRUE(condition());
  }

  std::filesystem::path top_;
};

TEST_F(LoadSamplerTest, AnIdleMachineHasNoLoad) {
  LoadSampler sampler(top_ / "proc", top_ / "sys");
  EXPECT_EQ(sampler.sample({}, Time{seconds(100)}), DeviceLoad{});
  cpu(1060, 5040, 260);  // 60 ticks, all of them its own
  EXPECT_EQ(sampler.sample({}, Time{seconds(101)}), DeviceLoad{});
}

TEST_F(LoadSamplerTest, EachPartIsReadFromItsFile) {
  LoadSampler sampler(top_ / "proc", top_ / "sys");
  (void)sampler.sample({}, Time{seconds(100)});
  wait_for([&] {
    (void)sampler.sample({}, Time{seconds(101)});
    return sampler.link_bytes_per_s() == 12'500'000;
  });
  cpu(1060, 5040, 220);
  pressure("memory", 500'000);
  put("proc/meminfo", "MemTotal:  1000 kB\nMemAvailable:  50 kB\n");
  pressure("io", 800'000);
  network(5'000'000);
  const DeviceLoad load = sampler.sample({}, Time{seconds(102)});
  EXPECT_EQ(load.cpu_permille, 280);     // 40 of 100 ticks, and 70 % of it after the first second
  EXPECT_EQ(load.memory_permille, 350);  // 50 %
  EXPECT_EQ(load.io_permille, 560);      // 80 %
  EXPECT_EQ(load.nic_permille, 280);     // 40 % of 12.5 MB/s
}

TEST_F(LoadSamplerTest, OwnWaitsBytesAndTrafficAreTakenOff) {
  LoadSampler sampler(top_ / "proc", top_ / "sys");
  (void)sampler.sample({}, Time{seconds(100)});
  wait_for([&] {
    (void)sampler.sample({}, Time{seconds(101)});
    return sampler.link_bytes_per_s() > 0;
  });
  pressure("io", 800'000);
  disk(20'000);
  put("proc/self/io", "rchar: 99\nread_bytes: 240000\nwrite_bytes: 10000000\n");
  network(5'000'000);
  const DeviceLoad load = sampler.sample({5'000'000, 0, 800'000}, Time{seconds(102)});
  EXPECT_EQ(load, DeviceLoad{});
}

TEST_F(LoadSamplerTest, WhatIsNotThereIsLeftOut) {
  LoadSampler sampler(top_ / "nowhere", top_ / "nowhere");
  EXPECT_EQ(sampler.sample({}, Time{seconds(100)}), DeviceLoad{});
  EXPECT_EQ(sampler.sample({}, Time{seconds(101)}), DeviceLoad{});
  EXPECT_EQ(sampler.link_bytes_per_s(), 0U);
}

TEST_F(LoadSamplerTest, FilesThatMakeNoSenseAreLeftOut) {
  for (const char* file :
       {"stat", "self/stat", "meminfo", "pressure/io", "pressure/cpu", "diskstats", "net/dev"}) {
    put(std::string("proc/") + file, "cpu -1 x\nsome total=\neth0: 1 2 3 -4\n   8 0 sda 1\n((((");
  }
  LoadSampler sampler(top_ / "proc", top_ / "sys");
  for (int i = 0; i < 3; ++i) {
    const DeviceLoad load = sampler.sample({}, Time{seconds(100 + i)});
    EXPECT_EQ(load.cpu_permille + load.io_permille + load.nic_permille, 0);
  }
}

TEST_F(LoadSamplerTest, ThisMachineCanBeMeasured) {
  LoadSampler sampler("/proc", "/sys");
  for (int i = 0; i < 3; ++i) {
    const DeviceLoad load = sampler.sample({}, Time{seconds(100 + i)});
    EXPECT_LE(load.cpu_permille, 1000);
    EXPECT_LE(load.io_permille, 1000);
  }
  EXPECT_TRUE(ProcReader("/proc", "/sys").read(Time{seconds(1)}).cpu);
}

TEST_F(LoadSamplerTest, TheBusyMarkExpires) {
  LoadSampler sampler(top_ / "proc", top_ / "sys");
  const Time now{seconds(100)};
  EXPECT_FALSE(sampler.busy(now));
  sampler.set_busy(true, seconds(10), now);
  EXPECT_TRUE(sampler.busy(now + seconds(9)));
  EXPECT_TRUE(sampler.sample({}, now + seconds(9)).busy);
  EXPECT_FALSE(sampler.busy(now + seconds(10)));
}

TEST_F(LoadSamplerTest, TheBusyMarkWithoutADurationHoldsUntilItIsTakenBack) {
  LoadSampler sampler(top_ / "proc", top_ / "sys");
  const Time now{seconds(100)};
  sampler.set_busy(true, std::nullopt, now);
  EXPECT_TRUE(sampler.busy(now + seconds(100'000)));
  sampler.set_busy(false, std::nullopt, now);
  EXPECT_FALSE(sampler.busy(now));
}

TEST_F(LoadSamplerTest, TheBusiestOfTheGpusThatTheDriverTellsOfCounts) {
  for (const auto& [card, percent] : {std::pair{"card0", "12"}, std::pair{"card1", "83"}}) {
    std::filesystem::create_directories(top_ / "sys/class/drm" / card / "device");
    put(std::string("sys/class/drm/") + card + "/device/gpu_busy_percent", std::string(percent) + "\n");
  }
  const DeviceProbe probe({.sys = top_ / "sys", .nvidia_library = "libnothing.so"});
  wait_for([&] { return probe.found().gpus == 2; });
  EXPECT_EQ(probe.found().gpu_permille, 830);
}

// tests/fake/nvidia_ml.cc says that there are two GPUs, one of them at 64 %.
TEST_F(LoadSamplerTest, NvidiasLibraryIsAskedWhereItIs) {
  const DeviceProbe probe({.sys = top_ / "sys", .nvidia_library = FAKE_NVIDIA_ML});
  wait_for([&] { return probe.found().gpus == 2; });
  EXPECT_EQ(probe.found().gpu_permille, 640);
}

TEST_F(LoadSamplerTest, WithoutAGpuThereIsNoFigure) {
  const DeviceProbe probe({.sys = top_ / "sys", .nvidia_library = "libnothing.so"});
  wait_for([&] { return !probe.found().link_bytes_per_s.empty(); });
  EXPECT_EQ(probe.found().gpu_permille, std::nullopt);
  EXPECT_EQ(probe.found().link_bytes_per_s.at("eth0"), 12'500'000U);
}

}  // namespace
}  // namespace shoal
