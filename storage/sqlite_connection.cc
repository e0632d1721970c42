#include "storage/sqlite_connection.h"

#include <cstring>

#include <sqlite3.h>

namespace shoal {
namespace {

// Nobody holds a write lock but this process and, for moments, a person's sqlite3.
constexpr int kBusyTimeoutMs = 10'000;

Code code_of(int rc) {
  switch (rc & 0xff) {
    case SQLITE_FULL:
      return Code::no_space;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return Code::corrupt;
    default:
      return Code::io;
  }
}

}  // namespace

Statement::Statement(SqliteConnection& connection, sqlite3_stmt* stmt, Result<void> prepared)
    : connection_(connection), stmt_(stmt), state_(std::move(prepared)) {}

Statement::~Statement() {
  reset();
}

void Statement::reset() {
  if (stmt_ != nullptr) {
    sqlite3_reset(stmt_);
    sqlite3_clear_bindings(stmt_);
  }
  next_bind_ = 1;
}

void Statement::note(int rc) {
  if (rc != SQLITE_OK && state_) state_ = connection_.failure(rc);
}

Statement& Statement::bind(std::int64_t value) {
  if (stmt_ != nullptr) note(sqlite3_bind_int64(stmt_, next_bind_++, value));
  return *this;
}
Statement& Statement::bind_u64(std::uint64_t value) {
  return bind(static_cast<std::int64_t>(value));
}
Statement& Statement::bind(std::string_view text) {
  // SQLite copies (SQLITE_TRANSIENT), and takes a null pointer for NULL, so the empty text needs an address.
  if (stmt_ != nullptr) {
    note(sqlite3_bind_text(stmt_, next_bind_++, text.empty() ? "" : text.data(),
                           static_cast<int>(text.size()),
                           SQLITE_TRANSIENT));  // NOLINT: SQLite's own cast
  }
  return *this;
}
Statement& Statement::bind_blob(std::span<const std::uint8_t> bytes) {
  static constexpr std::uint8_t kNothing = 0;
  if (stmt_ != nullptr) {
    note(sqlite3_bind_blob(stmt_, next_bind_++, bytes.empty() ? &kNothing : bytes.data(),
                           static_cast<int>(bytes.size()), SQLITE_TRANSIENT));  // NOLINT
  }
  return *this;
}
Statement& Statement::bind_optional(const std::optional<std::int64_t>& value) {
  if (value) return bind(*value);
  if (stmt_ != nullptr) note(sqlite3_bind_null(stmt_, next_bind_++));
  return *this;
}

Statement& Statement::bind_column(const Statement& row, int column) {
  if (stmt_ != nullptr)
    note(sqlite3_bind_value(stmt_, next_bind_++, sqlite3_column_value(row.stmt_, column)));
  return *this;
}

Result<bool> Statement::step() {
  if (!state_) return fail(state_.error());
  const int rc = sqlite3_step(stmt_);
  if (rc == SQLITE_ROW) return true;
  if (rc == SQLITE_DONE) return false;
  return connection_.failure(rc);
}

Result<void> Statement::run() {
  while (true) {
    const auto row = step();
    if (!row) return fail(row.error());
    if (!*row) break;
  }
  reset();
  return {};
}

std::int64_t Statement::i64(int column) const {
  return sqlite3_column_int64(stmt_, column);
}
bool Statement::null(int column) const {
  return sqlite3_column_type(stmt_, column) == SQLITE_NULL;
}
std::string Statement::text(int column) const {
  const auto* data = sqlite3_column_text(stmt_, column);
  if (data == nullptr) return {};
  return {reinterpret_cast<const char*>(data), static_cast<std::size_t>(sqlite3_column_bytes(stmt_, column))};
}
std::span<const std::uint8_t> Statement::blob(int column) const {
  const auto* data = static_cast<const std::uint8_t*>(sqlite3_column_blob(stmt_, column));
  if (data == nullptr) return {};
  return {data, static_cast<std::size_t>(sqlite3_column_bytes(stmt_, column))};
}

SqliteConnection::~SqliteConnection() {
  for (const auto& [sql, stmt] : statements_) sqlite3_finalize(stmt);
  sqlite3_close(db_);
}

Unexpected<Error> SqliteConnection::failure(int rc) const {
  if (code_of(rc) == Code::corrupt) damaged_.store(true, std::memory_order_relaxed);
  const char* text = db_ != nullptr ? sqlite3_errmsg(db_) : sqlite3_errstr(rc);
  return fail(code_of(rc), "cannot use the database " + path_ + ": " + text, rc);
}

Result<void> SqliteConnection::open(const std::string& path, Mode mode, const char* vfs) {
  path_ = path;
  // The connection's own mutex serialises, so SQLite need not.
  const int flags =
      SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_READWRITE | (mode == Mode::write ? SQLITE_OPEN_CREATE : 0);
  if (const int rc = sqlite3_open_v2(path.c_str(), &db_, flags, vfs); rc != SQLITE_OK) return failure(rc);
  sqlite3_busy_timeout(db_, kBusyTimeoutMs);
  // The log is copied back by StateDb::checkpoint(): the automatic way would make a commit wait for the disk.
  // A log that shrank in use is cut to 8 MiB, so that a burst does not keep its space.
  if (auto set =
          exec("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;"
               "PRAGMA wal_autocheckpoint=0; PRAGMA journal_size_limit=8388608; PRAGMA cache_size=-2000;");
      !set) {
    return set;
  }
  sqlite3_wal_hook(
      db_,
      [](void* self, sqlite3*, const char*, int frames) {
        static_cast<SqliteConnection*>(self)->log_frames_.store(frames, std::memory_order_relaxed);
        return SQLITE_OK;
      },
      this);
  return mode == Mode::read ? exec("PRAGMA query_only=ON") : Result<void>{};
}

Result<void> SqliteConnection::exec(const char* sql) {
  const int rc = sqlite3_exec(db_, sql, nullptr, nullptr, nullptr);
  if (rc != SQLITE_OK) return failure(rc);
  return {};
}

Statement SqliteConnection::prepare(const char* sql) {
  auto& stmt = statements_[sql];
  if (stmt == nullptr) {
    const int rc = sqlite3_prepare_v3(db_, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, nullptr);
    if (rc != SQLITE_OK) return {*this, nullptr, failure(rc)};
  }
  return {*this, stmt, {}};
}

Result<std::int64_t> SqliteConnection::query_int(const char* sql) {
  auto statement = prepare(sql);
  const auto row = statement.step();
  if (!row) return fail(row.error());
  return *row ? statement.i64(0) : 0;
}

std::int64_t SqliteConnection::last_row_id() const {
  return sqlite3_last_insert_rowid(db_);
}
std::int64_t SqliteConnection::changes() const {
  return sqlite3_changes64(db_);
}

Result<SqliteConnection::WalState> SqliteConnection::checkpoint(bool restart) {
  int frames = 0;
  int copied = 0;
  const int mode = restart ? SQLITE_CHECKPOINT_RESTART : SQLITE_CHECKPOINT_PASSIVE;
  const int rc = sqlite3_wal_checkpoint_v2(db_, nullptr, mode, &frames, &copied);
  // Busy: a reader looks at an old page. The next time will do.
  if (rc != SQLITE_OK && rc != SQLITE_BUSY) return failure(rc);
  return WalState{frames, copied};
}

Transaction::Transaction(SqliteConnection& connection, Kind kind) : connection_(connection), kind_(kind) {
  if (kind_ == Kind::flushed) begun_ = connection_.exec("PRAGMA synchronous=FULL");
  if (begun_) begun_ = connection_.exec("BEGIN IMMEDIATE");
  open_ = begun_.has_value();
}

Transaction::~Transaction() {
  // Errors have been told already by what failed before; a rollback has nothing to add.
  if (open_) static_cast<void>(connection_.exec("ROLLBACK"));
  if (kind_ == Kind::flushed) static_cast<void>(connection_.exec("PRAGMA synchronous=NORMAL"));
}

Result<void> Transaction::commit() {
  if (!begun_) return begun_;
  auto done = connection_.exec("COMMIT");
  if (done) open_ = false;
  return done;
}

}  // namespace shoal
