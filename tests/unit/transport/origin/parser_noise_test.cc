// Every parser of outside bytes stands random damage: it answers or refuses, and what it lets through keeps
// its word. The generator is seeded with a constant, so a failure repeats.
#include "transport/origin/content_range.h"
#include "transport/origin/http_date.h"
#include "transport/origin/link_header.h"
#include "transport/origin/rate_limit_header.h"
#include "transport/origin/repo_json.h"
#include "transport/origin/signed_url.h"
#include "transport/origin/url.h"

#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace shoal {
namespace {

constexpr WallTime kNow{1'790'000'000'000};

std::string damaged(const std::string& text, std::mt19937& random) {
  constexpr std::string_view kSpice = "\"\\<>;,=/:?#[]{}@%*-0189 \n\xFF";
  std::string out = text;
  const auto any = [&](std::size_t below) { return static_cast<std::size_t>(random() % below); };
  for (std::size_t n = 1 + any(4); n > 0 && !out.empty(); --n) {
    const std::size_t at = any(out.size());
    switch (any(4)) {
      case 0:
        out[at] = kSpice[any(kSpice.size())];
        break;
      case 1:
        out.erase(at, 1 + any(8));
        break;
      case 2:
        out.insert(at, out.substr(any(out.size()), 1 + any(20)));
        break;
      default:
        out[at] = static_cast<char>(random() & 0xFFU);
        break;
    }
  }
  return out;
}

void parse_all(const std::string& text) {
  if (const auto url = parse_url(text)) {
    // Put together again it must mean the same, or the token could go by another host than it was checked
    // for.
    EXPECT_EQ(parse_url(url->text()), url) << text;
  }
  static const Url base = *parse_url("https://hub/a/b");
  if (const auto url = base.resolve(text)) {
    EXPECT_EQ(parse_url(url->text()), url) << text;
  }
  static_cast<void>(parse_link_next(text));
  if (const auto pause = limit_pause({text, text, text}, kNow)) {
    EXPECT_GE(pause->count(), 0);
  }
  if (const auto range = parse_content_range(text)) {
    EXPECT_LE(range->first, range->last);
    EXPECT_LT(range->last, range->total.value_or(UINT64_MAX));
  }
  static_cast<void>(parse_http_date(text));
  static_cast<void>(parse_compact_date(text));
  EXPECT_GT(signed_url_keep(text, kNow).count(), -1);
  static_cast<void>(parse_repo_info(text));
  if (const auto files = parse_tree_page(text)) {
    for (const RepoFile& file : *files) {
      EXPECT_TRUE(is_valid_repo_path(file.path));
      EXPECT_LE(file.blob.size, kMaxBlobSize);
    }
  }
}

TEST(Parsers, StandRandomDamage) {
  const std::string sha1(40, 'a');
  const std::string sha256(64, 'b');
  const std::vector<std::string> seeds = {
      "https://us.aws.cdn.hf.co:8443/xet/1?Expires=1790000100&X-Amz-Date=20260921T141320Z&X-Amz-Expires=60",
      "http://[::1]:80/a%20b?c=d#e",
      "//cdn/x",
      "<https://h/api?cursor=x>; rel=\"prev\", <https://h/n>; title=\"a,b\"; rel=\"next\"",
      "\"fixed window\";\"resolvers\";q=3000;w=300, \"api\";r=0;t=172",
      "Mon, 21 Sep 2026 14:13:50 GMT",
      "20260921T141320Z",
      "bytes 0-99/1000",
      "Expires=1790000100&X-Goog-Expires=60",
      R"({"id":"org/name","sha":")" + sha1 +
          R"(","gated":"auto","private":false,"siblings":[{"rfilename":"a"}]})",
      R"([{"type":"file","path":"a/b","size":1,"oid":")" + sha1 +
          R"("},{"type":"file","path":"c","size":9,"oid":")" + sha1 + R"(","lfs":{"oid":")" + sha256 +
          R"(","size":9}}])",
  };
  std::mt19937 random(20260921);  // NOLINT(cert-msc51-cpp): the same every time, on purpose
  for (int round = 0; round < 3000; ++round) {
    for (const std::string& seed : seeds) parse_all(damaged(seed, random));
  }
}

}  // namespace
}  // namespace shoal
