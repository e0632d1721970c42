#include "transport/origin/url.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

TEST(Url, IsTakenApartAndPutTogether) {
  const auto url = parse_url("HTTPS://CDN.example.org:8443/a/b%20c?x=1&y=2#part");
  ASSERT_TRUE(url);
  EXPECT_TRUE(url->tls);
  EXPECT_EQ(url->host, "cdn.example.org");
  EXPECT_EQ(url->port, 8443);
  EXPECT_EQ(url->path, "/a/b%20c");
  EXPECT_EQ(url->query, "x=1&y=2");
  EXPECT_EQ(url->origin(), "https://cdn.example.org:8443");
  EXPECT_EQ(url->text(), "https://cdn.example.org:8443/a/b%20c?x=1&y=2");
}

TEST(Url, HasTheUsualPortsAndPath) {
  EXPECT_EQ(parse_url("https://h")->text(), "https://h/");
  EXPECT_EQ(parse_url("https://h:443/")->text(), "https://h/");
  EXPECT_EQ(parse_url("http://h:80?q")->text(), "http://h/?q");
  EXPECT_EQ(parse_url("http://[::1]:8420/x")->text(), "http://[::1]:8420/x");
  EXPECT_EQ(parse_url("http://h/\xC3\xA9")->path, "/%C3%A9");
}

TEST(Url, RefusesWhatTwoParsersCouldReadInTwoWays) {
  for (const char* text : {"",
                           "huggingface.co",
                           "ftp://h/",
                           "https:/h",
                           "https:h",
                           "https://",
                           "https://user@h/",
                           "https://h@evil/",
                           "https://h\\@evil/",
                           "https://h\\evil/",
                           "https://h evil/",
                           "https://h:0/",
                           "https://h:65536/",
                           "https://h:x/",
                           "https://h:/",
                           "https://h/a b",
                           "https://h/a\nb",
                           "https://h/a\\b",
                           "https://[h]/",
                           "https://[::1/",
                           "https://h%2eevil/",
                           "https://h\xC3\xA9/",
                           "javascript:alert(1)",
                           "file:///etc/passwd"}) {
    EXPECT_FALSE(parse_url(text)) << text;
  }
  EXPECT_FALSE(parse_url("https://h/" + std::string(9000, 'a')));
}

TEST(Url, ResolvesReferencesAsARedirectMeansThem) {
  const Url base = *parse_url("https://hub:8443/a/b?old=1");
  EXPECT_EQ(base.resolve("/c/d?x=1")->text(), "https://hub:8443/c/d?x=1");
  EXPECT_EQ(base.resolve("c")->text(), "https://hub:8443/a/c");
  EXPECT_EQ(base.resolve("?n=2")->text(), "https://hub:8443/a/b?n=2");
  EXPECT_EQ(base.resolve("//cdn/x")->text(), "https://cdn/x");
  EXPECT_EQ(base.resolve("http://cdn/x")->text(), "http://cdn/x");
  EXPECT_EQ(base.resolve("/c?u=http://x/")->text(), "https://hub:8443/c?u=http://x/");
  EXPECT_FALSE(base.resolve(""));
  EXPECT_FALSE(base.resolve("javascript:x"));
  EXPECT_FALSE(base.resolve("/a b"));
  EXPECT_FALSE(base.resolve("/\\evil"));
}

TEST(Url, ComparesSchemeHostAndPort) {
  const Url hub = *parse_url("https://hub/");
  EXPECT_TRUE(hub.same_origin(*parse_url("https://HUB:443/x")));
  EXPECT_FALSE(hub.same_origin(*parse_url("http://hub/")));
  EXPECT_FALSE(hub.same_origin(*parse_url("https://hub:444/")));
  EXPECT_FALSE(hub.same_origin(*parse_url("https://hub.evil/")));
}

TEST(Escaping, KeepsOnlyUnreservedCharacters) {
  EXPECT_EQ(escape_segment("refs/pr/1"), "refs%2Fpr%2F1");
  EXPECT_EQ(escape_path("a b/%41#?&+\"'[].txt"), "a%20b/%2541%23%3F%26%2B%22%27%5B%5D.txt");
  EXPECT_EQ(escape_path("\xC3\xA9~-._"), "%C3%A9~-._");
}

TEST(Escaping, IsUndone) {
  EXPECT_EQ(unescape("a%20b+c%2F"), "a b+c/");
  EXPECT_FALSE(unescape("a%2"));
  EXPECT_FALSE(unescape("a%2x"));
  EXPECT_EQ(query_value("a=1&X-Amz-Expires=%33600&b", "x-amz-expires"), "3600");
  EXPECT_FALSE(query_value("a=1", "b"));
  EXPECT_FALSE(query_value("", "b"));
}

}  // namespace
}  // namespace shoal
