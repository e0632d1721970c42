// The store among other repos, other programs and files that it did not write.
#include "storage/blob_store.h"
#include "tests/unit/storage/support.h"

#include <sys/stat.h>

namespace shoal {
namespace {

namespace fs = std::filesystem;
using test::Bytes;
using test::kFirst;
using test::Machine;
using test::pattern_bytes;

TEST(BlobStore, AnotherProgramsLockIsRespected) {
  Machine m;
  const Bytes bytes = pattern_bytes(kMiB);
  const BlobId id = test::sha256_id(bytes);
  HubCache other(m.dir / "hub");
  {
    auto lock = other.try_lock(m.repo, id);
    ASSERT_OK(lock);
    EXPECT_EQ(m.store->begin(id, m.repo).error().code, Code::unavailable);
  }
  auto partial = m.store->begin(id, m.repo);
  ASSERT_OK(partial);
  EXPECT_FALSE(other.try_lock(m.repo, id)->has_value());
  ASSERT_OK(m.fetch_all(*partial, bytes));
  ASSERT_OK(m.store->finish(*partial));
  EXPECT_TRUE(other.try_lock(m.repo, id)->has_value());
}

TEST(BlobStore, TwoReposThatWantABlobShareOnePartialAndThenOneFile) {
  Machine m;
  const Bytes bytes = pattern_bytes(2 * kMiB);
  const BlobId id = test::sha256_id(bytes);
  const RepoRef twin{RepoType::dataset, "acme/twin"};
  auto one = m.store->begin(id, m.repo);
  auto two = m.store->begin(id, twin);
  ASSERT_OK(one);
  ASSERT_OK(two);
  EXPECT_EQ(*one, *two);
  EXPECT_EQ(m.store->materialize(id, twin).error().code, Code::not_found);
  ASSERT_OK(m.fetch_all(*one, bytes));
  ASSERT_OK(m.store->finish(*one));
  EXPECT_EQ(m.store->begin(id, twin).error().code, Code::invalid);
  EXPECT_EQ(m.store->find(id, twin), std::nullopt);
  EXPECT_EQ(m.store->materialize(id, twin).value(), id.size);
  EXPECT_TRUE(fs::equivalent(m.layout().blob(m.repo, id), m.layout().blob(twin, id)));
  EXPECT_EQ(m.store->find(id, twin)->path, m.layout().blob(twin, id));
  EXPECT_THAT(*m.store->held(), testing::ElementsAre(id));
  // Nothing lies about.
  EXPECT_EQ(std::distance(fs::directory_iterator(m.layout().blobs_dir(twin)), fs::directory_iterator()), 1);
}

TEST(BlobStore, AForeignFileOfTheRightNameIsReadBeforeItIsBelieved) {
  Machine m;
  const Bytes bytes = pattern_bytes(2 * kMiB);
  const BlobId id = test::sha256_id(bytes);
  test::write_file(m.layout().blob(m.repo, id), pattern_bytes(2 * kMiB, 5));
  EXPECT_EQ(m.store->materialize(id, m.repo).error().code, Code::not_found);
  test::write_file(m.layout().blob(m.repo, id), bytes);
  EXPECT_EQ(m.store->materialize(id, m.repo).value(), id.size);
  EXPECT_TRUE(m.store->hashes({id, kFirst}).has_value());
}

TEST(BlobStore, AWrongForeignFileIsReplacedByTheRightOne) {
  Machine m;
  const Bytes bytes = pattern_bytes(2 * kMiB);
  const BlobId id = test::sha256_id(bytes);
  test::write_file(m.layout().blob(m.repo, id), pattern_bytes(2 * kMiB, 5));
  ASSERT_OK(m.obtain(id, bytes));
  EXPECT_EQ(test::read_file(m.layout().blob(m.repo, id)), bytes);
}

TEST(BlobStore, SmallBlobsArePublishedFromMemory) {
  Machine m;
  for (const auto& text : {std::string(), std::string("{}"), std::string(256 * kKiB, 'x')}) {
    const Bytes bytes = test::text_bytes(text);
    for (const BlobId& id : {test::git_id(bytes), test::sha256_id(bytes)}) {
      ASSERT_OK(m.store->publish_small(id, m.repo, bytes));
      ASSERT_OK(m.store->publish_small(id, m.repo, bytes));
      EXPECT_EQ(test::read_file(m.store->find(id, m.repo)->path), bytes);
      struct stat st {};
      ASSERT_EQ(::stat(m.store->find(id)->path.c_str(), &st), 0);
      const auto mask = ::umask(0);
      ::umask(mask);
      EXPECT_EQ(st.st_mode & 0777U, 0666U & ~mask);
      if (!bytes.empty()) {
        const Geometry g(bytes.size());
        EXPECT_EQ(m.store->hashes({id, kFirst})->piece_hashes.at(0),
                  hash_piece(g, kFirst, PieceIndex{0}, bytes));
      }
    }
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(m.layout().blobs_dir(m.repo)), fs::directory_iterator()), 6);
}

TEST(BlobStore, SmallBlobsThatAreWrongAreRefused) {
  Machine m;
  const Bytes bytes = test::text_bytes("right");
  const BlobId id = test::git_id(bytes);
  EXPECT_EQ(m.store->publish_small(id, m.repo, test::text_bytes("wrong")).error().code, Code::corrupt);
  EXPECT_EQ(m.store->publish_small(id, m.repo, test::text_bytes("short")).error().code, Code::corrupt);
  EXPECT_EQ(m.store->publish_small(id, m.repo, test::text_bytes("x")).error().code, Code::invalid);
  const Bytes large = pattern_bytes(kSmallBlobMax + 1);
  EXPECT_EQ(m.store->publish_small(test::git_id(large), m.repo, large).error().code, Code::invalid);
  EXPECT_FALSE(fs::exists(m.layout().blob(m.repo, id)));
}

TEST(BlobStore, CompleteBlobsAreReadAndNotWritten) {
  Machine m;
  const Bytes bytes = pattern_bytes(kMiB);
  const BlobId id = test::sha256_id(bytes);
  EXPECT_EQ(m.store->open(id).error().code, Code::not_found);
  ASSERT_OK(m.obtain(id, bytes));
  const auto file = m.store->open(id);
  ASSERT_OK(file);
  EXPECT_EQ(*m.store->open(id), *file);  // one descriptor
  Bytes there(1000);
  ASSERT_OK((*file)->read_at(5000, there));
  EXPECT_TRUE(std::ranges::equal(there, std::span(bytes).subspan(5000, 1000)));
  EXPECT_EQ((*file)->read_at(bytes.size() - 5, there).error().code, Code::invalid);
  const std::array one{std::span<const std::byte>(there)};
  EXPECT_EQ((*file)->write_at(0, one).error().code, Code::invalid);
  // Removed by someone: who has it open goes on reading.
  fs::remove(m.layout().blob(m.repo, id));
  ASSERT_OK((*file)->read_at(0, there));
  EXPECT_EQ(m.store->open(id).error().code, Code::not_found);
}

TEST(BlobStore, VanishedAndChangedFilesLoseTheirRecord) {
  Machine m;
  const Bytes bytes = pattern_bytes(kMiB);
  const BlobId id = test::sha256_id(bytes);
  ASSERT_OK(m.obtain(id, bytes));
  FileStatus row;
  row.repo = m.repo;
  row.commit_id = std::string(40, 'a');
  row.path = "f";
  row.blob = id;
  row.bytes_done = id.size;
  row.state = FileState::held;
  ASSERT_OK(m.db->save_files(std::vector{row}, {}));
  fs::remove(m.layout().blob(m.repo, id));
  EXPECT_EQ(m.store->find(id), std::nullopt);
  EXPECT_TRUE(m.store->held()->empty());
  EXPECT_TRUE(m.db->held_files()->empty());
  EXPECT_EQ(m.store->hashes({id, kFirst}).error().code, Code::not_found);

  ASSERT_OK(m.obtain(id, bytes));
  test::write_file(m.layout().blob(m.repo, id), bytes);  // the same bytes, but who knows
  EXPECT_EQ(m.store->find(id), std::nullopt);
  EXPECT_EQ(m.store->materialize(id, m.repo).value(), id.size);
}

}  // namespace
}  // namespace shoal
