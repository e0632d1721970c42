#include "node/endpoint/byte_range.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

using RangeKind = RangeChoice::Kind;

void expect_part(std::string_view header, std::uint64_t size, std::uint64_t first, std::uint64_t length) {
  const auto choice = choose_range(header, size);
  EXPECT_EQ(choice.kind, RangeKind::part) << header;
  EXPECT_EQ(choice.first, first) << header;
  EXPECT_EQ(choice.length, length) << header;
}

TEST(ByteRange, EveryFormOfOneRange) {
  expect_part("bytes=0-0", 100, 0, 1);
  expect_part("bytes=10-19", 100, 10, 10);
  expect_part("bytes=90-", 100, 90, 10);
  expect_part("bytes=-7", 100, 93, 7);
  expect_part("bytes=-1000", 100, 0, 100);
  expect_part("Bytes = 1 - 2", 100, 1, 2);
}

TEST(ByteRange, AnEndBehindTheFileIsClamped) {
  expect_part("bytes=90-100", 100, 90, 10);
  expect_part("bytes=0-99999999999999999999999999", 100, 0, 100);
}

TEST(ByteRange, AStartBehindTheFileCannotBeSatisfied) {
  for (const char* header : {"bytes=100-", "bytes=100-200", "bytes=-0", "bytes=99999999999999999999999-"}) {
    EXPECT_EQ(choose_range(header, 100).kind, RangeKind::unsatisfiable) << header;
  }
  EXPECT_EQ(choose_range("bytes=0-0", 0).kind, RangeKind::unsatisfiable);
}

TEST(ByteRange, WhatIsMalformedOrOfSeveralRangesMeansTheWholeFile) {
  for (const char* header : {"", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=5-4", "bytes=0-1,3-4",
                             "items=0-1", "bytes=1-2-3", "bytes=+1-2", "bytes=0x1-2"}) {
    const auto choice = choose_range(header, 100);
    EXPECT_EQ(choice.kind, RangeKind::whole) << header;
    EXPECT_EQ(choice.length, 100U) << header;
  }
}

TEST(ByteRange, OnlyAnOpenEndIsAResume) {
  EXPECT_TRUE(choose_range("bytes=5-", 100).to_the_end);
  EXPECT_FALSE(choose_range("bytes=5-99", 100).to_the_end);
  EXPECT_FALSE(choose_range("bytes=-5", 100).to_the_end);
}

TEST(Conditions, IfRangeWantsTheVeryTag) {
  EXPECT_TRUE(if_range_holds("", "\"a\""));
  EXPECT_TRUE(if_range_holds("\"a\"", "\"a\""));
  EXPECT_FALSE(if_range_holds("W/\"a\"", "\"a\""));
  EXPECT_FALSE(if_range_holds("\"b\"", "\"a\""));
  EXPECT_FALSE(if_range_holds("Fri, 25 Sep 2026 08:49:23 GMT", "\"a\""));
}

TEST(Conditions, IfNoneMatchComparesWeakly) {
  EXPECT_TRUE(names_etag("\"a\"", "\"a\""));
  EXPECT_TRUE(names_etag("W/\"a\"", "\"a\""));
  EXPECT_TRUE(names_etag("\"x\", \"a\" ,\"y\"", "\"a\""));
  EXPECT_TRUE(names_etag("*", "\"a\""));
  EXPECT_FALSE(names_etag("\"x\",,", "\"a\""));
  EXPECT_FALSE(names_etag("a", "\"a\""));
}

}  // namespace
}  // namespace shoal
