#include "storage/state_db.h"

#include "storage/file.h"
#include "storage/sql_embedded.h"
#include "storage/sqlite_connection.h"

#include <array>
#include <chrono>

#include <fcntl.h>
#include <sys/random.h>

namespace shoal {
namespace {

constexpr int kPassiveFrames = 1'000;   // 4 MiB
constexpr int kRestartFrames = 16'000;  // 64 MiB: readers that never pause must not let the log grow for ever

std::int64_t wall_ms() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

// Cheap beside what a damaged record could cost; a file of another program is damage as well.
Result<void> check(SqliteConnection& db, FileSystem& files, const std::string& path) {
  const auto tables = db.query_int("SELECT count(*) FROM sqlite_master");
  if (!tables) return fail(tables.error());
  if (*tables == 0) return {};  // new
  const auto ours = db.query_int(
      "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name IN ('migration', 'setting', 'copy')");
  if (!ours) return fail(ours.error());
  if (*ours != 3) return fail(Code::corrupt, path + " is a database of another program");
  const auto stamp = stamp_of(files, path);
  if (!stamp) return fail(stamp.error());
  if (stamp->size > StateDb::kCheckedBytesMax) return {};
  auto checked = db.prepare("PRAGMA quick_check(1)");
  const auto row = checked.step();
  if (!row) return fail(row.error());
  if (*row && checked.text(0) != "ok") return fail(Code::corrupt, path + " is damaged: " + checked.text(0));
  return {};
}

Result<void> migrate(SqliteConnection& db, const std::string& path) {
  const auto found = db.query_int("PRAGMA user_version");
  if (!found) return fail(found.error());
  const auto migrations = sql_migrations();
  const int latest = migrations.back().version;
  if (*found > latest) {
    return fail(Code::invalid,
                path + " was written by a newer shoal (schema " + std::to_string(*found) +
                    ", this one knows " + std::to_string(latest) +
                    "): install that version again, or move the file away to start afresh",
                StateDb::kNewerSchema);
  }
  for (const auto& migration : migrations) {
    if (migration.version <= *found) continue;
    Transaction transaction(db, Transaction::Kind::flushed);
    if (!transaction.begun()) return transaction.begun();
    if (auto done = db.exec(migration.sql); !done) return done;
    auto record = db.prepare("INSERT INTO migration (version, what, applied_at) VALUES (?, ?, ?)");
    if (auto done = record.bind(migration.version).bind(migration.what).bind(wall_ms()).run(); !done)
      return done;
    const std::string pragma = "PRAGMA user_version=" + std::to_string(migration.version);
    if (auto done = db.exec(pragma.c_str()); !done) return done;
    if (auto done = transaction.commit(); !done) return done;
  }
  return {};
}

// The views have no data, so they are simply made again when their text changed.
Result<void> refresh_views(SqliteConnection& db) {
  auto current = db.prepare("SELECT value = ? FROM setting WHERE name = 'views'");
  const auto row = current.bind(sql_schema()).step();
  if (!row) return fail(row.error());
  if (*row && current.i64(0) == 1) return {};
  current.reset();
  Transaction transaction(db);
  if (!transaction.begun()) return transaction.begun();
  if (auto done = db.exec(sql_schema()); !done) return done;
  auto record = db.prepare("INSERT OR REPLACE INTO setting (name, value) VALUES ('views', ?)");
  if (auto done = record.bind(sql_schema()).run(); !done) return done;
  return transaction.commit();
}

}  // namespace

StateDb::StateDb(const DiskPorts& disk)
    : files_(disk.files),
      writer_(std::make_unique<SqliteConnection>()),
      reader_(std::make_unique<SqliteConnection>()),
      checkpointer_(std::make_unique<SqliteConnection>()) {}
StateDb::~StateDb() = default;

Result<std::unique_ptr<StateDb>> StateDb::open(const std::string& path, const DiskPorts& disk) {
  std::unique_ptr<StateDb> db(new StateDb(disk));
  db->path_ = path;
  SqliteConnection& writer = *db->writer_;
  {
    const auto lock = writer.lock();
    if (auto done = writer.open(path, SqliteConnection::Mode::write, disk.sqlite_vfs); !done)
      return fail(done.error());
    if (auto done = check(writer, *disk.files, path); !done) return fail(done.error());
    if (auto done = migrate(writer, path); !done) return fail(done.error());
    if (auto done = refresh_views(writer); !done) return fail(done.error());
    // Nobody is a neighbour until it has said so to this process.
    if (auto done = writer.exec("UPDATE peer SET alive = 0 WHERE alive <> 0"); !done)
      return fail(done.error());
  }
  if (auto done = db->reader_->open(path, SqliteConnection::Mode::read, disk.sqlite_vfs); !done)
    return fail(done.error());
  if (auto done = db->checkpointer_->open(path, SqliteConnection::Mode::write, disk.sqlite_vfs); !done)
    return fail(done.error());
  return db;
}

Result<NodeId> StateDb::node_id() {
  const auto lock = writer_->lock();
  Transaction transaction(*writer_, Transaction::Kind::flushed);
  if (!transaction.begun()) return fail(transaction.begun().error());
  {
    auto select = writer_->prepare("SELECT value FROM setting WHERE name = 'node_id'");
    const auto row = select.step();
    if (!row) return fail(row.error());
    if (*row) {
      if (const auto id = NodeId::parse(select.text(0))) return *id;
      return fail(Code::corrupt, "the node id in " + path_ + " is not one");
    }
  }
  NodeId fresh;
  if (::getrandom(fresh.bytes.data(), fresh.bytes.size(), 0) != static_cast<ssize_t>(fresh.bytes.size())) {
    return fail_errno(errno, "get random bytes for", "the node id");
  }
  auto insert = writer_->prepare("INSERT INTO setting (name, value) VALUES ('node_id', ?)");
  if (auto done = insert.bind(fresh.hex()).run(); !done) return fail(done.error());
  if (auto done = transaction.commit(); !done) return fail(done.error());
  return fresh;
}

Result<PullId> StateDb::new_pull_id() {
  const auto lock = writer_->lock();
  auto next = writer_->prepare(
      "INSERT INTO setting (name, value) VALUES ('next_pull', '1') "
      "ON CONFLICT (name) DO UPDATE SET value = CAST(value AS INTEGER) + 1 RETURNING CAST(value AS INTEGER)");
  const auto row = next.step();
  if (!row) return fail(row.error());
  const PullId id{next.i64(0)};
  if (auto done = next.run(); !done) return fail(done.error());
  return id;
}

Result<void> StateDb::checkpoint() {
  if (writer_->log_frames() < kPassiveFrames) return {};
  const auto lock = checkpointer_->lock();
  const auto state = checkpointer_->checkpoint(false);
  if (!state) return fail(state.error());
  if (state->frames < kRestartFrames) return {};
  // The log starts over only at a moment without a writer, so make one: what is left to copy is little.
  const auto writing = writer_->lock();
  const auto restarted = checkpointer_->checkpoint(true);
  if (!restarted) return fail(restarted.error());
  return {};
}

bool StateDb::damaged() const {
  return writer_->damaged() || reader_->damaged() || checkpointer_->damaged();
}

Result<void> StateDb::mark_damaged() {
  const std::string mark = damage_mark(path_);
  const auto fd = open_file(*files_, mark, O_WRONLY | O_CREAT);
  if (!fd) return fail(fd.error());
  return sync_dir(*files_, parent_of(mark));
}

bool StateDb::marked_damaged(const std::string& path, FileSystem& files) {
  return stamp_of(files, damage_mark(path)).has_value();
}

Result<void> StateDb::sync_log() {
  // A descriptor of our own: SQLite keeps its locks on other files than the log, so closing this one drops
  // none.
  const auto fd = open_file(*files_, path_ + "-wal", O_RDONLY);
  if (!fd) return fd.error().code == Code::not_found ? Result<void>{} : fail(fd.error());
  if (const int rc = files_->sync(fd->get(), true); rc < 0) return fail_errno(-rc, "flush", path_ + "-wal");
  return {};
}

}  // namespace shoal
