#include "storage/blob_store.h"
#include "storage/hub_cache.h"
#include "tests/unit/storage/support.h"

#include <stop_token>

namespace shoal {
namespace {

namespace fs = std::filesystem;
using test::Bytes;
using test::Machine;
using test::pattern_bytes;

// A cache as another client left it: a config, a shard in a subfolder, a half download, a wrong blob.
struct ForeignCache {
  explicit ForeignCache(const std::string& root) : cache(root) {
    EXPECT_TRUE(cache.prepare().has_value());
    EXPECT_TRUE(cache.prepare_repo(repo).has_value());
    put(config_id, config, "config.json");
    put(shard_id, shard, "sub/w.safetensors");
    EXPECT_TRUE(cache.write_ref(repo, "main", test::kCommit).has_value());
    test::write_file(cache.layout().blobs_dir(repo) + "/" + std::string(40, '1') + ".incomplete", config);
  }
  void put(const BlobId& id, const Bytes& bytes, const std::string& path) {
    test::write_file(cache.layout().blob(repo, id), bytes);
    EXPECT_TRUE(cache.link_snapshot(repo, test::kCommit, path, id).has_value());
  }
  RepoRef repo{RepoType::model, "acme/foreign"};
  HubCache cache;
  Bytes config = test::text_bytes("{\"model_type\": \"llama\"}");
  Bytes shard = pattern_bytes(20 * kMiB);
  BlobId config_id = test::git_id(config);
  BlobId shard_id = test::sha256_id(shard);
};

TEST(Adopt, BlobsAreTakenOverInPlace) {
  Machine m;
  ForeignCache foreign(m.dir / "hub");
  const auto inode =
      stamp_of(real_files(), foreign.cache.layout().blob(foreign.repo, foreign.shard_id))->inode;
  AdoptProgress last;
  const auto report = m.store->adopt(m.dir / "hub", [&](const AdoptProgress& p) { last = p; }, {});
  ASSERT_OK(report);
  EXPECT_THAT(report->adopted, testing::UnorderedElementsAre(foreign.config_id, foreign.shard_id));
  EXPECT_TRUE(report->wrong.empty());
  EXPECT_EQ(report->bytes_read, foreign.config.size() + foreign.shard.size());
  EXPECT_EQ(last.files_done, 2U);
  EXPECT_EQ(last.bytes_done, last.bytes_total);
  const auto found = m.store->find(foreign.shard_id);
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(stamp_of(real_files(), found->path)->inode, inode);
  const Geometry g(foreign.shard.size());
  EXPECT_EQ(m.store->hashes({foreign.shard_id, SegmentIndex{1}})->piece_hashes.at(15),
            hash_piece(g, SegmentIndex{1}, PieceIndex{15},
                       test::piece_of(foreign.shard, SegmentIndex{1}, PieceIndex{15})));

  const auto files = m.db->held_files();
  ASSERT_OK(files);
  ASSERT_EQ(files->size(), 2U);
  EXPECT_EQ(files->at(0).path, "config.json");
  EXPECT_EQ(files->at(1).path, "sub/w.safetensors");
  EXPECT_EQ(files->at(1).revision, "main");
  EXPECT_EQ(files->at(1).commit_id, test::kCommit);
  EXPECT_EQ(files->at(1).bytes_local, foreign.shard.size());
}

TEST(Adopt, WhatIsKnownIsNotReadAgain) {
  Machine m;
  ForeignCache foreign(m.dir / "hub");
  ASSERT_OK(m.store->adopt(m.dir / "hub", {}, {}));
  m.reopen();
  const auto again = m.store->adopt(m.dir / "hub", {}, {});
  ASSERT_OK(again);
  EXPECT_EQ(again->bytes_read, 0U);
  EXPECT_EQ(again->known.size(), 2U);
  // Touched: somebody may have written to it.
  fs::last_write_time(foreign.cache.layout().blob(foreign.repo, foreign.config_id),
                      fs::file_time_type::clock::now());
  EXPECT_EQ(m.store->adopt(m.dir / "hub", {}, {})->bytes_read, foreign.config.size());
}

TEST(Adopt, WrongBlobsAreReportedAndLeftAlone) {
  Machine m;
  ForeignCache foreign(m.dir / "hub");
  const std::string path = foreign.cache.layout().blob(foreign.repo, foreign.shard_id);
  Bytes rotten = foreign.shard;
  rotten[7 * kMiB] ^= std::byte{4};
  test::write_file(path, rotten);
  const auto report = m.store->adopt(m.dir / "hub", {}, {});
  ASSERT_OK(report);
  EXPECT_THAT(report->adopted, testing::ElementsAre(foreign.config_id));
  ASSERT_EQ(report->wrong.size(), 1U);
  EXPECT_EQ(report->wrong[0].path, path);
  EXPECT_EQ(report->wrong[0].error.code, Code::corrupt);
  EXPECT_FALSE(m.store->find(foreign.shard_id).has_value());
  EXPECT_TRUE(fs::exists(path));
  EXPECT_EQ(m.db->held_files()->size(), 1U);
}

TEST(Adopt, ACacheElsewhereIsServedFromWhereItStands) {
  Machine m;
  ForeignCache foreign(m.dir / "elsewhere/hub");
  // HF_HOME, the cache, the repo's folder, a snapshot in it: all lead there.
  for (const std::string path : {"elsewhere", "elsewhere/hub", "elsewhere/hub/models--acme--foreign",
                                 "elsewhere/hub/models--acme--foreign/snapshots"}) {
    const auto report = m.store->adopt(m.dir / path, {}, {});
    ASSERT_OK(report);
    EXPECT_EQ(report->adopted.size() + report->known.size(), 2U) << path;
  }
  EXPECT_TRUE(m.store->find(foreign.shard_id)->path.starts_with(m.dir / "elsewhere"));
  // A pull of the same repo into the own cache links it.
  EXPECT_EQ(m.store->materialize(foreign.shard_id, m.repo).value(), foreign.shard.size());
  EXPECT_TRUE(fs::equivalent(m.layout().blob(m.repo, foreign.shard_id),
                             foreign.cache.layout().blob(foreign.repo, foreign.shard_id)));
}

TEST(Adopt, HardLinkedTwinsAreReadOnce) {
  Machine m;
  ForeignCache foreign(m.dir / "hub");
  const RepoRef twin{RepoType::model, "acme/twin"};
  ASSERT_OK(foreign.cache.prepare_repo(twin));
  fs::create_hard_link(foreign.cache.layout().blob(foreign.repo, foreign.shard_id),
                       foreign.cache.layout().blob(twin, foreign.shard_id));
  const auto report = m.store->adopt(m.dir / "hub", {}, {});
  ASSERT_OK(report);
  EXPECT_EQ(report->adopted.size(), 3U);
  EXPECT_EQ(report->bytes_read, foreign.config.size() + foreign.shard.size());
}

TEST(Adopt, AFolderThatIsNoCacheIsSaidToBeNone) {
  Machine m;
  fs::create_directories(m.dir / "photos");
  EXPECT_EQ(m.store->adopt(m.dir / "photos", {}, {}).error().code, Code::invalid);
  EXPECT_EQ(m.store->adopt(m.dir / "nothing", {}, {}).error().code, Code::not_found);
}

TEST(Adopt, CanBeStopped) {
  Machine m;
  ForeignCache foreign(m.dir / "hub");
  std::stop_source stop;
  const auto report = m.store->adopt(
      m.dir / "hub",
      [&](const AdoptProgress& p) {
        if (p.bytes_done > 0) stop.request_stop();
      },
      stop.get_token());
  ASSERT_FALSE(report.has_value());
  EXPECT_EQ(report.error().code, Code::cancelled);
}

TEST(Verify, AGoodBlobIsGoodAndARottenOneIsNotBelievedAnyMore) {
  Machine m;
  ForeignCache foreign(m.dir / "hub");
  ASSERT_OK(m.store->adopt(m.dir / "hub", {}, {}));
  const auto good = m.store->verify(foreign.shard_id, {});
  ASSERT_OK(good);
  EXPECT_EQ(good->bytes_read, foreign.shard.size());
  ASSERT_TRUE(m.store->find(foreign.shard_id).has_value());

  const std::string path = foreign.cache.layout().blob(foreign.repo, foreign.shard_id);
  const auto mtime = fs::last_write_time(path);
  {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(9 * kMiB);
    file.put('!');
  }
  fs::last_write_time(path, mtime);  // as a failing disk would, silently
  EXPECT_TRUE(m.store->find(foreign.shard_id).has_value());
  const auto bad = m.store->verify(foreign.shard_id, {});
  ASSERT_FALSE(bad.has_value());
  EXPECT_EQ(bad.error().code, Code::corrupt);
  EXPECT_THAT(bad.error().message, testing::HasSubstr("1 pieces differ"));
  EXPECT_FALSE(m.store->find(foreign.shard_id).has_value());
  EXPECT_EQ(m.store->verify(foreign.shard_id, {}).error().code, Code::not_found);
}

TEST(Remove, ASnapshotTakesItsOwnBlobsAndRows) {
  Machine m;
  ForeignCache foreign(m.dir / "hub");
  const std::string other(40, 'd');
  ASSERT_OK(foreign.cache.link_snapshot(foreign.repo, other, "config.json", foreign.config_id));
  ASSERT_OK(m.store->adopt(m.dir / "hub", {}, {}));
  ASSERT_EQ(m.db->held_files()->size(), 3U);
  const auto removed = m.store->remove(foreign.repo, test::kCommit);
  ASSERT_OK(removed);
  EXPECT_THAT(removed->no_longer_held, testing::ElementsAre(foreign.shard_id));
  EXPECT_EQ(removed->bytes, foreign.shard.size());
  EXPECT_EQ(m.db->held_files()->size(), 1U);
  EXPECT_TRUE(m.store->find(foreign.config_id).has_value());
  EXPECT_FALSE(m.store->find(foreign.shard_id).has_value());
  EXPECT_EQ(m.store->remove(foreign.repo, test::kCommit).error().code, Code::not_found);

  ASSERT_OK(m.store->remove(foreign.repo));
  EXPECT_TRUE(m.store->held()->empty());
  EXPECT_TRUE(m.db->all_files()->empty());
  EXPECT_FALSE(fs::exists(foreign.cache.layout().repo_dir(foreign.repo)));
}

TEST(Remove, ABlobThatAnotherRepoHasIsStillHeld) {
  Machine m;
  ForeignCache foreign(m.dir / "hub");
  ASSERT_OK(m.store->adopt(m.dir / "hub", {}, {}));
  ASSERT_OK(m.store->materialize(foreign.shard_id, m.repo));
  const auto removed = m.store->remove(foreign.repo);
  ASSERT_OK(removed);
  EXPECT_THAT(removed->no_longer_held, testing::ElementsAre(foreign.config_id));
  EXPECT_EQ(m.store->find(foreign.shard_id)->repo, m.repo);
}

TEST(Remove, WhatIsBeingFetchedIsNotRemovedAndLeftoversAre) {
  Machine m;
  const Bytes bytes = pattern_bytes(2 * kMiB);
  const BlobId id = test::sha256_id(bytes);
  auto partial = m.store->begin(id, m.repo);
  ASSERT_OK(partial);
  EXPECT_EQ(m.store->remove(m.repo).error().code, Code::unavailable);
  partial->reset();
  // The journal may hold on to it for a moment.
  EXPECT_TRUE(test::eventually([&] { return m.store->partial(id) == nullptr; }));
  ASSERT_OK(m.store->remove(m.repo));
  EXPECT_TRUE(m.store->partials()->empty());
  EXPECT_FALSE(fs::exists(m.layout().repo_dir(m.repo)));
}

}  // namespace
}  // namespace shoal
