#include "storage/hub_cache.h"

#include "tests/unit/storage/support.h"

#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace shoal {
namespace {

namespace fs = std::filesystem;
using test::text_bytes;

const std::string kCommitA(40, 'a');
const std::string kCommitB(40, 'b');

class HubCacheTest : public testing::Test {
 protected:
  HubCacheTest() {
    EXPECT_TRUE(cache.prepare().has_value());
    EXPECT_TRUE(cache.prepare_repo(repo).has_value());
  }
  BlobId put_blob(const std::string& text) {
    const auto bytes = text_bytes(text);
    const BlobId id = test::git_id(bytes);
    test::write_file(cache.layout().blob(repo, id), bytes);
    return id;
  }
  std::string entry(const std::string& commit, const std::string& path) {
    return cache.layout().snapshot_entry(repo, commit, path);
  }

  test::TempDir dir;
  HubCache cache{dir / "hub"};
  RepoRef repo{RepoType::model, "acme/model"};
  std::vector<std::string> forgotten;
  const HubCache::BeforeBlobs forget = [this](const std::vector<std::string>& etags) -> Result<void> {
    forgotten.insert(forgotten.end(), etags.begin(), etags.end());
    return {};
  };
};

TEST_F(HubCacheTest, TheRootIsMarkedAsACache) {
  EXPECT_EQ(test::read_text(dir / "hub/CACHEDIR.TAG"), cache_tag_text());
}

TEST_F(HubCacheTest, LinksLeadToTheBlobThroughFolders) {
  const BlobId id = put_blob("hello");
  for (const std::string path : {"config.json", "sub/deep/w.bin"}) {
    ASSERT_OK(cache.link_snapshot(repo, kCommitA, path, id));
    EXPECT_EQ(test::read_text(entry(kCommitA, path)), "hello");
    EXPECT_TRUE(fs::read_symlink(entry(kCommitA, path)).is_relative());
    ASSERT_OK(cache.link_snapshot(repo, kCommitA, path, id));
  }
}

TEST_F(HubCacheTest, AWrongLinkIsReplaced) {
  const BlobId one = put_blob("one");
  const BlobId two = put_blob("two");
  ASSERT_OK(cache.link_snapshot(repo, kCommitA, "f", one));
  ASSERT_OK(cache.link_snapshot(repo, kCommitA, "f", two));
  EXPECT_EQ(test::read_text(entry(kCommitA, "f")), "two");
  // Also a dangling one, and a copy that a client without links left there.
  fs::remove(entry(kCommitA, "f"));
  fs::create_symlink("../../blobs/nothing", entry(kCommitA, "f"));
  test::write_file(entry(kCommitA, "g"), text_bytes("old"));
  ASSERT_OK(cache.link_snapshot(repo, kCommitA, "f", one));
  ASSERT_OK(cache.link_snapshot(repo, kCommitA, "g", one));
  EXPECT_EQ(test::read_text(entry(kCommitA, "f")), "one");
  EXPECT_EQ(test::read_text(entry(kCommitA, "g")), "one");
}

TEST_F(HubCacheTest, NothingButTheExpectedStandsInTheRepoAfterwards) {
  ASSERT_OK(cache.link_snapshot(repo, kCommitA, "f", put_blob("one")));
  ASSERT_OK(cache.write_ref(repo, "main", kCommitA));
  std::set<std::string> names;
  for (const auto& e : fs::directory_iterator(cache.layout().repo_dir(repo)))
    names.insert(e.path().filename());
  EXPECT_EQ(names, (std::set<std::string>{"blobs", "refs", "snapshots"}));
}

TEST_F(HubCacheTest, RefsHoldFortyBytesAndNoNewline) {
  ASSERT_OK(cache.write_ref(repo, "main", kCommitA));
  ASSERT_OK(cache.write_ref(repo, "refs/pr/1", kCommitA));
  EXPECT_EQ(test::read_text(cache.layout().ref(repo, "main")), kCommitA);
  EXPECT_EQ(test::read_text(cache.layout().ref(repo, "refs/pr/1")), kCommitA);
  EXPECT_TRUE(fs::is_directory(cache.layout().snapshot(repo, kCommitA)));
  ASSERT_OK(cache.write_ref(repo, "main", kCommitB));
  EXPECT_EQ(test::read_text(cache.layout().ref(repo, "main")), kCommitB);
}

TEST_F(HubCacheTest, ACommitIsNoRef) {
  ASSERT_OK(cache.write_ref(repo, kCommitA, kCommitA));
  EXPECT_TRUE(fs::is_empty(cache.layout().refs_dir(repo)));
  EXPECT_TRUE(fs::is_directory(cache.layout().snapshot(repo, kCommitA)));
}

TEST_F(HubCacheTest, NamesThatLeaveTheFolderAreRefused) {
  const BlobId id = put_blob("x");
  EXPECT_EQ(cache.link_snapshot(repo, kCommitA, "../x", id).error().code, Code::invalid);
  EXPECT_EQ(cache.link_snapshot(repo, "..", "x", id).error().code, Code::invalid);
  EXPECT_EQ(cache.write_ref(repo, "../../x", kCommitA).error().code, Code::invalid);
  EXPECT_EQ(cache.write_ref(repo, "main", "short").error().code, Code::invalid);
  EXPECT_EQ(cache.mark_missing(repo, kCommitA, "/etc/x").error().code, Code::invalid);
  EXPECT_EQ(cache.prepare_repo({RepoType::model, "../x"}).error().code, Code::invalid);
  EXPECT_EQ(cache.remove_repo({RepoType::model, ".."}, forget).error().code, Code::invalid);
}

TEST_F(HubCacheTest, MissingFilesAreMarkedByEmptyFiles) {
  ASSERT_OK(cache.mark_missing(repo, kCommitA, "sub/tokenizer.json"));
  EXPECT_EQ(fs::file_size(cache.layout().no_exist(repo, kCommitA, "sub/tokenizer.json")), 0U);
}

TEST_F(HubCacheTest, TheLockIsTheOneThatFlockTakes) {
  const BlobId id = put_blob("x");
  auto lock = cache.try_lock(repo, id);
  ASSERT_OK(lock);
  ASSERT_TRUE(lock->has_value());
  const std::string path = cache.layout().lock(repo, id);
  struct stat st {};
  ASSERT_EQ(::stat(path.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777U, 0664U);

  // As the Hub's own tools would.
  const int other = ::open(path.c_str(), O_RDWR);
  EXPECT_NE(::flock(other, LOCK_EX | LOCK_NB), 0);
  (*lock)->release();
  EXPECT_EQ(::flock(other, LOCK_EX | LOCK_NB), 0);
  auto refused = cache.try_lock(repo, id);
  ASSERT_OK(refused);
  EXPECT_FALSE(refused->has_value());
  EXPECT_EQ(cache.lock(repo, id, std::chrono::steady_clock::now()).error().code, Code::timeout);
  ::close(other);
  EXPECT_TRUE(cache.lock(repo, id, std::chrono::steady_clock::now() + std::chrono::seconds(5)).has_value());
  EXPECT_TRUE(fs::exists(path));
}

TEST_F(HubCacheTest, OnlyCompleteBlobsAreFound) {
  const BlobId id = put_blob("whole");
  const std::string blobs = cache.layout().blobs_dir(repo);
  test::write_file(blobs + "/" + std::string(40, '1') + ".incomplete", text_bytes("x"));
  test::write_file(blobs + "/" + std::string(64, '2') + ".shoal-partial", text_bytes("x"));
  fs::create_symlink("/etc/passwd", blobs + "/" + std::string(40, '3'));
  fs::create_directory(blobs + "/" + std::string(40, '4'));
  const auto found = cache.blobs(repo);
  ASSERT_OK(found);
  ASSERT_EQ(found->size(), 1U);
  EXPECT_EQ(found->front().etag, id.etag());
  EXPECT_EQ(found->front().stamp.size, 5U);
}

TEST_F(HubCacheTest, LooksAroundInACache) {
  const BlobId id = put_blob("x");
  ASSERT_OK(cache.link_snapshot(repo, kCommitA, "b", id));
  ASSERT_OK(cache.link_snapshot(repo, kCommitA, "a/c", id));
  ASSERT_OK(cache.write_ref(repo, "refs/pr/1", kCommitA));
  ASSERT_OK(cache.prepare_repo({RepoType::dataset, "gpt2"}));
  fs::create_directory(dir / "hub/not-a-repo");
  fs::create_symlink("../../blobs/" + std::string(40, '0'), entry(kCommitA, "broken"));
  EXPECT_THAT(cache.repos().value(), testing::ElementsAre(RepoRef{RepoType::dataset, "gpt2"}, repo));
  EXPECT_THAT(cache.commits(repo).value(), testing::ElementsAre(kCommitA));
  const auto entries = cache.entries(repo, kCommitA).value();
  ASSERT_EQ(entries.size(), 2U);
  EXPECT_EQ(entries[0].path, "a/c");
  EXPECT_EQ(entries[1].etag, id.etag());
  const auto refs = cache.refs(repo).value();
  ASSERT_EQ(refs.size(), 1U);
  EXPECT_EQ(refs[0].revision, "refs/pr/1");
}

TEST_F(HubCacheTest, LeftoversOfACrashAreSweptAndNothingElse) {
  const BlobId id = put_blob("x");
  const HubCacheLayout& l = cache.layout();
  const std::vector<std::string> ours{l.small_temp(repo, id, "01234567"), l.ref_temp(repo, "01234567")};
  for (const auto& path : ours) test::write_file(path, text_bytes("x"));
  fs::create_symlink("nowhere", l.link_temp(repo, "01234567"));
  test::write_file(l.partial(repo, id), text_bytes("x"));
  ASSERT_OK(cache.sweep(std::chrono::hours(1)));
  EXPECT_TRUE(fs::exists(ours[0]));
  ASSERT_OK(cache.sweep(std::chrono::seconds(0)));
  for (const auto& path : ours) EXPECT_FALSE(fs::exists(path));
  EXPECT_FALSE(fs::is_symlink(l.link_temp(repo, "01234567")));
  EXPECT_TRUE(fs::exists(l.blob(repo, id)));
  EXPECT_TRUE(fs::exists(l.partial(repo, id)));
}

TEST_F(HubCacheTest, RemovingASnapshotKeepsWhatOthersLinkTo) {
  const BlobId shared = put_blob("shared");
  const BlobId own = put_blob("own one");
  ASSERT_OK(cache.link_snapshot(repo, kCommitA, "s", shared));
  ASSERT_OK(cache.link_snapshot(repo, kCommitA, "d/o", own));
  ASSERT_OK(cache.link_snapshot(repo, kCommitA, "again", own));
  ASSERT_OK(cache.link_snapshot(repo, kCommitB, "s", shared));
  ASSERT_OK(cache.write_ref(repo, "refs/pr/1", kCommitA));
  ASSERT_OK(cache.write_ref(repo, "main", kCommitB));
  ASSERT_OK(cache.mark_missing(repo, kCommitA, "x"));
  const auto removed = cache.remove_commit(repo, kCommitA, forget);
  ASSERT_OK(removed);
  EXPECT_EQ(removed->files, 3U);
  EXPECT_EQ(removed->bytes, 7U);
  EXPECT_THAT(forgotten, testing::ElementsAre(own.etag()));
  EXPECT_FALSE(fs::exists(cache.layout().blob(repo, own)));
  EXPECT_TRUE(fs::exists(cache.layout().blob(repo, shared)));
  EXPECT_FALSE(fs::exists(cache.layout().snapshot(repo, kCommitA)));
  EXPECT_FALSE(fs::exists(cache.layout().no_exist_dir(repo, kCommitA)));
  EXPECT_FALSE(fs::exists(cache.layout().ref(repo, "refs")));
  EXPECT_EQ(test::read_text(cache.layout().ref(repo, "main")), kCommitB);
  EXPECT_EQ(test::read_text(entry(kCommitB, "s")), "shared");
  EXPECT_EQ(cache.remove_commit(repo, kCommitA, forget).error().code, Code::not_found);
}

TEST_F(HubCacheTest, RemovingARepoLeavesNothingOfIt) {
  ASSERT_OK(cache.link_snapshot(repo, kCommitA, "f", put_blob("f")));
  put_blob("linked by nobody");
  ASSERT_OK(cache.write_ref(repo, "main", kCommitA));
  const auto removed = cache.remove_repo(repo, forget);
  ASSERT_OK(removed);
  EXPECT_EQ(forgotten.size(), 2U);
  EXPECT_EQ(removed->bytes, 17U);
  EXPECT_FALSE(fs::exists(cache.layout().repo_dir(repo)));
  EXPECT_EQ(cache.remove_repo(repo, forget).error().code, Code::not_found);
}

TEST_F(HubCacheTest, WhatGoesIsForgottenAfterItsLinksAndBeforeItsFile) {
  const BlobId blob = put_blob("bytes");
  ASSERT_OK(cache.link_snapshot(repo, kCommitA, "f", blob));
  ASSERT_OK(cache.write_ref(repo, "main", kCommitA));
  int calls = 0;
  ASSERT_OK(cache.remove_commit(repo, kCommitA, [&](const std::vector<std::string>& etags) -> Result<void> {
    ++calls;
    EXPECT_THAT(etags, testing::ElementsAre(blob.etag()));
    EXPECT_FALSE(fs::exists(cache.layout().ref(repo, "main")));
    EXPECT_FALSE(fs::exists(cache.layout().snapshot(repo, kCommitA)));
    EXPECT_TRUE(fs::exists(cache.layout().blob(repo, blob)));
    return {};
  }));
  EXPECT_EQ(calls, 1);
  EXPECT_FALSE(fs::exists(cache.layout().blob(repo, blob)));
}

TEST_F(HubCacheTest, WhatCannotBeForgottenKeepsItsFile) {
  const BlobId linked = put_blob("linked");
  const BlobId loose = put_blob("loose");
  ASSERT_OK(cache.link_snapshot(repo, kCommitA, "f", linked));
  const auto refuse = [](const std::vector<std::string>&) -> Result<void> {
    return fail(Code::io, "the table cannot be written");
  };
  EXPECT_EQ(cache.remove_loose_blobs(repo, refuse).error().code, Code::io);
  EXPECT_TRUE(fs::exists(cache.layout().blob(repo, loose)));
  EXPECT_EQ(cache.remove_commit(repo, kCommitA, refuse).error().code, Code::io);
  EXPECT_EQ(cache.remove_repo(repo, refuse).error().code, Code::io);
  EXPECT_TRUE(fs::exists(cache.layout().blob(repo, linked)));
}

}  // namespace
}  // namespace shoal
