#include "storage/hub_cache_layout.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

constexpr const char* kSha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
constexpr const char* kSha1 = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391";
constexpr const char* kLayoutCommit = "0123456789abcdef0123456789abcdef01234567";

TEST(HubCacheLayout, RepoFoldersAndBack) {
  struct Row {
    RepoRef repo;
    const char* folder;
  };
  for (const auto& [repo, folder] : {Row{{RepoType::model, "org/name"}, "models--org--name"},
                                     Row{{RepoType::dataset, "org/name"}, "datasets--org--name"},
                                     Row{{RepoType::model, "gpt2"}, "models--gpt2"},
                                     Row{{RepoType::model, "Org.x/Na-me_1.5B"}, "models--Org.x--Na-me_1.5B"},
                                     Row{{RepoType::model, "models/s"}, "models--models--s"}}) {
    EXPECT_EQ(repo_folder_name(repo), folder);
    EXPECT_EQ(parse_repo_folder_name(folder), repo);
  }
}

TEST(HubCacheLayout, OtherFoldersAreNoRepos) {
  for (const char* name :
       {"kernels--a--b", "spaces--", ".locks", "CACHEDIR.TAG", "models", "models--", "models--a--b--c",
        "models--..--x", "model--a--b", "modelss--a", "xmodels--a--b", "models--a/b--c", "models--a/b", ""}) {
    EXPECT_EQ(parse_repo_folder_name(name), std::nullopt) << name;
  }
}

TEST(HubCacheLayout, PathsOfARepo) {
  const HubCacheLayout l("/cache/");
  const RepoRef r{RepoType::model, "org/name"};
  const BlobId id = *BlobId::from_etag(kSha256, 0);
  const std::string repo = "/cache/models--org--name";
  EXPECT_EQ(l.tag_file(), "/cache/CACHEDIR.TAG");
  EXPECT_EQ(l.blob(r, id), repo + "/blobs/" + kSha256);
  EXPECT_EQ(l.partial(r, id), repo + "/blobs/" + kSha256 + ".shoal-partial");
  EXPECT_EQ(l.ref(r, "main"), repo + "/refs/main");
  EXPECT_EQ(l.ref(r, "refs/pr/1"), repo + "/refs/refs/pr/1");
  EXPECT_EQ(l.snapshot_entry(r, kLayoutCommit, "sub/w.bin"),
            repo + "/snapshots/" + kLayoutCommit + "/sub/w.bin");
  EXPECT_EQ(l.no_exist(r, kLayoutCommit, "a/b"), repo + "/.no_exist/" + kLayoutCommit + "/a/b");
  EXPECT_EQ(l.tree_file(r, kLayoutCommit), repo + "/trees/" + kLayoutCommit + ".json");
  EXPECT_EQ(l.lock(r, id), std::string("/cache/.locks/models--org--name/") + kSha256 + ".lock");
}

TEST(HubCacheLayout, TemporariesStandWhereNoReaderLooks) {
  const HubCacheLayout l("/cache");
  const RepoRef r{RepoType::dataset, "org/name"};
  // Every file in refs/ is taken for a ref, every entry of snapshots/ for a commit.
  for (const auto& temp : {l.ref_temp(r, "x"), l.link_temp(r, "x")}) {
    EXPECT_FALSE(temp.starts_with(l.refs_dir(r))) << temp;
    EXPECT_FALSE(temp.starts_with(l.snapshots_dir(r))) << temp;
    EXPECT_TRUE(temp.starts_with(l.repo_dir(r) + "/")) << temp;
  }
}

TEST(HubCacheLayout, LinksAreRelativeWithOneStepPerLevel) {
  const BlobId id = *BlobId::from_etag(kSha1, 3);
  struct Row {
    const char* path;
    std::string prefix;
  };
  for (const auto& [path, prefix] :
       {Row{"config.json", "../../blobs/"}, Row{"sub/w.safetensors", "../../../blobs/"},
        Row{"a/b/c/d", "../../../../../blobs/"}}) {
    const std::string target = snapshot_link_target(path, id);
    EXPECT_EQ(target, prefix + kSha1);
    EXPECT_EQ(parse_snapshot_link_target(path, target), kSha1);
  }
}

TEST(HubCacheLayout, LinksElsewhereNameNoBlob) {
  const std::string etag = kSha1;
  for (const std::string& target :
       {"../blobs/" + etag, "../../../blobs/" + etag, "/x/blobs/" + etag, "../../blobs/" + etag + "/x",
        "../../blobs/../" + etag, std::string("../../blobs/config.json"), std::string()}) {
    EXPECT_EQ(parse_snapshot_link_target("config.json", target), std::nullopt) << target;
  }
}

TEST(HubCacheLayout, BlobNamesAreBareLowerCaseHashes) {
  EXPECT_TRUE(is_blob_name(kSha1));
  EXPECT_TRUE(is_blob_name(kSha256));
  for (const std::string& name :
       {std::string(kSha1) + ".incomplete", std::string(kSha1) + ".0123abcd.incomplete",
        std::string(kSha256) + ".shoal-partial", std::string(39, 'a'), std::string(41, 'a'),
        std::string(40, 'A'), std::string(64, 'g'), std::string()}) {
    EXPECT_FALSE(is_blob_name(name)) << name;
  }
  EXPECT_EQ(parse_partial_name(std::string(kSha256) + ".shoal-partial"), kSha256);
  EXPECT_EQ(parse_partial_name(kSha256), std::nullopt);
  EXPECT_TRUE(is_small_temp_name(std::string(kSha256) + ".0a1b2c3d.shoal-small"));
  EXPECT_FALSE(is_small_temp_name("x.0a1b2c3d.shoal-small"));
}

TEST(HubCacheLayout, TheCacheTagBeginsWithItsSignature) {
  EXPECT_TRUE(cache_tag_text().starts_with("Signature: 8a477f597d28d172789f06886806bc55\n"));
}

}  // namespace
}  // namespace shoal
