#include "transport/origin/repo_json.h"

#include <string>

#include <gtest/gtest.h>

namespace shoal {
namespace {

const std::string kSha1 = "0123456789012345678901234567890123456789";
const std::string kSha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

std::string why(const Result<std::vector<RepoFile>>& result) {
  return result ? "no error" : result.error().message;
}

TEST(RepoInfoJson, IsReadWithWhatElseTheHubSends) {
  const auto info =
      parse_repo_info(R"({"_id":"621ffdc0","id":"org/name","modelId":"org/other","sha":")" + kSha1 +
                      R"(","private":true,"gated":"auto","disabled":false,
      "siblings":[{"rfilename":"sha","sha":"x"}],"cardData":{"id":5,"gated":false},"config":null,"likes":1.5})");
  ASSERT_TRUE(info) << info.error().message;
  EXPECT_EQ(info->id, "org/name");
  EXPECT_EQ(info->commit, kSha1);
  EXPECT_TRUE(info->is_private);
  EXPECT_TRUE(info->gated);
  EXPECT_FALSE(info->disabled);
  EXPECT_FALSE(parse_repo_info(R"({"gated":false,"sha":")" + kSha1 + "\"}")->gated);
}

TEST(RepoInfoJson, WithoutACommitIsRefused) {
  for (const std::string& bad :
       {std::string(), std::string("{"), std::string("[]"), std::string("5"), std::string("{}"),
        std::string(R"({"sha":5})"), std::string(R"({"sha":"main"})"), std::string(R"({"sha":{}})"),
        R"({"id":"../../etc","sha":")" + kSha1 + "\"}", R"({"sha":")" + kSha1 + "\"} trailing",
        std::string(100'000, '['), std::string("{\"a\":") + std::string(100'000, '[')}) {
    const auto info = parse_repo_info(bad);
    ASSERT_FALSE(info) << bad.substr(0, 60);
    EXPECT_EQ(info.error().code, Code::invalid);
  }
}

TEST(TreeJson, GivesLfsFilesTheirSha256AndRealSize) {
  const auto files =
      parse_tree_page(R"([
    {"type":"directory","oid":")" +
                      kSha1 + R"(","size":0,"path":"sub"},
    {"type":"file","oid":")" +
                      kSha1 + R"(","size":186,"path":"sub/a.txt","lastCommit":{"id":"x","lfs":{"oid":"y"}}},
    {"type":"file","oid":")" +
                      kSha1 + R"(","size":1048576,"path":"w.bin",
     "lfs":{"oid":")" +
                      kSha256 + R"(","size":1048576,"pointerSize":132},"xetHash":"zz"},
    {"path":"empty","size":0,"oid":"e69de29bb2d1d6434b8b29ae775ad8c2e48c5391","type":"file"}])");
  ASSERT_TRUE(files) << why(files);
  ASSERT_EQ(files->size(), 3U);
  EXPECT_EQ((*files)[0], (RepoFile{"sub/a.txt", *BlobId::from_etag(kSha1, 186)}));
  EXPECT_EQ((*files)[1], (RepoFile{"w.bin", *BlobId::from_etag(kSha256, 1048576)}));
  EXPECT_EQ((*files)[2].blob.size, 0U);
  EXPECT_TRUE(parse_tree_page("[]")->empty());
}

TEST(TreeJson, NamesTheBadEntry) {
  const auto entry = [](const std::string& path, const std::string& rest) {
    return "[{\"type\":\"file\",\"path\":\"" + path + "\"," + rest + "}]";
  };
  const std::string good = "\"size\":1,\"oid\":\"" + kSha1 + "\"";
  for (const std::string bad : {"../etc/passwd", "/etc/passwd", "a//b", "a/./b", "a\\\\b", "a\\u0000b", ""}) {
    const auto files = parse_tree_page(entry(bad, good));
    ASSERT_FALSE(files) << bad;
    EXPECT_NE(why(files).find("not an allowed path"), std::string::npos) << why(files);
  }
  const struct {
    std::string rest;
    const char* why;
  } rows[] = {
      {"\"oid\":\"" + kSha1 + "\"", "'a' has no valid size"},
      {"\"size\":-1,\"oid\":\"" + kSha1 + "\"", "'a' has no valid size"},
      {"\"size\":1.5,\"oid\":\"" + kSha1 + "\"", "'a' has no valid size"},
      {"\"size\":\"1\",\"oid\":\"" + kSha1 + "\"", "'a' has no valid size"},
      {"\"size\":99999999999999999999,\"oid\":\"" + kSha1 + "\"", "'a' has no valid size"},
      {"\"size\":70368744177665,\"oid\":\"" + kSha1 + "\"", "'a' has no valid size"},
      {"\"size\":1", "'a' has no valid hash"},
      {"\"size\":1,\"oid\":\"" + kSha256 + "\"", "'a' has no valid hash"},
      {"\"size\":1,\"oid\":\"ABCDEF6789012345678901234567890123456789\"", "'a' has no valid hash"},
      {good + ",\"lfs\":{\"oid\":\"" + kSha1 + "\",\"size\":1}", "'a' has no valid hash"},
      {good + ",\"lfs\":{\"size\":1}", "'a' has no valid hash"},
      {good + ",\"lfs\":{\"oid\":\"" + kSha256 + "\"}", "'a' has no valid size"},
      {good + ",\"lfs\":{\"oid\":\"" + kSha256 + "\",\"size\":2}", "'a' has two different sizes"},
  };
  for (const auto& row : rows) {
    const auto files = parse_tree_page(entry("a", row.rest));
    ASSERT_FALSE(files) << row.rest;
    EXPECT_NE(why(files).find(row.why), std::string::npos) << why(files) << " for " << row.rest;
  }
}

TEST(TreeJson, RefusesWhatIsNoListing) {
  for (const std::string& bad :
       {std::string(), std::string("{}"), std::string("[5]"), std::string("[[]]"), std::string("[{}]"),
        std::string("[{\"type\":\"file\"}]"), std::string("\"x\""),
        std::string("[{\"path\":5,\"type\":\"file\"}]"), std::string("[") + std::string(99, '['),
        std::string("[{\"a\":") + std::string(100'000, '[')}) {
    EXPECT_FALSE(parse_tree_page(bad)) << bad.substr(0, 60);
  }
}

}  // namespace
}  // namespace shoal
