#include "node/core/ids.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

constexpr const char* kSha = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
constexpr const char* kGit = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391";

TEST(BlobId, ReadsBothKindsFromTheHubsEtagAndWritesThemBack) {
  EXPECT_EQ(BlobId::from_etag(kSha, 0)->text(), std::string("sha256:") + kSha);
  EXPECT_EQ(BlobId::from_etag(kGit, 0)->text(), std::string("git-sha1:") + kGit);
  EXPECT_EQ(BlobId::parse(std::string("git-sha1:") + kGit, 7), BlobId::from_etag(kGit, 7));
}

TEST(BlobId, RefusesWrongLengthUpperCaseAndWrongScheme) {
  EXPECT_FALSE(BlobId::from_etag("abc", 0));
  EXPECT_FALSE(BlobId::from_etag(std::string(64, 'A'), 0));
  EXPECT_FALSE(BlobId::parse(std::string("sha256:") + kGit, 0));
  EXPECT_FALSE(BlobId::parse(kSha, 0));
}

TEST(RepoName, FollowsTheHubsRule) {
  for (const char* good : {"gpt2", "org/name", "a/b.c-d_e", "Org/Name1"})
    EXPECT_TRUE(is_valid_repo_name(good)) << good;
  for (const char* bad : {"", "a/b/c", "a--b", "a/..", "/a", "a/", "a/.b", "a/b.git", "a b", "a/b-"})
    EXPECT_FALSE(is_valid_repo_name(bad)) << bad;
}

TEST(RepoPath, NeverLeavesTheRepo) {
  for (const char* good : {"config.json", "a/b/c", ".gitattributes", "sp ace", "a..b"})
    EXPECT_TRUE(is_valid_repo_path(good)) << good;
  for (const char* bad : {"", "/etc/passwd", "a//b", "../a", "a/../b", "a/.", "a\\b"})
    EXPECT_FALSE(is_valid_repo_path(bad)) << bad;
  EXPECT_FALSE(is_valid_repo_path(std::string_view("a\0b", 3)));
}

TEST(Revision, TakesBranchesTagsCommitsAndPullRequestsOnly) {
  for (const char* good : {"main", "refs/pr/1", "v1.0", "feature/x"})
    EXPECT_TRUE(is_valid_revision(good)) << good;
  for (const char* bad : {"", "../x", "a//b", ".hidden", "a b", "x.lock", "a\nb"})
    EXPECT_FALSE(is_valid_revision(bad)) << bad;
  EXPECT_TRUE(is_commit_id(kGit));
  EXPECT_FALSE(is_commit_id("main"));
}

}  // namespace
}  // namespace shoal
