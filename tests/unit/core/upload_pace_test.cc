#include "node/core/upload_pace.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

using std::chrono::seconds;

DeviceLoad loaded(int permille, std::uint64_t uploading = 0) {
  DeviceLoad load;
  load.cpu_permille = static_cast<std::uint16_t>(permille);
  load.upload_bytes_per_s = uploading;
  return load;
}

constexpr std::uint64_t kGigabit = 125'000'000;

TEST(UploadPace, AFreeMachineServesWithoutALimit) {
  UploadPace pace;
  EXPECT_EQ(pace.limit(), 0U);
  pace.on_own_state(loaded(90), kGigabit, Time{seconds(1)});
  EXPECT_EQ(pace.limit(), 0U);
}

TEST(UploadPace, ALoadedOneServesTheShareThatIsFree) {
  UploadPace pace;
  pace.on_own_state(loaded(600), kGigabit, Time{seconds(1)});
  EXPECT_NEAR(static_cast<double>(pace.limit()), 0.4 * kGigabit, 1);
  DeviceLoad busy;
  busy.busy = true;
  pace.on_own_state(busy, kGigabit, Time{seconds(2)});
  EXPECT_NEAR(static_cast<double>(pace.limit()), 0.1 * kGigabit, 1);
  pace.on_own_state(loaded(0), kGigabit, Time{seconds(3)});
  EXPECT_EQ(pace.limit(), 0U);
}

TEST(UploadPace, WithoutALinkSpeedTheMostServedIsTheCapacity) {
  UploadPace pace;
  pace.on_own_state(loaded(0, 80'000'000), 0, Time{seconds(1)});
  pace.on_own_state(loaded(500, 3'000'000), 0, Time{seconds(2)});
  EXPECT_NEAR(static_cast<double>(pace.limit()), 40e6, 0.1e6);
  UploadPace fresh;
  fresh.on_own_state(loaded(500), 0, Time{seconds(1)});
  EXPECT_EQ(fresh.limit(), 6'250'000U);
}

TEST(UploadPace, TheLimitNeverStarvesNeighbours) {
  UploadPace pace;
  pace.on_own_state(loaded(1000), 1'250'000, Time{seconds(1)});  // a link of 10 Mbit/s
  EXPECT_EQ(pace.limit(), 1U << 20U);
}

}  // namespace
}  // namespace shoal
