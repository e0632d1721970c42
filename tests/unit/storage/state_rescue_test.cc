// shoal.db cut, zeroed, flipped, replaced and lost: always noticed before it is believed, set aside, and made
// anew with what can be carried over.
#include "storage/state_rescue.h"

#include "tests/unit/storage/support.h"

#include <random>
#include <set>

#include <gmock/gmock.h>
#include <sqlite3.h>

namespace shoal {
namespace {

namespace fs = std::filesystem;
using test::Bytes;
using test::Download;
using test::kFirst;
using test::Machine;

// A node in the middle of its work: a complete blob, a partial, a running pull, a pin.
struct Working : Download {
  NodeId node;
  Bytes config = test::text_bytes("{}");
  BlobId config_id = test::sha256_id(config);

  Working() {
    node = *db->node_id();
    EXPECT_TRUE(store->publish_small(config_id, repo, config).has_value());
    EXPECT_TRUE(fetch(*partial, bytes, kFirst, 0, 32).has_value());
    PullStatus pull;
    pull.id = *db->new_pull_id();
    pull.repo = repo;
    pull.revision = "main";
    pull.state = PullState::running;
    EXPECT_TRUE(db->save_pull(pull).has_value());
    EXPECT_TRUE(db->save_repo_access(repo, true).has_value());
    EXPECT_TRUE(db->set_pinned(repo, true, {1}).has_value());
    // Many pages, so that damage somewhere does not always hit the same table.
    for (int i = 0; i < 40; ++i) {
      std::vector<EventRow> rows(25);
      for (auto& row : rows) row.text = std::string(100, 'x');
      EXPECT_TRUE(db->add_events(rows).has_value());
    }
    partial->reset();
    close();
    // All in one file, as after a clean stop.
    EXPECT_FALSE(fs::exists(dir / "shoal.db-wal"));
  }
  [[nodiscard]] std::string path() const { return dir / "shoal.db"; }
  std::vector<std::string> set_aside() const {
    std::vector<std::string> out;
    for (const auto& entry : fs::directory_iterator(dir.path())) {
      const std::string name = entry.path().filename().string();
      if (name.find(".damaged-") != std::string::npos && !name.ends_with("-wal") && !name.ends_with("-shm"))
        out.push_back(name);
    }
    return out;
  }
};

void overwrite(const std::string& path, std::uint64_t at, const std::string& bytes) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(at));
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

TEST(StateRescue, ASoundFileIsLeftAlone) {
  Working w;
  const auto opened = open_or_rescue(w.path(), true);
  ASSERT_OK(opened);
  EXPECT_FALSE(opened->rescue.has_value());
  EXPECT_EQ(*opened->db->node_id(), w.node);
  EXPECT_TRUE(w.set_aside().empty());
}

TEST(StateRescue, AFirstStartIsNoRescue) {
  test::TempDir dir;
  const auto opened = open_or_rescue(dir / "shoal.db", false);
  ASSERT_OK(opened);
  EXPECT_FALSE(opened->rescue.has_value());
}

TEST(StateRescue, AFileThatIsGoneOrEmptyIsMadeAnewAndTold) {
  for (const bool empty : {false, true}) {
    Working w;
    if (empty) {
      fs::resize_file(w.path(), 0);
    } else {
      fs::remove(w.path());
    }
    const auto opened = open_or_rescue(w.path(), true);
    ASSERT_OK(opened);
    ASSERT_TRUE(opened->rescue.has_value());
    EXPECT_TRUE(opened->rescue->set_aside.empty());
    EXPECT_THAT(opened->rescue->reason, testing::HasSubstr("gone"));
  }
}

TEST(StateRescue, AFileOfSomethingElseIsSetAside) {
  Working w;
  test::write_file(w.path(), test::text_bytes(std::string(20'000, '#')));
  const auto opened = open_or_rescue(w.path(), true);
  ASSERT_OK(opened);
  ASSERT_TRUE(opened->rescue.has_value());
  EXPECT_EQ(w.set_aside().size(), 1U);
  EXPECT_EQ(test::read_text(opened->rescue->set_aside), std::string(20'000, '#'));
  EXPECT_TRUE(opened->db->held_files()->empty());
}

TEST(StateRescue, TheDatabaseOfAnotherProgramIsSetAsideUntouched) {
  Working w;
  fs::remove(w.path());
  sqlite3* other = nullptr;
  sqlite3_open(w.path().c_str(), &other);
  sqlite3_exec(other, "CREATE TABLE recipe (name TEXT); INSERT INTO recipe VALUES ('soup')", nullptr, nullptr,
               nullptr);
  sqlite3_close(other);
  const Bytes before = test::read_file(w.path());
  const auto opened = open_or_rescue(w.path(), true);
  ASSERT_OK(opened);
  ASSERT_TRUE(opened->rescue.has_value());
  EXPECT_THAT(opened->rescue->reason, testing::HasSubstr("another program"));
  sqlite3_open(opened->rescue->set_aside.c_str(), &other);
  EXPECT_EQ(sqlite3_exec(other, "SELECT name FROM recipe", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(other);
}

TEST(StateRescue, ANewerSchemaIsRefusedAndNotSetAside) {
  Working w;
  sqlite3* db = nullptr;
  sqlite3_open(w.path().c_str(), &db);
  sqlite3_exec(db, "PRAGMA user_version=99", nullptr, nullptr, nullptr);
  sqlite3_close(db);
  const auto opened = open_or_rescue(w.path(), true);
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code, Code::invalid);
  EXPECT_EQ(opened.error().raw, StateDb::kNewerSchema);
  EXPECT_THAT(opened.error().message, testing::HasSubstr("newer shoal"));
  EXPECT_TRUE(w.set_aside().empty());
}

TEST(StateRescue, DamageFoundInUseIsRememberedForTheNextStart) {
  Working w;
  {
    const auto db = StateDb::open(w.path());
    ASSERT_OK(db);
    ASSERT_OK((*db)->mark_damaged());
  }
  for (const bool again : {false, true}) {
    const auto opened = open_or_rescue(w.path(), true);
    ASSERT_OK(opened);
    EXPECT_EQ(opened->rescue.has_value(), !again);
  }
}

TEST(StateRescue, DamageInAPageIsFoundWhenTheRowIsRead) {
  Working w;
  auto db = StateDb::open(w.path());
  ASSERT_OK(db);
  EXPECT_FALSE((*db)->damaged());
  // Behind SQLite's back: a page it has not read yet. Its own cache may still hold some.
  const std::uint64_t size = fs::file_size(w.path());
  for (std::uint64_t page = 2 * 4096; page + 4096 <= size; page += 4096)
    overwrite(w.path(), page, std::string(4096, 'Z'));
  static_cast<void>((*db)->last_events(10'000));
  EXPECT_TRUE((*db)->damaged());
}

TEST(StateRescue, WhatCanBeReadIsCarriedOver) {
  Working w;
  // Damage where it does not hurt much: the pages of events, near the end of the file.
  const std::uint64_t size = fs::file_size(w.path());
  for (std::uint64_t page = size / 2; page + 4096 <= size; page += 4096) {
    overwrite(w.path(), page / 4096 * 4096, std::string(4096, '\0'));
  }
  auto opened = open_or_rescue(w.path(), true);
  ASSERT_OK(opened);
  ASSERT_TRUE(opened->rescue.has_value());
  EXPECT_EQ(*opened->db->node_id(), w.node);
  EXPECT_EQ(opened->rescue->pulls, 1);
  EXPECT_EQ(opened->rescue->partials, 1);
  EXPECT_THAT(*opened->db->pins(), testing::ElementsAre(w.repo));
  EXPECT_THAT(opened->rescue->caches, testing::ElementsAre(w.layout().repo_dir(w.repo)));
  EXPECT_EQ(opened->db->unfinished_pulls()->at(0).repo, w.repo);
  EXPECT_NE(*opened->db->new_pull_id(), opened->db->unfinished_pulls()->at(0).id);
  opened->db.reset();

  // The partial's pieces are read and believed as far as they hash right; one has rotted meanwhile.
  overwrite(w.layout().partial(w.repo, w.id), 5 * 256 * kKiB, "rot");
  w.reopen();
  auto partial = w.store->begin(w.id, w.repo);
  ASSERT_OK(partial);
  EXPECT_EQ((*partial)->have(kFirst), mask_of_run(0, 32) & ~mask_of(PieceIndex{5}));
  ASSERT_OK(w.fetch_all(*partial, w.bytes));
  ASSERT_OK(w.store->finish(*partial));
  EXPECT_EQ(test::read_file(w.store->find(w.id)->path), w.bytes);
  // Complete blobs come back by reading them.
  EXPECT_FALSE(w.store->find(w.config_id).has_value());
  ASSERT_OK(w.store->adopt(w.dir / "hub", {}, {}));
  EXPECT_TRUE(w.store->find(w.config_id).has_value());
}

// Damage of all kinds, everywhere: the node starts, nothing wrong is believed, and the blob comes together.
TEST(StateRescue, WhateverIsDamagedTheNodeStartsAndBelievesNothingWrong) {
  std::mt19937 random(5);
  const auto below = [&](std::uint64_t end) {
    return std::uniform_int_distribution<std::uint64_t>(0, end - 1)(random);
  };
  int rescued = 0;
  const Working w;
  const Bytes sound = test::read_file(w.path());
  const Bytes partial_bytes = test::read_file(w.layout().partial(w.repo, w.id));
  for (int round = 0; round < 60; ++round) {
    Machine m;
    m.close();
    Bytes damaged = sound;
    switch (round % 4) {
      case 0:  // cut
        damaged.resize(below(sound.size()));
        break;
      case 1:  // a page of zeros
        std::fill_n(damaged.begin() + static_cast<std::ptrdiff_t>(below(sound.size() / 4096) * 4096), 4096,
                    std::byte{0});
        break;
      case 2:  // single bits
        for (int i = 0; i < 200; ++i) damaged[below(sound.size())] ^= static_cast<std::byte>(1U << below(8));
        break;
      default:  // a run of noise
        const std::uint64_t at = below(sound.size() - 2000);
        for (std::uint64_t i = at; i < at + 2000; ++i) damaged[i] = static_cast<std::byte>(below(256));
    }
    fs::remove(m.dir / "shoal.db-wal");
    fs::remove(m.dir / "shoal.db-shm");
    test::write_file(m.dir / "shoal.db", damaged);
    test::write_file(m.layout().partial(m.repo, w.id), partial_bytes);
    {
      const auto opened = open_or_rescue(m.dir / "shoal.db", true);
      ASSERT_TRUE(opened.has_value()) << "round " << round << ": " << opened.error().message;
      rescued += opened->rescue.has_value() ? 1 : 0;
      ASSERT_TRUE(opened->db->node_id().has_value() || opened->db->damaged()) << "round " << round;
    }
    // What the store makes of it. The records name the other machine's cache; nothing there is touched.
    m.reopen();
    auto partial = m.store->begin(w.id, m.repo);
    if (!partial) {
      EXPECT_TRUE(m.db->damaged()) << "round " << round << ": " << partial.error().message;
      continue;
    }
    const Geometry g(w.id.size);
    for (int p = 0; p < 64; ++p) {
      const auto piece = static_cast<PieceIndex>(p);
      if (((*partial)->have(kFirst) & mask_of(piece)) == 0) continue;
      Bytes there(g.piece_length(kFirst, piece));
      ASSERT_OK((*partial)->read_at(g.piece_offset(kFirst, piece), there));
      EXPECT_TRUE(std::ranges::equal(there, test::piece_of(w.bytes, kFirst, piece))) << "round " << round;
    }
  }
  EXPECT_GT(rescued, 30);
}

TEST(StateRescue, OnlyTheNewestDamagedFilesAreKept) {
  Working w;
  for (int i = 0; i < 5; ++i) {
    fs::remove(w.path() + "-wal");
    fs::remove(w.path() + "-shm");
    test::write_file(w.path(), test::text_bytes("no database at all, number " + std::to_string(i)));
    ASSERT_OK(open_or_rescue(w.path(), true));
  }
  EXPECT_EQ(w.set_aside().size(), 3U);
}

}  // namespace
}  // namespace shoal
