#include "transport/origin/content_range.h"
#include "transport/origin/http_date.h"
#include "transport/origin/link_header.h"
#include "transport/origin/rate_limit_header.h"
#include "transport/origin/response_head.h"
#include "transport/origin/signed_url.h"

#include <chrono>
#include <optional>
#include <string>

#include <gtest/gtest.h>

namespace shoal {
namespace {

using std::chrono::seconds;

constexpr WallTime kNow{1'790'000'000'000};  // 2026-09-21 14:13:20 UTC

TEST(LinkHeader, NamesTheNextPage) {
  const struct {
    const char* header;
    std::optional<std::string> next;
  } rows[] = {
      {"<https://h/api?cursor=x>; rel=\"next\"", "https://h/api?cursor=x"},
      {"<https://h/a>; rel=next", "https://h/a"},
      {"<https://h/a>;rel=\"next\"", "https://h/a"},
      {"<https://h/p>; rel=\"prev\", <https://h/n>; rel=\"next\"", "https://h/n"},
      {"<https://h/a,b;c>; title=\"x, rel=next; y\"; rel=\"last next\"", "https://h/a,b;c"},
      {"<https://h/a>; REL=\"NEXT\"", "https://h/a"},
      {"<https://h/a>; rel=\"prev\"", std::nullopt},
      {"<https://h/a>; title=\"rel=next\"", std::nullopt},
      {"<https://h/a>", std::nullopt},
      {"<https://h/a", std::nullopt},
      {"https://h/a; rel=next", std::nullopt},
      {"<a>; rel=\"next", std::nullopt},
      {"<a>; title=\"\\", std::nullopt},
      {"", std::nullopt},
  };
  for (const auto& row : rows) EXPECT_EQ(parse_link_next(row.header), row.next) << row.header;
}

TEST(RateLimitHeader, IsReadAsTheHubWritesIt) {
  EXPECT_EQ(parse_rate_limit("\"resolvers\";r=2998;t=172"), (RateLimit{"resolvers", 2998, seconds(172)}));
  EXPECT_EQ(parse_rate_limit("\"api\"; r=0; t=5"), (RateLimit{"api", 0, seconds(5)}));
  EXPECT_EQ(parse_rate_limit("\"a\";r=5;t=1, \"b;c\";r=0;t=9"), (RateLimit{"b;c", 0, seconds(9)}));
  for (const char* bad :
       {"", "\"api\"", "\"api\";t=5", "\"api\";r=-1;t=5", "\"api\";r=x", ";;;", "\"r=0;t=1"}) {
    EXPECT_FALSE(parse_rate_limit(bad)) << bad;
  }
  EXPECT_EQ(parse_rate_limit_policy("\"fixed window\";\"resolvers\";q=3000;w=300"),
            (RateLimitPolicy{3000, seconds(300)}));
  EXPECT_FALSE(parse_rate_limit_policy("\"resolvers\";q=3000"));
}

TEST(RetryAfter, IsSecondsOrADate) {
  EXPECT_EQ(parse_retry_after("120", kNow), seconds(120));
  EXPECT_EQ(parse_retry_after(" 0 ", kNow), seconds(0));
  EXPECT_EQ(parse_retry_after("Mon, 21 Sep 2026 14:13:50 GMT", kNow), seconds(30));
  EXPECT_EQ(parse_retry_after("Mon, 21 Sep 2026 14:00:00 GMT", kNow), seconds(0));
  EXPECT_EQ(parse_retry_after("99999999999", kNow), seconds(366LL * 24 * 3600));
  for (const char* bad : {"", "-1", "1.5", "soon", "99999999999999999999999"}) {
    EXPECT_FALSE(parse_retry_after(bad, kNow)) << bad;
  }
}

TEST(LimitPause, TakesTheBucketThenRetryAfterThenTheWindow) {
  EXPECT_EQ(limit_pause({"\"r\";r=0;t=5", "", "99"}, kNow), seconds(6));
  EXPECT_EQ(limit_pause({"\"r\";r=7;t=5", "", "2"}, kNow), seconds(3));
  EXPECT_EQ(limit_pause({"", "", "2"}, kNow), seconds(3));
  EXPECT_EQ(limit_pause({"\"r\";r=0", "\"r\";q=3;w=300", ""}, kNow), seconds(300));
  EXPECT_FALSE(limit_pause({"", "\"r\";q=3;w=300", ""}, kNow));
  EXPECT_FALSE(limit_pause({"", "", "soon"}, kNow));
}

TEST(ContentRange, IsOneRangeInsideItsTotal) {
  EXPECT_EQ(parse_content_range("bytes 0-99/1000"), (ContentRange{0, 99, 1000}));
  EXPECT_EQ(parse_content_range("Bytes 5-5/6"), (ContentRange{5, 5, 6}));
  EXPECT_EQ(parse_content_range("bytes 0-99/*"), (ContentRange{0, 99, std::nullopt}));
  for (const char* bad : {"", "bytes", "bytes */1000", "bytes 9-5/1000", "bytes 0-1000/1000", "bytes -5/10",
                          "bytes 5-/10", "items 0-1/2", "bytes 0-1", "bytes 0-1/x", "bytes +0-1/2",
                          "bytes 0-18446744073709551616/*", "bytes 0-1,3-4/10"}) {
    EXPECT_FALSE(parse_content_range(bad)) << bad;
  }
}

TEST(HttpDate, IsReadInItsOneForm) {
  EXPECT_EQ(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), (WallTime{784'111'777'000}));
  EXPECT_EQ(parse_http_date("Mon, 21 Sep 2026 14:13:20 GMT"), kNow);
  for (const char* bad :
       {"", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "Sun, 31 Feb 2026 08:49:37 GMT",
        "Sun, 06 Xyz 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 Nov 1994 08:49:37 CET",
        "Sun, 06 Nov 1900 08:49:37 GMT"}) {
    EXPECT_FALSE(parse_http_date(bad)) << bad;
  }
  EXPECT_EQ(parse_compact_date("20260921T141320Z"), kNow);
  EXPECT_FALSE(parse_compact_date("20261321T141320Z"));
  EXPECT_FALSE(parse_compact_date("2026-09-21T14:13"));
}

TEST(SignedUrl, SaysWhenItEnds) {
  EXPECT_EQ(signed_url_expiry("a=1&Expires=1790000100&Signature=x", kNow), (WallTime{1'790'000'100'000}));
  EXPECT_EQ(signed_url_expiry("X-Amz-Date=20260921T141320Z&X-Amz-Expires=60", kNow),
            (WallTime{kNow.ms + 60'000}));
  EXPECT_EQ(signed_url_expiry("X-Amz-Expires=3600", kNow), (WallTime{kNow.ms + 3'600'000}));
  EXPECT_EQ(signed_url_expiry("X-Goog-Date=20260921T141320Z&X-Goog-Expires=30", kNow),
            (WallTime{kNow.ms + 30'000}));
  // The inner signature ends first.
  EXPECT_EQ(signed_url_expiry("X-Amz-Expires=10&Expires=1790000100", kNow), (WallTime{kNow.ms + 10'000}));
  for (const char* none :
       {"", "a=1", "Expires=", "Expires=soon", "Expires=99999999999999999999", "Expires=-5"}) {
    EXPECT_FALSE(signed_url_expiry(none, kNow)) << none;
  }
}

TEST(SignedUrl, IsKeptALittleShorterThanItLives) {
  EXPECT_EQ(signed_url_keep("X-Amz-Expires=3600", kNow), seconds(3540));
  EXPECT_EQ(signed_url_keep("X-Amz-Expires=10", kNow), seconds(5));
  EXPECT_EQ(signed_url_keep("X-Amz-Expires=1", kNow), seconds(0));
  EXPECT_EQ(signed_url_keep("", kNow), seconds(3000));
  EXPECT_EQ(signed_url_keep("Expires=1000000000", kNow), seconds(20));
  EXPECT_EQ(signed_url_keep("X-Amz-Expires=99999999", kNow), seconds(12 * 3600));
}

TEST(Etag, LosesQuotesAndWeakness) {
  EXPECT_EQ(bare_etag("\"abc\""), "abc");
  EXPECT_EQ(bare_etag("W/\"abc\""), "abc");
  EXPECT_EQ(bare_etag("abc"), "abc");
  EXPECT_EQ(bare_etag("\""), "\"");
  EXPECT_EQ(bare_etag(""), "");
}

}  // namespace
}  // namespace shoal
