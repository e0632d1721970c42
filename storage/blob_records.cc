#include "storage/blob_records.h"

#include "storage/sqlite_connection.h"

#include <chrono>
#include <cstring>

namespace shoal {
namespace {

std::int64_t wall_ms() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

// The blob's row number; 0 if there is none.
Result<std::int64_t> find_row(SqliteConnection& db, const BlobId& id) {
  auto select = db.prepare("SELECT id FROM blob WHERE blob_id = ? AND size = ?");
  const auto row = select.bind(id.text()).bind_u64(id.size).step();
  if (!row) return fail(row.error());
  return *row ? select.i64(0) : std::int64_t{0};
}

Result<std::int64_t> make_row(SqliteConnection& db, const BlobId& id) {
  auto found = find_row(db, id);
  if (!found || *found != 0) return found;
  auto insert = db.prepare("INSERT INTO blob (blob_id, size) VALUES (?, ?)");
  if (auto done = insert.bind(id.text()).bind_u64(id.size).run(); !done) return fail(done.error());
  return db.last_row_id();
}

// Segments and midstates go with the row (ON DELETE CASCADE).
Result<void> drop_row_if_unused(SqliteConnection& db, std::int64_t row) {
  return db
      .prepare(
          "DELETE FROM blob WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM copy WHERE blob = ?1) "
          "AND NOT EXISTS (SELECT 1 FROM partial WHERE blob = ?1)")
      .bind(row)
      .run();
}

std::span<const std::uint8_t> as_bytes(const std::vector<Hash256>& hashes) {
  static_assert(sizeof(Hash256) == 32);
  return {reinterpret_cast<const std::uint8_t*>(hashes.data()), hashes.size() * sizeof(Hash256)};
}

std::vector<Hash256> to_hashes(std::span<const std::uint8_t> bytes) {
  std::vector<Hash256> hashes(bytes.size() / sizeof(Hash256));
  if (!hashes.empty()) std::memcpy(hashes.data(), bytes.data(), hashes.size() * sizeof(Hash256));
  return hashes;
}

Result<void> put_segment(SqliteConnection& db, std::int64_t row, const SegmentRecord& s) {
  if (s.hashes.empty()) {
    return db.prepare("UPDATE segment SET written = ?, durable = ? WHERE blob = ? AND idx = ?")
        .bind_u64(s.written)
        .bind_u64(s.durable)
        .bind(row)
        .bind(std::int64_t{to_int(s.index)})
        .run();
  }
  return db
      .prepare("INSERT OR REPLACE INTO segment (blob, idx, written, durable, hashes) VALUES (?, ?, ?, ?, ?)")
      .bind(row)
      .bind(std::int64_t{to_int(s.index)})
      .bind_u64(s.written)
      .bind_u64(s.durable)
      .bind_blob(as_bytes(s.hashes))
      .run();
}

Result<void> put_prefix(SqliteConnection& db, std::int64_t row, const PrefixRecord& p) {
  const auto kind = static_cast<std::int64_t>(p.kind);
  if (p.kind != PrefixRecord::Kind::boundary) {
    auto done = db.prepare("DELETE FROM prefix_hash WHERE blob = ? AND kind = ?").bind(row).bind(kind).run();
    if (!done) return done;
  }
  return db.prepare("INSERT OR REPLACE INTO prefix_hash (blob, kind, position, state) VALUES (?, ?, ?, ?)")
      .bind(row)
      .bind(kind)
      .bind_u64(p.position)
      .bind_blob(p.state)
      .run();
}

Result<void> put_copy(SqliteConnection& db, std::int64_t row, const CopyRecord& copy) {
  return db
      .prepare(
          "INSERT OR REPLACE INTO copy (blob, type, repo, path, inode, mtime_ns, source, verified_at) "
          "VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
      .bind(row)
      .bind(to_string(copy.repo.type))
      .bind(copy.repo.name)
      .bind(copy.path)
      .bind_u64(copy.stamp.inode)
      .bind(copy.stamp.mtime_ns)
      .bind(copy.source)
      .bind(wall_ms())
      .run();
}

Result<void> put_changes(SqliteConnection& db, const PartialChanges& changes) {
  const auto row = find_row(db, changes.id);
  if (!row) return fail(row.error());
  if (*row == 0) return {};  // discarded in between
  if (changes.prefix_back_to) {
    auto done = db.prepare("DELETE FROM prefix_hash WHERE blob = ? AND position > ?")
                    .bind(*row)
                    .bind_u64(*changes.prefix_back_to)
                    .run();
    if (!done) return done;
  }
  for (const auto& segment : changes.segments) {
    if (auto done = put_segment(db, *row, segment); !done) return done;
  }
  for (const auto& prefix : changes.prefixes) {
    if (auto done = put_prefix(db, *row, prefix); !done) return done;
  }
  return {};
}

RepoRef to_repo(const std::string& type, std::string name) {
  return {parse_repo_type(type).value_or(RepoType::model), std::move(name)};
}

PartialRecord read_partial(const Statement& row, const BlobId& id, int column) {
  return {.id = id,
          .repo = to_repo(row.text(column), row.text(column + 1)),
          .path = row.text(column + 2),
          .inode = row.u64(column + 3),
          .boot_id = row.text(column + 4)};
}

}  // namespace

Result<std::vector<CopyRecord>> BlobRecords::copies(const BlobId& id) {
  SqliteConnection& db = db_.reader();
  const auto lock = db.lock();
  auto select = db.prepare(
      "SELECT c.type, c.repo, c.path, c.inode, c.mtime_ns, c.source FROM blob b JOIN copy c ON c.blob = b.id "
      "WHERE b.blob_id = ? AND b.size = ? ORDER BY c.id");
  select.bind(id.text()).bind_u64(id.size);
  return select.collect([&](const Statement& row) {
    return CopyRecord{.repo = to_repo(row.text(0), row.text(1)),
                      .path = row.text(2),
                      .stamp = {.inode = row.u64(3), .size = id.size, .mtime_ns = row.i64(4)},
                      .source = row.text(5)};
  });
}

Result<std::optional<CopyRecord>> BlobRecords::copy_at(const BlobId& id, const std::string& path) {
  auto all = copies(id);
  if (!all) return fail(all.error());
  for (auto& copy : *all) {
    if (copy.path == path) return std::optional(std::move(copy));
  }
  return std::optional<CopyRecord>{};
}

Result<std::vector<BlobId>> BlobRecords::held() {
  SqliteConnection& db = db_.reader();
  const auto lock = db.lock();
  auto select = db.prepare("SELECT blob_id, size FROM blob WHERE id IN (SELECT blob FROM copy)");
  std::vector<BlobId> out;
  auto done = select.each([&](const Statement& row) {
    if (const auto id = BlobId::parse(row.text(0), row.u64(1))) out.push_back(*id);
  });
  if (!done) return fail(done.error());
  return out;
}

Result<void> BlobRecords::add_copy(const BlobId& id, const CopyRecord& copy,
                                   const std::vector<SegmentRecord>& segments) {
  SqliteConnection& db = db_.writer();
  const auto lock = db.lock();
  Transaction transaction(db);
  if (!transaction.begun()) return transaction.begun();
  const auto row = make_row(db, id);
  if (!row) return fail(row.error());
  for (const auto& segment : segments) {
    if (auto done = put_segment(db, *row, segment); !done) return done;
  }
  if (auto done = put_copy(db, *row, copy); !done) return done;
  return transaction.commit();
}

Result<void> BlobRecords::drop_copy(const BlobId& id, const std::string& path) {
  SqliteConnection& db = db_.writer();
  const auto lock = db.lock();
  Transaction transaction(db);
  if (!transaction.begun()) return transaction.begun();
  std::string type;
  std::string repo;
  std::int64_t row = 0;
  {
    auto select = db.prepare("SELECT blob, type, repo FROM copy WHERE path = ?");
    const auto found = select.bind(path).step();
    if (!found) return fail(found.error());
    if (!*found) return {};
    row = select.i64(0);
    type = select.text(1);
    repo = select.text(2);
  }
  if (auto done = db.prepare("DELETE FROM copy WHERE path = ?").bind(path).run(); !done) return done;
  auto files = db.prepare(
      "DELETE FROM file WHERE blob_id = ?1 AND size = ?2 AND type = ?3 AND repo = ?4 AND state = 'held' "
      "AND NOT EXISTS (SELECT 1 FROM copy WHERE blob = ?5 AND type = ?3 AND repo = ?4)");
  if (auto done = files.bind(id.text()).bind_u64(id.size).bind(type).bind(repo).bind(row).run(); !done)
    return done;
  if (auto done = drop_row_if_unused(db, row); !done) return done;
  return transaction.commit();
}

Result<std::optional<SegmentRecord>> BlobRecords::segment(const SegmentKey& key) {
  SqliteConnection& db = db_.reader();
  const auto lock = db.lock();
  auto select = db.prepare(
      "SELECT s.written, s.durable, s.hashes FROM blob b JOIN segment s ON s.blob = b.id "
      "WHERE b.blob_id = ? AND b.size = ? AND s.idx = ?");
  const auto row =
      select.bind(key.blob.text()).bind_u64(key.blob.size).bind(std::int64_t{to_int(key.index)}).step();
  if (!row) return fail(row.error());
  if (!*row) return std::optional<SegmentRecord>{};
  return std::optional(SegmentRecord{.index = key.index,
                                     .written = select.u64(0),
                                     .durable = select.u64(1),
                                     .hashes = to_hashes(select.blob(2))});
}

Result<std::vector<PartialRecord>> BlobRecords::partials() {
  SqliteConnection& db = db_.reader();
  const auto lock = db.lock();
  auto select = db.prepare(
      "SELECT b.blob_id, b.size, p.type, p.repo, p.path, p.inode, p.boot_id "
      "FROM partial p JOIN blob b ON b.id = p.blob ORDER BY p.started_at, p.blob");
  std::vector<PartialRecord> out;
  auto done = select.each([&](const Statement& row) {
    if (const auto id = BlobId::parse(row.text(0), row.u64(1))) out.push_back(read_partial(row, *id, 2));
  });
  if (!done) return fail(done.error());
  return out;
}

Result<std::optional<PartialRecord>> BlobRecords::partial(const BlobId& id) {
  SqliteConnection& db = db_.reader();
  const auto lock = db.lock();
  auto select = db.prepare(
      "SELECT p.type, p.repo, p.path, p.inode, p.boot_id FROM partial p JOIN blob b ON b.id = p.blob "
      "WHERE b.blob_id = ? AND b.size = ?");
  const auto row = select.bind(id.text()).bind_u64(id.size).step();
  if (!row) return fail(row.error());
  if (!*row) return std::optional<PartialRecord>{};
  return std::optional(read_partial(select, id, 0));
}

Result<void> BlobRecords::begin_partial(const PartialRecord& partial) {
  SqliteConnection& db = db_.writer();
  const auto lock = db.lock();
  Transaction transaction(db);
  if (!transaction.begun()) return transaction.begun();
  const auto row = make_row(db, partial.id);
  if (!row) return fail(row.error());
  auto insert = db.prepare(
      "INSERT OR REPLACE INTO partial (blob, type, repo, path, inode, boot_id, started_at) VALUES (?, ?, ?, "
      "?, ?, ?, "
      "?)");
  insert.bind(*row).bind(to_string(partial.repo.type)).bind(partial.repo.name).bind(partial.path);
  insert.bind_u64(partial.inode).bind(partial.boot_id).bind(wall_ms());
  if (auto done = insert.run(); !done) return done;
  return transaction.commit();
}

Result<void> BlobRecords::reboot_partial(const BlobId& id, const std::string& boot_id) {
  SqliteConnection& db = db_.writer();
  const auto lock = db.lock();
  // Flushed: pieces that are given up here will be written anew.
  Transaction transaction(db, Transaction::Kind::flushed);
  if (!transaction.begun()) return transaction.begun();
  const auto row = find_row(db, id);
  if (!row) return fail(row.error());
  auto done = db.prepare("UPDATE segment SET written = durable WHERE blob = ?").bind(*row).run();
  if (done) done = db.prepare("UPDATE partial SET boot_id = ? WHERE blob = ?").bind(boot_id).bind(*row).run();
  if (!done) return done;
  return transaction.commit();
}

Result<std::vector<SegmentRecord>> BlobRecords::masks(const BlobId& id) {
  SqliteConnection& db = db_.reader();
  const auto lock = db.lock();
  // An index that does not fit its type would be taken for that of another segment, and pieces counted twice.
  auto select = db.prepare(
      "SELECT s.idx, s.written, s.durable FROM blob b JOIN segment s ON s.blob = b.id "
      "WHERE b.blob_id = ? AND b.size = ? AND s.idx BETWEEN 0 AND 4294967295 ORDER BY s.idx");
  select.bind(id.text()).bind_u64(id.size);
  return select.collect([](const Statement& row) {
    return SegmentRecord{.index = static_cast<SegmentIndex>(row.i64(0)),
                         .written = row.u64(1),
                         .durable = row.u64(2),
                         .hashes = {}};
  });
}

Result<std::vector<PrefixRecord>> BlobRecords::prefixes(const BlobId& id) {
  SqliteConnection& db = db_.reader();
  const auto lock = db.lock();
  auto select = db.prepare(
      "SELECT h.kind, h.position, h.state FROM blob b JOIN prefix_hash h ON h.blob = b.id "
      "WHERE b.blob_id = ? AND b.size = ? ORDER BY h.position");
  select.bind(id.text()).bind_u64(id.size);
  return select.collect([](const Statement& row) {
    const auto state = row.blob(2);
    return PrefixRecord{.kind = static_cast<PrefixRecord::Kind>(row.i64(0)),
                        .position = row.u64(1),
                        .state = {state.begin(), state.end()}};
  });
}

Result<void> BlobRecords::record(const std::vector<PartialChanges>& changes, bool flushed) {
  SqliteConnection& db = db_.writer();
  const auto lock = db.lock();
  Transaction transaction(db, flushed ? Transaction::Kind::flushed : Transaction::Kind::normal);
  if (!transaction.begun()) return transaction.begun();
  for (const auto& one : changes) {
    if (auto done = put_changes(db, one); !done) return done;
  }
  return transaction.commit();
}

Result<void> BlobRecords::publish(const BlobId& id, const CopyRecord& copy) {
  SqliteConnection& db = db_.writer();
  const auto lock = db.lock();
  Transaction transaction(db);
  if (!transaction.begun()) return transaction.begun();
  const auto row = make_row(db, id);
  if (!row) return fail(row.error());
  auto done = db.prepare("UPDATE segment SET durable = written WHERE blob = ?").bind(*row).run();
  if (done) done = db.prepare("DELETE FROM partial WHERE blob = ?").bind(*row).run();
  if (done) done = db.prepare("DELETE FROM prefix_hash WHERE blob = ?").bind(*row).run();
  if (done) done = put_copy(db, *row, copy);
  if (!done) return done;
  return transaction.commit();
}

Result<void> BlobRecords::drop_partial(const BlobId& id) {
  SqliteConnection& db = db_.writer();
  const auto lock = db.lock();
  // Flushed: a later partial of the blob must not inherit what this one had.
  Transaction transaction(db, Transaction::Kind::flushed);
  if (!transaction.begun()) return transaction.begun();
  const auto row = find_row(db, id);
  if (!row) return fail(row.error());
  if (*row == 0) return {};
  for (const char* sql :
       {"DELETE FROM partial WHERE blob = ?", "DELETE FROM prefix_hash WHERE blob = ?",
        "DELETE FROM segment WHERE blob = ?1 AND NOT EXISTS (SELECT 1 FROM copy WHERE blob = ?1)"}) {
    if (auto done = db.prepare(sql).bind(*row).run(); !done) return done;
  }
  if (auto done = drop_row_if_unused(db, *row); !done) return done;
  return transaction.commit();
}

}  // namespace shoal
