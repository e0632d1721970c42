#include "node/config/units.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

TEST(Units, SizesAreReadWithBinaryAndDecimalUnits) {
  EXPECT_EQ(parse_size("0").value(), 0U);
  EXPECT_EQ(parse_size("512").value(), 512U);
  EXPECT_EQ(parse_size("512B").value(), 512U);
  EXPECT_EQ(parse_size("200GiB").value(), 200ULL << 30U);
  EXPECT_EQ(parse_size("200GB").value(), 200'000'000'000U);
  EXPECT_EQ(parse_size(" 1.5 MiB ").value(), 1'572'864U);
}

TEST(Units, SizesWithoutAClearMeaningAreRefused) {
  for (const char* text : {"", "GiB", "-1GiB", "200G", "200 gib", "1e3", "1.5", "nan", "inf", "12MB/s",
                           "0x10", "99999999TiB", "1GiB extra"}) {
    const auto size = parse_size(text);
    ASSERT_FALSE(size) << text;
    EXPECT_EQ(size.error().code, Code::invalid);
    EXPECT_NE(size.error().message.find("'" + std::string(text) + "'"), std::string::npos);
  }
}

TEST(Units, RatesAreReadInBitsAndBytes) {
  EXPECT_EQ(parse_rate("0").value(), 0U);
  EXPECT_EQ(parse_rate("100Mbit/s").value(), 12'500'000U);
  EXPECT_EQ(parse_rate("1 Gbit/s").value(), 125'000'000U);
  EXPECT_EQ(parse_rate("12MB/s").value(), 12'000'000U);
  EXPECT_EQ(parse_rate("1.5MiB/s").value(), 1'572'864U);
  for (const char* text : {"", "100", "100Mbit", "12MB", "12 mb/s", "-1MB/s", "/s"}) {
    EXPECT_FALSE(parse_rate(text)) << text;
  }
}

TEST(Units, DurationsAreReadWithUnits) {
  using std::chrono::milliseconds;
  EXPECT_EQ(parse_duration("30s").value(), milliseconds(30'000));
  EXPECT_EQ(parse_duration("500ms").value(), milliseconds(500));
  EXPECT_EQ(parse_duration("1h30m").value(), milliseconds(5'400'000));
  EXPECT_EQ(parse_duration("2d").value(), milliseconds(172'800'000));
  for (const char* text : {"", "30", "s", "1h30", "-5s", "5 weeks", "999999d"}) {
    EXPECT_FALSE(parse_duration(text)) << text;
  }
}

TEST(Units, SizesArePrintedCutAndNeverRoundedUp) {
  EXPECT_EQ(format_size(0), "0 B");
  EXPECT_EQ(format_size(1023), "1023 B");
  EXPECT_EQ(format_size(1024), "1.0 KiB");
  EXPECT_EQ(format_size(1024 * 1024 - 1), "1023.9 KiB");
  EXPECT_EQ(format_size(44'238'300'000ULL), "41.2 GiB");
  EXPECT_EQ(format_rate(117'860'000), "112.4 MiB/s");
  EXPECT_EQ(format_size(~0ULL), "16383.9 PiB");
}

TEST(Units, DurationsArePrintedWithTwoUnitsAtMost) {
  EXPECT_EQ(format_duration(-3), "0s");
  EXPECT_EQ(format_duration(59), "59s");
  EXPECT_EQ(format_duration(190), "3m10s");
  EXPECT_EQ(format_duration(7500), "2h05m");
  EXPECT_EQ(format_duration(4 * 86400 + 3600), "4d01h");
}

}  // namespace
}  // namespace shoal
