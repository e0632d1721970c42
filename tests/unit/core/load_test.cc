#include "node/core/load.h"

#include "node/core/load_filter.h"
#include "node/core/load_meter.h"
#include "node/core/thread_share.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// A machine of one core of 100 ticks, an idle disk and a link of 1000 bytes per second.
LoadReading idle_machine() {
  LoadReading reading;
  reading.at = Time{seconds(1000)};
  reading.cpu = {5000, 4000, 300};
  reading.memory = {1000, 500};
  reading.cpu_wait_us = reading.memory_wait_us = reading.io_wait_us = 7'000'000;
  reading.disks = {{"sda", 9000, 1'000'000}};
  reading.links = {{"eth0", 70'000, 80'000, 1000}};
  return reading;
}

// The load of one second in which `change` happened.
template <typename Change>
DeviceLoad load_after(Change change) {
  LoadMeter meter;
  LoadReading reading = idle_machine();
  EXPECT_EQ(meter.add(reading), DeviceLoad{});
  reading.at += seconds(1);
  change(reading);
  return meter.add(reading);
}

TEST(LoadMeter, OwnProcessorTimeIsNoLoad) {
  const auto load = load_after([](LoadReading& r) {
    r.cpu->total += 100;
    r.cpu->idle += 10;
    r.cpu->own += 90;
    *r.cpu_wait_us += 900'000;  // its own threads waited for each other
  });
  EXPECT_EQ(load.cpu_permille, 0);
}

TEST(LoadMeter, ProcessorTimeOfOthersIsLoad) {
  const auto load = load_after([](LoadReading& r) {
    r.cpu->total += 100;
    r.cpu->idle += 20;
    r.cpu->own += 30;
  });
  EXPECT_EQ(load.cpu_permille, 500);
}

TEST(LoadMeter, WaitingForTheProcessorIsBlamedOnOthersInProportion) {
  const auto load = load_after([](LoadReading& r) {
    r.cpu->total += 100;
    r.cpu->idle += 50;
    r.cpu->own += 10;
    *r.cpu_wait_us += 800'000;
  });
  EXPECT_EQ(load.cpu_permille, 640);  // 80 % of the time somebody waited, and 40 of 50 ticks were the others'
}

TEST(LoadMeter, MemoryPressureCountsOnlyWhileMemoryIsShort) {
  const auto busy_cache = load_after([](LoadReading& r) { *r.memory_wait_us += 400'000; });
  EXPECT_EQ(busy_cache.memory_permille, 0);
  const auto tight = load_after([](LoadReading& r) {
    *r.memory_wait_us += 400'000;
    r.memory->available_kib = 100;
  });
  EXPECT_EQ(tight.memory_permille, 400);
}

TEST(LoadMeter, WithoutPressureFiguresMemoryIsShortWhenLittleIsAvailable) {
  const auto load_at = [](std::uint64_t available) {
    return load_after([available](LoadReading& r) {
             r.memory_wait_us.reset();
             r.memory->available_kib = available;
           })
        .memory_permille;
  };
  EXPECT_EQ(load_at(500), 0);
  EXPECT_EQ(load_at(60), 500);
  EXPECT_EQ(load_at(10), 1000);
}

TEST(LoadMeter, WaitingForTheDiskBecauseOfOwnWritesIsNoLoad) {
  const auto load = load_after([](LoadReading& r) {
    *r.io_wait_us += 900'000;
    r.own_io_wait_us += 900'000;
    r.own_disk_bytes += 50'000;
    r.disks[0].bytes += 50'000;
  });
  EXPECT_EQ(load.io_permille, 0);
}

TEST(LoadMeter, WaitingOfOthersForTheDiskIsLoad) {
  const auto load = load_after([](LoadReading& r) {
    *r.io_wait_us += 900'000;
    r.own_io_wait_us += 100'000;
    r.own_disk_bytes += 50'000;
    r.disks[0].bytes += 50'000;
  });
  EXPECT_EQ(load.io_permille, 800);
}

TEST(LoadMeter, WhereBothWaitForTheDiskTheOthersPartOfTheBytesCounts) {
  const auto load = load_after([](LoadReading& r) {
    *r.io_wait_us += 1'000'000;
    r.own_io_wait_us += 1'000'000;
    r.own_disk_bytes += 20'000;
    r.disks[0].bytes += 80'000;
  });
  EXPECT_EQ(load.io_permille, 750);
}

TEST(LoadMeter, OwnBytesThatTheKernelWritesLaterAreStillOwn) {
  LoadMeter meter;
  LoadReading reading = idle_machine();
  (void)meter.add(reading);
  for (int second = 1; second <= 9; ++second) {
    reading.at += seconds(1);
    *reading.io_wait_us += 500'000;
    reading.own_io_wait_us += 500'000;
    reading.own_disk_bytes += 10'000;
    if (second % 3 == 0) reading.disks[0].bytes += 27'000;  // three seconds' worth, less what is forgotten
    EXPECT_EQ(meter.add(reading).io_permille, 0) << second;
  }
}

TEST(LoadMeter, WithoutPressureFiguresTheDiskIsAsLoadedAsOthersKeepItBusy) {
  const auto load = load_after([](LoadReading& r) {
    r.io_wait_us.reset();
    r.disks[0].busy_ms += 800;
    r.disks[0].bytes += 40'000;
    r.own_disk_bytes += 10'000;
  });
  EXPECT_EQ(load.io_permille, 600);
}

TEST(LoadMeter, OwnTrafficOnTheLinkIsNoLoad) {
  const auto load = load_after([](LoadReading& r) {
    r.own_received += 900;
    r.own_sent += 300;
    r.links[0].received += 950;
    r.links[0].sent += 330;
  });
  EXPECT_EQ(load.nic_permille, 0);
}

TEST(LoadMeter, TrafficOfOthersIsLoadInTheBusierDirection) {
  const auto load = load_after([](LoadReading& r) {
    r.own_received += 100;
    r.links[0].received += 405;
    r.links[0].sent += 100;
  });
  EXPECT_EQ(load.nic_permille, 300);
}

TEST(LoadMeter, ALinkOfUnknownSpeedCountsForNothing) {
  const auto load = load_after([](LoadReading& r) {
    r.links[0].bytes_per_s = 0;
    r.links[0].received += 1'000'000;
  });
  EXPECT_EQ(load.nic_permille, 0);
}

TEST(LoadMeter, CountersThatBeginAnewTellNothing) {
  const auto load = load_after([](LoadReading& r) {
    r.cpu = {100, 10, 0};
    r.cpu_wait_us = r.memory_wait_us = r.io_wait_us = 0;
    r.disks = {{"sda", 0, 0}};
    r.links = {{"eth0", 0, 0, 1000}};
  });
  EXPECT_EQ(load, DeviceLoad{});
}

TEST(LoadMeter, AMachineOfWhichNothingCanBeReadHasNoLoad) {
  const auto load = load_after([](LoadReading& r) {
    const Time at = r.at;
    r = {};
    r.at = at;
  });
  EXPECT_EQ(load, DeviceLoad{});
}

TEST(LoadMeter, TheGpuIsAsTheDriverSays) {
  EXPECT_EQ(load_after([](LoadReading& r) { r.gpu_permille = 870; }).gpu_permille, 870);
}

DeviceLoad cpu(int permille) {
  DeviceLoad load;
  load.cpu_permille = static_cast<std::uint16_t>(permille);
  return load;
}

TEST(LoadFilter, ALoadIsSeenWithinTwoSamplesAndGoneWithinThree) {
  LoadFilter filter;
  Time now{seconds(50)};
  EXPECT_EQ(filter.add(cpu(0), now).cpu_permille, 0);
  EXPECT_EQ(filter.add(cpu(1000), now += seconds(1)).cpu_permille, 700);
  EXPECT_EQ(filter.add(cpu(1000), now += seconds(1)).cpu_permille, 910);
  EXPECT_GT(filter.add(cpu(1000), now += seconds(1)).cpu_permille, 960);
  EXPECT_LT(filter.add(cpu(0), now += seconds(1)).cpu_permille, 250);
  EXPECT_LT(filter.add(cpu(0), now += seconds(1)).cpu_permille, 70);
  EXPECT_LT(filter.add(cpu(0), now += seconds(1)).cpu_permille, 20);
  for (int i = 0; i < 3; ++i) (void)filter.add(cpu(0), now += seconds(1));
  EXPECT_EQ(filter.add(cpu(0), now += seconds(1)).cpu_permille, 0);
}

TEST(LoadFilter, SamplesThatComeTwiceAsOftenGiveTheSame) {
  LoadFilter once;
  LoadFilter twice;
  Time now{seconds(50)};
  (void)once.add(cpu(0), now);
  (void)twice.add(cpu(0), now);
  (void)twice.add(cpu(800), now + milliseconds(500));
  EXPECT_EQ(once.add(cpu(800), now + seconds(1)), twice.add(cpu(800), now + seconds(1)));
}

TEST(LoadFilter, TheBusyMarkAndTheRatesPassAtOnce) {
  LoadFilter filter;
  DeviceLoad load;
  load.busy = true;
  load.upload_bytes_per_s = 12'345;
  EXPECT_EQ(filter.add(load, Time{seconds(1)}), load);
  EXPECT_EQ(filter.add(DeviceLoad{}, Time{seconds(2)}), DeviceLoad{});
}

TEST(FreeCapacity, IsWhatTheWorstPartLeavesAndNeverBelowATenth) {
  EXPECT_DOUBLE_EQ(free_capacity(cpu(250)), 0.75);
  EXPECT_DOUBLE_EQ(free_capacity(cpu(1000)), 0.10);
  DeviceLoad load = cpu(250);
  load.gpu_permille = 600;
  EXPECT_DOUBLE_EQ(free_capacity(load), 0.40);
  load.busy = true;
  EXPECT_DOUBLE_EQ(free_capacity(load), 0.10);
}

TEST(ThreadShare, IsAtLeastOneThreadAndAtMostAll) {
  EXPECT_EQ(thread_share(2, 1.0), 2);
  EXPECT_EQ(thread_share(2, 0.75), 2);
  EXPECT_EQ(thread_share(2, 0.7), 1);
  EXPECT_EQ(thread_share(2, 0.1), 1);
  EXPECT_EQ(thread_share(8, 0.5), 4);
}

}  // namespace
}  // namespace shoal
