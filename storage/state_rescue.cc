#include "storage/state_rescue.h"

#include "storage/file.h"
#include "storage/sqlite_connection.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <set>

#include <sys/stat.h>

namespace shoal {
namespace {

// Repo folders read anew after a rescue; a machine has some hundreds.
constexpr std::size_t kCachesMax = 10'000;
// Damaged files that are kept for people to look at; each is as large as a database.
constexpr std::size_t kSetAsideMax = 3;

std::string time_stamp() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y%m%dT%H%M%SZ", &utc);
  return text.data();
}

std::string name_of(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

// The file and its log under a new name, where SQLite can still read them together.
Result<std::string> set_aside(FileSystem& files, const std::string& path) {
  const std::string to = path + ".damaged-" + time_stamp() + "-" + random_tag();
  if (auto moved = rename_file(files, path, to); !moved && moved.error().code != Code::not_found)
    return fail(moved.error());
  if (auto moved = rename_file(files, path + "-wal", to + "-wal");
      !moved && moved.error().code != Code::not_found)
    return fail(moved.error());
  if (auto gone = remove_file(files, path + "-shm"); !gone) return fail(gone.error());
  if (auto synced = sync_dir(files, parent_of(path)); !synced) return fail(synced.error());

  // The names sort by time.
  const auto entries = list_dir(files, parent_of(path));
  if (!entries) return to;
  std::vector<std::string> old;
  const std::string prefix = name_of(path) + ".damaged-";
  for (const auto& entry : *entries) {
    if (entry.name.starts_with(prefix) && !entry.name.ends_with("-wal") && !entry.name.ends_with("-shm"))
      old.push_back(entry.name);
  }
  for (std::size_t i = 0; i + kSetAsideMax < old.size(); ++i) {
    for (const char* suffix : {"", "-wal", "-shm"}) {
      static_cast<void>(remove_file(files, parent_of(path) + "/" + old[i] + suffix));
    }
  }
  return to;
}

// Rows as they are, as far as they can be read; returns how many.
int carry(SqliteConnection& from, SqliteConnection& to, const char* select, const char* insert, int columns) {
  int rows = 0;
  auto read = from.prepare(select);
  auto write = to.prepare(insert);
  // A page that cannot be read ends the table.
  static_cast<void>(read.each([&](const Statement& row) {
    for (int i = 0; i < columns; ++i) write.bind_column(row, i);
    if (write.run()) ++rows;
    write.reset();
  }));
  return rows;
}

void carry_over(const std::string& path, StateDb& db, Rescue& rescue) {
  SqliteConnection old;
  if (!old.open(path, SqliteConnection::Mode::read)) return;
  const auto reading = old.lock();
  SqliteConnection& to = db.writer();
  const auto writing = to.lock();
  Transaction transaction(to, Transaction::Kind::flushed);
  if (!transaction.begun()) return;
  carry(old, to, "SELECT name, value FROM setting WHERE name IN ('node_id', 'next_pull')",
        "INSERT OR REPLACE INTO setting (name, value) VALUES (?, ?)", 2);
  carry(old, to, "SELECT type, repo, is_public, checked_at FROM repo_access",
        "INSERT OR IGNORE INTO repo_access (type, repo, is_public, checked_at) VALUES (?, ?, ?, ?)", 4);
  carry(old, to, "SELECT type, repo, pinned_at FROM pin",
        "INSERT OR IGNORE INTO pin (type, repo, pinned_at) VALUES (?, ?, ?)", 3);
  rescue.pulls = carry(
      old, to,
      "SELECT id, type, repo, revision, commit_id, include, exclude, source, priority, state, created_at "
      "FROM pull WHERE state IN ('resolving', 'running')",
      "INSERT OR IGNORE INTO pull (id, type, repo, revision, commit_id, include, exclude, source, priority, "
      "state, "
      "created_at, files, files_done, size, bytes_done, bytes_lan, bytes_origin, bytes_local, bytes_per_s, "
      "waiting_for, error, snapshot_path, finished_at, updated_at) "
      "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0, 0, 0, 0, 0, 0, '', '', '', 0, 0)",
      11);
  carry(old, to, "SELECT id, blob_id, size FROM blob WHERE id IN (SELECT blob FROM partial)",
        "INSERT OR IGNORE INTO blob (id, blob_id, size) VALUES (?, ?, ?)", 3);
  // Inode 0 is no file's: begin() takes it for one that came from a backup, and reads what it finds.
  rescue.partials =
      carry(old, to, "SELECT blob, type, repo, path, started_at FROM partial",
            "INSERT OR IGNORE INTO partial (blob, type, repo, path, started_at, inode, boot_id) "
            "VALUES (?, ?, ?, ?, ?, 0, '')",
            5);
  carry(old, to, "SELECT blob, idx, written, hashes FROM segment WHERE blob IN (SELECT blob FROM partial)",
        "INSERT OR IGNORE INTO segment (blob, idx, written, hashes, durable) VALUES (?, ?, ?, ?, 0)", 4);
  std::set<std::string> folders;
  auto copies = old.prepare("SELECT path FROM copy");
  static_cast<void>(copies.each([&](const Statement& row) {
    // .../models--org--name/blobs/<etag>
    if (folders.size() < kCachesMax) folders.insert(parent_of(parent_of(row.text(0))));
  }));
  rescue.caches.assign(folders.begin(), folders.end());
  if (!transaction.commit()) rescue.partials = rescue.pulls = 0;
}

}  // namespace

Result<OpenedState> open_or_rescue(const std::string& path, bool was_here, const DiskPorts& disk) {
  FileSystem& files = *disk.files;
  struct stat st {};
  // SQLite takes an empty file for a new one; here it is what is left of one.
  const bool there = files.status(path, st) == 0 && !(was_here && st.st_size == 0);
  const bool marked = StateDb::marked_damaged(path, files);
  OpenedState out;
  Rescue rescue;
  if (there && !marked) {
    auto db = StateDb::open(path, disk);
    if (db) {
      out.db = std::move(*db);
      return out;
    }
    if (db.error().code != Code::corrupt) return fail(db.error());
    rescue.reason = db.error().message;
  } else if (there) {
    rescue.reason = path + " was found to be damaged while it was in use";
  } else {
    rescue.reason = path + " is gone";
  }
  if (there) {
    auto moved = set_aside(files, path);
    if (!moved) return fail(moved.error());
    rescue.set_aside = std::move(*moved);
  }
  if (auto cleared = remove_file(files, StateDb::damage_mark(path)); !cleared) return fail(cleared.error());
  auto fresh = StateDb::open(path, disk);
  if (!fresh) return fail(fresh.error());
  out.db = std::move(*fresh);
  if (!rescue.set_aside.empty()) carry_over(rescue.set_aside, *out.db, rescue);
  if (there || was_here) out.rescue = std::move(rescue);
  return out;
}

}  // namespace shoal
