#include "storage/state_db.h"

#include "storage/sql_embedded.h"
#include "tests/unit/storage/support.h"

#include <atomic>
#include <set>
#include <thread>

#include <sqlite3.h>

namespace shoal {
namespace {

// Another program: its own connection, no code of ours.
class Reader {
 public:
  explicit Reader(const std::string& path) { sqlite3_open(path.c_str(), &db_); }
  ~Reader() { sqlite3_close(db_); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  // Rows as text, columns separated by '|'; an error as "error: ...".
  std::vector<std::string> operator()(const std::string& sql) {
    std::vector<std::string> rows;
    char* message = nullptr;
    sqlite3_exec(
        db_, sql.c_str(),
        [](void* out, int count, char** values, char**) {
          std::string row;
          for (int i = 0; i < count; ++i) {
            if (i > 0) row += '|';
            row += values[i] == nullptr ? "NULL" : values[i];
          }
          static_cast<std::vector<std::string>*>(out)->push_back(row);
          return 0;
        },
        &rows, &message);
    if (message != nullptr) rows.push_back(std::string("error: ") + message);
    sqlite3_free(message);
    return rows;
  }
  std::string columns(const std::string& view) {
    std::string out;
    for (const auto& row : (*this)("SELECT name FROM pragma_table_info('" + view + "')")) out += row + " ";
    return out;
  }

 private:
  sqlite3* db_ = nullptr;
};

FileStatus file_row(std::uint64_t done, std::uint64_t size = 1000, FileState state = FileState::fetching) {
  FileStatus f;
  f.repo = {RepoType::model, "acme/model"};
  f.revision = "main";
  f.commit_id = std::string(40, 'a');
  f.path = "w.safetensors";
  f.blob = *BlobId::from_etag(std::string(64, '1'), size);
  f.bytes_done = f.bytes_lan = done;
  f.state = state;
  return f;
}

PullStatus pull_row(std::int64_t id, PullState state) {
  PullStatus p;
  p.id = PullId{id};
  p.repo = {RepoType::dataset, "acme/data"};
  p.revision = "main";
  p.include = {"*.json", "a \"quoted\" \\ one\n"};
  p.exclude = {};
  p.source = SourcePolicy::lan_only;
  p.priority = Priority::low;
  p.state = state;
  p.created_at.ms = 1000 + id;
  return p;
}

class StateDbTest : public testing::Test {
 protected:
  StateDbTest() { reopen(); }
  void reopen() {
    db.reset();
    auto opened = StateDb::open(path());
    ASSERT_OK(opened);
    db = std::move(*opened);
  }
  std::string path() { return dir / "shoal.db"; }
  void write(std::vector<FileStatus> files, std::int64_t at = 1'700'000'000'000) {
    StatusSnapshot snapshot;
    snapshot.at.ms = at;
    snapshot.files = std::move(files);
    ASSERT_OK(db->write_snapshot(snapshot));
  }

  test::TempDir dir;
  std::unique_ptr<StateDb> db;
};

TEST_F(StateDbTest, TheViewsHaveTheirPromisedColumns) {
  Reader read(path());
  EXPECT_EQ(read.columns("status"),
            "repo revision commit_id path blob_id size bytes_done bytes_lan bytes_origin bytes_local percent "
            "bytes_per_s eta_s state waiting_for error updated_at type ");
  EXPECT_EQ(read.columns("pulls"),
            "id type repo revision commit_id include exclude source priority state files files_done size "
            "bytes_done "
            "bytes_lan bytes_origin bytes_local percent bytes_per_s eta_s waiting_for error_code error "
            "snapshot_path "
            "created_at finished_at updated_at ");
  EXPECT_EQ(read.columns("peers"),
            "node name version endpoint alive busy cpu_permille memory_permille io_permille nic_permille "
            "gpu_permille "
            "origin_bytes_per_s upload_bytes_per_s download_bytes_per_s blobs_held bytes_held bytes_received "
            "bytes_sent "
            "first_seen last_seen banned_until ");
  EXPECT_EQ(read.columns("holdings"),
            "blob_id size repo type path segments pieces verified_at source copies used_at pinned ");
  EXPECT_EQ(read.columns("events"), "id at level kind pull repo path peer text ");
}

TEST_F(StateDbTest, AFreshDatabaseRecordsItsMigrations) {
  Reader read(path());
  const auto latest = std::to_string(sql_migrations().back().version);
  EXPECT_THAT(read("PRAGMA user_version"), testing::ElementsAre(latest));
  EXPECT_THAT(read("SELECT max(version), count(*) FROM migration"),
              testing::ElementsAre(latest + "|" + latest));
  EXPECT_THAT(read("PRAGMA journal_mode"), testing::ElementsAre("wal"));
}

TEST_F(StateDbTest, ANewerSchemaIsRefusedWithASentence) {
  db.reset();
  Reader read(path());
  read("PRAGMA user_version=99");
  const auto opened = StateDb::open(path());
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code, Code::invalid);
  EXPECT_THAT(opened.error().message, testing::HasSubstr("newer shoal (schema 99"));
}

TEST_F(StateDbTest, AFileThatIsNoDatabaseIsRefused) {
  const std::string other = dir / "other.db";
  test::write_file(other, test::pattern_bytes(8192));
  const auto opened = StateDb::open(other);
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code, Code::corrupt);
}

TEST_F(StateDbTest, TheNodeKeepsItsIdentity) {
  const auto first = db->node_id();
  ASSERT_OK(first);
  EXPECT_NE(*first, NodeId{});
  EXPECT_EQ(*db->node_id(), *first);
  reopen();
  EXPECT_EQ(*db->node_id(), *first);
}

TEST_F(StateDbTest, PullIdsAreNeverUsedTwice) {
  EXPECT_EQ(to_int(*db->new_pull_id()), 1);
  EXPECT_EQ(to_int(*db->new_pull_id()), 2);
  reopen();
  EXPECT_EQ(to_int(*db->new_pull_id()), 3);
}

TEST_F(StateDbTest, UnfinishedPullsComeBackAsTheyWereAsked) {
  ASSERT_OK(db->save_pull(pull_row(1, PullState::done)));
  ASSERT_OK(db->save_pull(pull_row(2, PullState::running)));
  ASSERT_OK(db->save_pull(pull_row(3, PullState::resolving)));
  ASSERT_OK(db->save_pull(pull_row(4, PullState::cancelled)));
  reopen();
  const auto pulls = db->unfinished_pulls();
  ASSERT_OK(pulls);
  ASSERT_EQ(pulls->size(), 2U);
  EXPECT_EQ((*pulls)[0], pull_row(2, PullState::running));
  EXPECT_EQ((*pulls)[1], pull_row(3, PullState::resolving));
}

TEST_F(StateDbTest, AFileRowCanBeReadByAPerson) {
  FileStatus f = file_row(500);
  f.waiting_for = "neighbours";
  f.eta_s = 12;
  write({f});
  Reader read(path());
  EXPECT_THAT(
      read("SELECT repo, path, blob_id, percent, eta_s, state, waiting_for, updated_at, type FROM status"),
      testing::ElementsAre("acme/model|w.safetensors|sha256:" + std::string(64, '1') +
                           "|50.0|12|fetching|neighbours|2023-11-14T22:13:20.000Z|model"));
}

TEST_F(StateDbTest, PercentNeverFallsAndNeverPassesAHundred) {
  Reader read(path());
  const auto percent = [&] { return read("SELECT percent FROM status").at(0); };
  write({file_row(600)});
  write({file_row(400)});
  EXPECT_EQ(percent(), "60.0");
  write({file_row(5000)});
  EXPECT_EQ(percent(), "100.0");
  write({file_row(999)});
  EXPECT_EQ(percent(), "100.0");
  // A failure tells the truth, and a new start begins where it stands.
  write({file_row(300, 1000, FileState::failed)});
  EXPECT_EQ(percent(), "30.0");
  write({file_row(100)});
  EXPECT_EQ(percent(), "10.0");
  // Not even another program makes it fall or pass.
  EXPECT_THAT(read("UPDATE file SET bytes_done = 1").at(0), testing::HasSubstr("fell"));
  EXPECT_THAT(read("UPDATE file SET bytes_done = 1001").at(0), testing::HasSubstr("CHECK"));
}

TEST_F(StateDbTest, PercentFollowsTheSameRuleAsTheProgram) {
  Reader read(path());
  for (const auto& [done, size] :
       {std::pair{0U, 0U}, {1U, 3U}, {999U, 1000U}, {9999U, 10000U}, {10000U, 10000U}}) {
    ASSERT_TRUE(db->delete_files({RepoType::model, "acme/model"}).has_value());
    write({file_row(done, size)});
    EXPECT_EQ(std::stod(read("SELECT percent FROM status").at(0)), percent(done, size))
        << done << "/" << size;
  }
}

TEST_F(StateDbTest, ALiveRowIsAsFreshAsTheLastReport) {
  Reader read(path());
  FileStatus held = file_row(1000, 1000, FileState::held);
  held.path = "held";
  write({file_row(1), held}, 1'700'000'000'000);
  write({file_row(1), held}, 1'700'000'001'000);
  EXPECT_THAT(read("SELECT state, updated_at FROM status ORDER BY path"),
              testing::ElementsAre("held|2023-11-14T22:13:20.000Z", "fetching|2023-11-14T22:13:21.000Z"));
}

TEST_F(StateDbTest, FilesComeBackAsTheyWereWritten) {
  FileStatus held = file_row(1000, 1000, FileState::held);
  FileStatus other = held;
  other.commit_id = std::string(40, 'b');
  FileStatus waiting = file_row(5);
  waiting.path = "x";
  FileStatus foreign = held;
  foreign.repo = {RepoType::dataset, "acme/model"};
  write({held, other, waiting, foreign});
  EXPECT_THAT(*db->held_files(), testing::ElementsAre(foreign, held, other));
  EXPECT_THAT(*db->held_files(held.repo), testing::ElementsAre(held, other));
  EXPECT_THAT(*db->held_files(held.repo, other.commit_id), testing::ElementsAre(other));
  EXPECT_THAT(*db->all_files(held.repo, held.commit_id), testing::ElementsAre(held, waiting));
  EXPECT_EQ(db->status_rows()->size(), 4U);
  EXPECT_EQ(db->status_rows(held.repo)->size(), 3U);
  EXPECT_EQ(db->status_rows(foreign.repo)->at(0).file, foreign);
  EXPECT_EQ(*db->delete_unheld_files(held.repo, "main", held.commit_id), 1U);
  EXPECT_EQ(*db->delete_files(held.repo, held.commit_id), 1U);
  EXPECT_THAT(*db->all_files(), testing::ElementsAre(foreign, other));
  EXPECT_EQ(*db->delete_files(held.repo), 1U);
}

TEST_F(StateDbTest, FoundFilesDoNotHideHowHeldOnesCame) {
  write({file_row(1000, 1000, FileState::held)});
  FileStatus found = file_row(1000, 1000, FileState::held);
  found.bytes_lan = 0;
  found.bytes_local = 1000;
  ASSERT_OK(db->save_files(std::vector{found}, {}));
  EXPECT_EQ(db->held_files()->at(0).bytes_lan, 1000U);
  found.path = "new";
  ASSERT_OK(db->save_files(std::vector{found}, {}));
  EXPECT_EQ(db->held_files()->size(), 2U);
}

TEST_F(StateDbTest, TheNewestEventsAreKept) {
  std::vector<EventRow> events(6000);
  for (auto& e : events) e.kind = "pull_done";
  ASSERT_OK(db->add_events(events));
  events.back().kind = "peer_up";
  events.back().level = EventLevel::warning;
  events.back().pull = PullId{7};
  events.back().text = "the last one";
  ASSERT_OK(db->add_events(events));
  Reader read(path());
  EXPECT_THAT(read("SELECT count(*), max(id) FROM events"), testing::ElementsAre("10000|12000"));
  const auto last = db->last_events(2);
  ASSERT_OK(last);
  ASSERT_EQ(last->size(), 2U);
  EXPECT_EQ((*last)[0].text, "the last one");
  EXPECT_EQ((*last)[0].level, EventLevel::warning);
  EXPECT_EQ((*last)[0].pull, PullId{7});
  EXPECT_EQ((*last)[1].pull, std::nullopt);
}

TEST_F(StateDbTest, PeersOutsideTheSnapshotAreNotAlive) {
  StatusSnapshot snapshot;
  for (std::uint8_t i = 1; i <= 2; ++i) {
    PeerStatus p;
    p.node.bytes[0] = i;
    p.endpoint = i == 1 ? Endpoint{"10.0.0.7", 8421} : Endpoint{"fe80::1", 8421};
    p.alive = true;
    p.load.busy = true;
    p.load.cpu_permille = 300;
    p.bytes_received = 5;
    p.first_seen.ms = 1000;
    snapshot.peers.push_back(p);
  }
  ASSERT_OK(db->write_snapshot(snapshot));
  EXPECT_EQ(*db->peers(), snapshot.peers);
  Reader read(path());
  EXPECT_THAT(read("SELECT endpoint, alive FROM peers ORDER BY node"),
              testing::ElementsAre("10.0.0.7:8421|1", "[fe80::1]:8421|1"));
  snapshot.peers.pop_back();
  ASSERT_OK(db->write_snapshot(snapshot));
  EXPECT_THAT(read("SELECT alive FROM peers ORDER BY node"), testing::ElementsAre("1", "0"));
  reopen();
  EXPECT_THAT(read("SELECT alive FROM peers ORDER BY node"), testing::ElementsAre("0", "0"));
}

TEST_F(StateDbTest, APullsProgressNeverFalls) {
  StatusSnapshot snapshot;
  PullStatus p = pull_row(1, PullState::running);
  p.size = 1000;
  p.bytes_done = 700;
  snapshot.pulls = {p};
  ASSERT_OK(db->write_snapshot(snapshot));
  snapshot.pulls[0].bytes_done = 100;
  ASSERT_OK(db->write_snapshot(snapshot));
  Reader read(path());
  EXPECT_THAT(read("SELECT percent, include FROM pulls"),
              testing::ElementsAre("70.0|[\"*.json\",\"a \\\"quoted\\\" \\\\ one\\u000a\"]"));
}

TEST_F(StateDbTest, ReadersInAnotherConnectionAreNeverBlocked) {
  std::vector<FileStatus> files;
  for (int i = 0; i < 200; ++i) {
    files.push_back(file_row(0, 1'000'000));
    files.back().path = "file-" + std::to_string(i);
  }
  write(files);
  std::atomic<bool> done{false};
  std::atomic<int> reads{0};
  std::string trouble;
  std::thread reader([&] {
    Reader read(path());
    double last = 0;
    while (!done || reads < 3) {
      const auto rows = read("SELECT count(*), sum(percent), max(percent) FROM status");
      ++reads;
      if (rows.size() != 1 || !rows[0].starts_with("200|")) {
        trouble = rows.empty() ? "no rows" : rows[0];
        return;
      }
      const double sum = std::stod(rows[0].substr(4));
      if (sum < last) trouble = "percent fell";
      last = sum;
    }
  });
  for (int round = 1; round <= 100; ++round) {
    for (auto& f : files) f.bytes_done += 10'000;
    write(files, 1'700'000'000'000 + round);
    ASSERT_OK(db->checkpoint());
  }
  done = true;
  reader.join();
  EXPECT_EQ(trouble, "");
  EXPECT_GE(reads, 3);
}

TEST_F(StateDbTest, ALongReaderDoesNotStopTheWriter) {
  Reader read(path());
  write({file_row(1)});
  EXPECT_EQ(read("BEGIN; SELECT bytes_done FROM status").at(0), "1");
  for (std::uint64_t i = 2; i < 50; ++i) write({file_row(i)});
  EXPECT_EQ(read("SELECT bytes_done FROM status").at(0), "1");
  read("COMMIT");
  EXPECT_EQ(read("SELECT bytes_done FROM status").at(0), "49");
}

}  // namespace
}  // namespace shoal
