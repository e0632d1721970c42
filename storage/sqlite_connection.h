// A thin skin over SQLite: errors as values, statements kept prepared, one transaction at a time.
//
// Not a query builder. Inside storage/ only; no sqlite type leaves sqlite_connection.cc.
//
// Threads: one at a time. lock() first, and keep the lock as long as a Statement or Transaction is in use.
#pragma once

#include "node/core/result.h"

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

struct sqlite3;
struct sqlite3_stmt;

namespace shoal {

class SqliteConnection;

// A prepared statement in use; reset when it goes out of scope. An error is kept and told by the next step(),
// so that the binds can be written in a row.
class Statement {
 public:
  Statement(SqliteConnection& connection, sqlite3_stmt* stmt, Result<void> prepared);
  ~Statement();
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  Statement& bind(std::int64_t value);
  Statement& bind_u64(std::uint64_t value);  // stored as the same 64 bits
  Statement& bind(std::string_view text);
  Statement& bind_blob(std::span<const std::uint8_t> bytes);
  Statement& bind_optional(const std::optional<std::int64_t>& value);
  // The value that a row of another statement has there.
  Statement& bind_column(const Statement& row, int column);

  // True: there is a row. False: done.
  Result<bool> step();
  // Runs to the end.
  Result<void> run();
  // Runs to the end and calls `use(*this)` for each row.
  template <typename Use>
  Result<void> each(Use use) {
    while (true) {
      const auto row = step();
      if (!row) return fail(row.error());
      if (!*row) return {};
      use(std::as_const(*this));
    }
  }
  // The same, with what `read(*this)` makes of each row.
  template <typename Read>
  auto collect(Read read) -> Result<std::vector<decltype(read(*this))>> {
    std::vector<decltype(read(*this))> out;
    auto done = each([&](const Statement& row) { out.push_back(read(row)); });
    if (!done) return fail(done.error());
    return out;
  }
  // For another row of binds.
  void reset();

  [[nodiscard]] std::int64_t i64(int column) const;
  [[nodiscard]] std::uint64_t u64(int column) const { return static_cast<std::uint64_t>(i64(column)); }
  [[nodiscard]] bool null(int column) const;
  [[nodiscard]] std::string text(int column) const;
  // Valid until the next step() or reset().
  [[nodiscard]] std::span<const std::uint8_t> blob(int column) const;

 private:
  void note(int rc);

  SqliteConnection& connection_;
  sqlite3_stmt* stmt_;
  int next_bind_ = 1;
  Result<void> state_;
};

class SqliteConnection {
 public:
  enum class Mode : std::uint8_t { write, read };

  SqliteConnection() = default;
  ~SqliteConnection();
  SqliteConnection(const SqliteConnection&) = delete;
  SqliteConnection& operator=(const SqliteConnection&) = delete;

  // `vfs`: nullptr for SQLite's usual one.
  Result<void> open(const std::string& path, Mode mode, const char* vfs = nullptr);
  [[nodiscard]] std::unique_lock<std::mutex> lock() { return std::unique_lock(mutex_); }

  // Runs statements that return nothing.
  Result<void> exec(const char* sql);
  // REQUIRES: `sql` is a string literal; its address names the statement from then on.
  Statement prepare(const char* sql);
  // The first column of the first row.
  Result<std::int64_t> query_int(const char* sql);
  [[nodiscard]] std::int64_t last_row_id() const;
  [[nodiscard]] std::int64_t changes() const;
  // Frames in the write-ahead log after this connection's last commit. Needs no lock.
  [[nodiscard]] int log_frames() const { return log_frames_.load(std::memory_order_relaxed); }
  // Frames in the log, and how many of them were copied back. `restart` waits for readers and the writer.
  struct WalState {
    std::int64_t frames = 0;
    std::int64_t copied = 0;
  };
  Result<WalState> checkpoint(bool restart);

  [[nodiscard]] Unexpected<Error> failure(int rc) const;
  // Whether any call so far found that the file is no sound database. Needs no lock.
  [[nodiscard]] bool damaged() const { return damaged_.load(std::memory_order_relaxed); }

 private:
  friend class Statement;
  std::mutex mutex_;
  std::string path_;
  sqlite3* db_ = nullptr;
  std::atomic<int> log_frames_{0};
  mutable std::atomic<bool> damaged_{false};
  std::unordered_map<const char*, sqlite3_stmt*> statements_;
};

// Rolled back unless commit() succeeded.
class Transaction {
 public:
  // flushed: on the disk before commit() returns (see state_db.h).
  enum class Kind : std::uint8_t { normal, flushed };
  explicit Transaction(SqliteConnection& connection, Kind kind = Kind::normal);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  [[nodiscard]] const Result<void>& begun() const { return begun_; }
  Result<void> commit();

 private:
  SqliteConnection& connection_;
  Kind kind_;
  Result<void> begun_;
  bool open_ = false;
};

}  // namespace shoal
