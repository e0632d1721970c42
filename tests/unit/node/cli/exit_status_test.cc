#include "node/cli/exit_status.h"

#include <gtest/gtest.h>

namespace shoal::cli {
namespace {

TEST(ExitStatus, EveryCodeHasTheStatusThatScriptsRelyOn) {
  EXPECT_EQ(exit_status_of(Code::not_found), 4);
  EXPECT_EQ(exit_status_of(Code::unauthorized), 5);
  EXPECT_EQ(exit_status_of(Code::gated), 5);
  EXPECT_EQ(exit_status_of(Code::corrupt), 6);
  EXPECT_EQ(exit_status_of(Code::no_space), 7);
  EXPECT_EQ(exit_status_of(Code::invalid), 2);
  for (const Code code : {Code::io, Code::timeout, Code::rate_limited, Code::unavailable, Code::cancelled,
                          Code::expired, Code::changed}) {
    EXPECT_EQ(exit_status_of(code), 1) << to_string(code);
  }
}

TEST(ExitStatus, NamesOfCodesAreReadAndUnknownOnesAreFailures) {
  EXPECT_EQ(exit_status_of("gated"), 5);
  EXPECT_EQ(exit_status_of("foreign_host"), 5);
  EXPECT_EQ(exit_status_of("invented"), 1);
  EXPECT_EQ(exit_status_of(""), 1);
}

TEST(ExitStatus, WorkThatFailedLaterIsNotWrongUsage) {
  EXPECT_EQ(exit_status_of_work("invalid"), 1);
  EXPECT_EQ(exit_status_of_work("no_space"), 7);
}

}  // namespace
}  // namespace shoal::cli
