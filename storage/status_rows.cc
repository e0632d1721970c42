// The part of StateDb that people see: files, pulls, peers, events.
#include "storage/sqlite_connection.h"
#include "storage/state_db.h"

#include <algorithm>
#include <array>
#include <set>

namespace shoal {
namespace {

constexpr const char* kUpsertFile =
    "INSERT INTO file (type, repo, revision, commit_id, path, blob_id, size, bytes_done, bytes_lan, "
    "bytes_origin, "
    "bytes_local, bytes_per_s, eta_s, state, waiting_for, error, updated_at) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17) "
    "ON CONFLICT (type, repo, commit_id, revision, path) DO UPDATE SET "
    "blob_id = excluded.blob_id, size = excluded.size, "
    // See the trigger file_never_falls.
    "bytes_done = CASE WHEN file.state = 'failed' OR excluded.state = 'failed' OR file.blob_id <> "
    "excluded.blob_id "
    "  THEN excluded.bytes_done ELSE max(file.bytes_done, excluded.bytes_done) END, "
    "bytes_lan = excluded.bytes_lan, bytes_origin = excluded.bytes_origin, bytes_local = "
    "excluded.bytes_local, "
    "bytes_per_s = excluded.bytes_per_s, eta_s = excluded.eta_s, state = excluded.state, "
    "waiting_for = excluded.waiting_for, error = excluded.error, updated_at = excluded.updated_at "
    "WHERE (file.blob_id, file.size, file.bytes_done, file.bytes_lan, file.bytes_origin, file.bytes_local, "
    "       file.bytes_per_s, file.eta_s, file.state, file.waiting_for, file.error) "
    "IS NOT (excluded.blob_id, excluded.size, excluded.bytes_done, excluded.bytes_lan, "
    "excluded.bytes_origin, "
    "        excluded.bytes_local, excluded.bytes_per_s, excluded.eta_s, excluded.state, "
    "excluded.waiting_for, "
    "        excluded.error)";

constexpr const char* kInsertFoundFile =
    "INSERT INTO file (type, repo, revision, commit_id, path, blob_id, size, bytes_done, bytes_lan, "
    "bytes_origin, "
    "bytes_local, bytes_per_s, eta_s, state, waiting_for, error, updated_at) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17) "
    "ON CONFLICT (type, repo, commit_id, revision, path) DO UPDATE SET "
    "blob_id = excluded.blob_id, size = excluded.size, bytes_done = excluded.bytes_done, bytes_lan = 0, "
    "bytes_origin = 0, bytes_local = excluded.bytes_local, bytes_per_s = 0, eta_s = NULL, state = "
    "excluded.state, "
    "waiting_for = '', error = '', updated_at = excluded.updated_at "
    // How a held file came here is known already.
    "WHERE file.state <> 'held' OR file.blob_id <> excluded.blob_id";

constexpr const char* kUpsertPull =
    "INSERT INTO pull (id, type, repo, revision, commit_id, include, exclude, source, priority, state, "
    "files, "
    "files_done, size, bytes_done, bytes_lan, bytes_origin, bytes_local, bytes_per_s, eta_s, waiting_for, "
    "error_code, "
    "error, snapshot_path, created_at, finished_at, updated_at) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, "
    "?22, "
    "?23, ?24, ?25, ?26) "
    "ON CONFLICT (id) DO UPDATE SET type = excluded.type, repo = excluded.repo, revision = "
    "excluded.revision, "
    "commit_id = excluded.commit_id, include = excluded.include, exclude = excluded.exclude, "
    "source = excluded.source, priority = excluded.priority, state = excluded.state, files = excluded.files, "
    "files_done = excluded.files_done, size = excluded.size, "
    // Never falls, as for files, and never passes the size.
    "bytes_done = CASE WHEN excluded.state = 'failed' THEN excluded.bytes_done "
    "  ELSE min(max(pull.bytes_done, excluded.bytes_done), excluded.size) END, "
    "bytes_lan = excluded.bytes_lan, bytes_origin = excluded.bytes_origin, bytes_local = "
    "excluded.bytes_local, "
    "bytes_per_s = excluded.bytes_per_s, eta_s = excluded.eta_s, waiting_for = excluded.waiting_for, "
    "error_code = excluded.error_code, error = excluded.error, snapshot_path = excluded.snapshot_path, "
    "created_at = excluded.created_at, finished_at = excluded.finished_at, updated_at = excluded.updated_at "
    // An ended pull is shown for a while and does not change.
    "WHERE excluded.state IN ('resolving', 'running') OR pull.state IS NOT excluded.state "
    "  OR pull.bytes_done IS NOT excluded.bytes_done OR pull.error IS NOT excluded.error";

constexpr const char* kUpsertPeer =
    "INSERT INTO peer (node, name, version, address, port, alive, cpu_permille, memory_permille, "
    "io_permille, "
    "nic_permille, gpu_permille, busy, origin_bytes_per_s, upload_bytes_per_s, download_bytes_per_s, "
    "blobs_held, "
    "bytes_held, bytes_received, bytes_sent, first_seen, last_seen, banned_until) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, "
    "?22) "
    "ON CONFLICT (node) DO UPDATE SET name = excluded.name, version = excluded.version, address = "
    "excluded.address, "
    "port = excluded.port, alive = excluded.alive, cpu_permille = excluded.cpu_permille, "
    "memory_permille = excluded.memory_permille, io_permille = excluded.io_permille, "
    "nic_permille = excluded.nic_permille, gpu_permille = excluded.gpu_permille, busy = excluded.busy, "
    "origin_bytes_per_s = excluded.origin_bytes_per_s, upload_bytes_per_s = excluded.upload_bytes_per_s, "
    "download_bytes_per_s = excluded.download_bytes_per_s, blobs_held = excluded.blobs_held, "
    "bytes_held = excluded.bytes_held, bytes_received = excluded.bytes_received, bytes_sent = "
    "excluded.bytes_sent, "
    "first_seen = min(peer.first_seen, excluded.first_seen), last_seen = excluded.last_seen, "
    "banned_until = excluded.banned_until";

constexpr const char* kFileColumns =
    "SELECT type, repo, revision, commit_id, path, blob_id, size, bytes_done, bytes_lan, bytes_origin, "
    "bytes_local, "
    "bytes_per_s, eta_s, state, waiting_for, error, "
    // As in the view.
    "CASE WHEN state IN ('queued', 'fetching', 'checking') THEN max(updated_at, "
    "  coalesce((SELECT CAST(value AS INTEGER) FROM setting WHERE name = 'heartbeat'), 0)) "
    "ELSE updated_at END FROM file ";
constexpr const char* kFileChoice =
    "AND (?3 = '' OR commit_id = ?3) AND (?4 = '' OR state = ?4) "
    "ORDER BY type, repo, commit_id, revision, path";

// Two statements, so that one repo's rows are found by the key and not by looking at all.
const char* file_query(bool one_repo) {
  static const std::string all = std::string(kFileColumns) + "WHERE ?1 = ?2 " + kFileChoice;
  static const std::string one = std::string(kFileColumns) + "WHERE type = ?1 AND repo = ?2 " + kFileChoice;
  return (one_repo ? one : all).c_str();
}

// The value among `all` with that name; the first where none has it, which only a changed table could cause.
template <typename E, std::size_t N>
E parse_name(const std::array<E, N>& all, std::string_view text) {
  for (const E value : all) {
    if (to_string(value) == text) return value;
  }
  return all.front();
}

constexpr std::array kFileStates{FileState::queued, FileState::fetching, FileState::checking, FileState::held,
                                 FileState::failed};
constexpr std::array kPullStates{PullState::resolving, PullState::running, PullState::done, PullState::failed,
                                 PullState::cancelled};
constexpr std::array kLevels{EventLevel::info, EventLevel::warning, EventLevel::error};
constexpr std::array kCodes{Code::io,          Code::not_found, Code::unauthorized, Code::gated,
                            Code::corrupt,     Code::no_space,  Code::timeout,      Code::rate_limited,
                            Code::unavailable, Code::cancelled, Code::invalid,      Code::expired,
                            Code::changed};

// A JSON array of strings.
std::string to_json(const std::vector<std::string>& texts) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string out = "[";
  for (const auto& text : texts) {
    if (out.size() > 1) out += ',';
    out += '"';
    for (const char c : text) {
      const auto byte = static_cast<unsigned char>(c);
      if (c == '"' || c == '\\') {
        out += '\\';
        out += c;
      } else if (byte < 0x20) {
        out += "\\u00";
        out += kHex[byte >> 4U];
        out += kHex[byte & 0xfU];
      } else {
        out += c;
      }
    }
    out += '"';
  }
  return out + "]";
}

// SQLite itself reads the JSON back.
Result<std::vector<std::string>> from_json(SqliteConnection& db, const std::string& json) {
  std::vector<std::string> out;
  auto each = db.prepare("SELECT value FROM json_each(?)");
  each.bind(json);
  while (true) {
    const auto row = each.step();
    if (!row) return fail(row.error());
    if (!*row) return out;
    out.push_back(each.text(0));
  }
}

Result<void> put_file(Statement& statement, const FileStatus& f, WallTime at) {
  statement.bind(to_string(f.repo.type)).bind(f.repo.name).bind(f.revision).bind(f.commit_id).bind(f.path);
  statement.bind(f.blob.text()).bind_u64(f.blob.size).bind_u64(std::min(f.bytes_done, f.blob.size));
  statement.bind_u64(f.bytes_lan).bind_u64(f.bytes_origin).bind_u64(f.bytes_local).bind_u64(f.bytes_per_s);
  statement.bind_optional(f.eta_s).bind(to_string(f.state)).bind(f.waiting_for).bind(f.error).bind(at.ms);
  return statement.run();
}

Result<void> put_pull(Statement& statement, const PullStatus& p, WallTime at) {
  statement.bind(to_int(p.id))
      .bind(to_string(p.repo.type))
      .bind(p.repo.name)
      .bind(p.revision)
      .bind(p.commit_id);
  statement.bind(to_json(p.include))
      .bind(to_json(p.exclude))
      .bind(to_string(p.source))
      .bind(to_string(p.priority));
  statement.bind(to_string(p.state)).bind(std::int64_t{p.files}).bind(std::int64_t{p.files_done});
  statement.bind_u64(p.size).bind_u64(std::min(p.bytes_done, p.size)).bind_u64(p.bytes_lan);
  statement.bind_u64(p.bytes_origin).bind_u64(p.bytes_local).bind_u64(p.bytes_per_s).bind_optional(p.eta_s);
  statement.bind(p.waiting_for);
  if (p.error_code) {
    statement.bind(to_string(*p.error_code));
  } else {
    statement.bind_optional(std::nullopt);
  }
  statement.bind(p.error).bind(p.snapshot_path).bind(p.created_at.ms).bind(p.finished_at.ms).bind(at.ms);
  return statement.run();
}

Result<void> put_peer(Statement& statement, const PeerStatus& p) {
  statement.bind(p.node.hex()).bind(p.name).bind(p.version).bind(p.endpoint.address);
  statement.bind(std::int64_t{p.endpoint.port}).bind(std::int64_t{p.alive});
  statement.bind(std::int64_t{p.load.cpu_permille}).bind(std::int64_t{p.load.memory_permille});
  statement.bind(std::int64_t{p.load.io_permille}).bind(std::int64_t{p.load.nic_permille});
  statement.bind(std::int64_t{p.load.gpu_permille}).bind(std::int64_t{p.load.busy});
  statement.bind_u64(p.load.origin_bytes_per_s).bind_u64(p.load.upload_bytes_per_s);
  statement.bind_u64(p.load.download_bytes_per_s).bind(std::int64_t{p.blobs_held}).bind_u64(p.bytes_held);
  statement.bind_u64(p.bytes_received).bind_u64(p.bytes_sent).bind(p.first_seen.ms).bind(p.last_seen.ms);
  statement.bind(p.banned_until.ms);
  return statement.run();
}

Result<void> bury_absent_peers(SqliteConnection& db, const std::vector<PeerStatus>& present) {
  std::set<std::string> names;
  for (const auto& peer : present) names.insert(peer.node.hex());
  std::vector<std::string> gone;
  {
    auto alive = db.prepare("SELECT node FROM peer WHERE alive <> 0");
    while (true) {
      const auto row = alive.step();
      if (!row) return fail(row.error());
      if (!*row) break;
      if (!names.contains(alive.text(0))) gone.push_back(alive.text(0));
    }
  }
  auto bury = db.prepare("UPDATE peer SET alive = 0 WHERE node = ?");
  for (const auto& node : gone) {
    if (auto done = bury.bind(node).run(); !done) return done;
  }
  return {};
}

Result<void> run(SqliteConnection& db, const char* sql, std::int64_t value) {
  return db.prepare(sql).bind(value).run();
}

FileStatus read_file(const Statement& row) {
  FileStatus f;
  f.repo = {parse_repo_type(row.text(0)).value_or(RepoType::model), row.text(1)};
  f.revision = row.text(2);
  f.commit_id = row.text(3);
  f.path = row.text(4);
  f.blob = BlobId::parse(row.text(5), row.u64(6)).value_or(BlobId{});
  f.bytes_done = row.u64(7);
  f.bytes_lan = row.u64(8);
  f.bytes_origin = row.u64(9);
  f.bytes_local = row.u64(10);
  f.bytes_per_s = row.u64(11);
  if (!row.null(12)) f.eta_s = row.i64(12);
  f.state = parse_name(kFileStates, row.text(13));
  f.waiting_for = row.text(14);
  f.error = row.text(15);
  return f;
}

// `state` empty: all states. Calls `use` for each row.
template <typename Use>
Result<void> read_files(SqliteConnection& db, const std::optional<RepoRef>& repo, const std::string& commit,
                        std::string_view state, Use use) {
  const auto lock = db.lock();
  auto select = db.prepare(file_query(repo.has_value()));
  select.bind(repo ? to_string(repo->type) : "").bind(repo ? repo->name : "").bind(commit).bind(state);
  return select.each(use);
}

Result<std::vector<FileStatus>> read_files(SqliteConnection& db, const std::optional<RepoRef>& repo,
                                           const std::string& commit, std::string_view state) {
  std::vector<FileStatus> out;
  auto done =
      read_files(db, repo, commit, state, [&](const Statement& row) { out.push_back(read_file(row)); });
  if (!done) return fail(done.error());
  return out;
}

}  // namespace

Result<void> StateDb::write_snapshot(const StatusSnapshot& snapshot) {
  SqliteConnection& db = *writer_;
  const auto lock = db.lock();
  Transaction transaction(db);
  if (!transaction.begun()) return transaction.begun();
  {
    auto put = db.prepare(kUpsertFile);
    for (const auto& file : snapshot.files) {
      if (auto done = put_file(put, file, snapshot.at); !done) return done;
    }
  }
  {
    auto put = db.prepare(kUpsertPull);
    for (const auto& pull : snapshot.pulls) {
      if (auto done = put_pull(put, pull, snapshot.at); !done) return done;
    }
  }
  {
    auto put = db.prepare(kUpsertPeer);
    for (const auto& peer : snapshot.peers) {
      if (auto done = put_peer(put, peer); !done) return done;
    }
  }
  if (auto done = bury_absent_peers(db, snapshot.peers); !done) return done;
  auto done = db.prepare("INSERT OR REPLACE INTO setting (name, value) VALUES ('heartbeat', ?)")
                  .bind(std::to_string(snapshot.at.ms))
                  .run();
  if (done) {
    done =
        run(db,
            "DELETE FROM pull WHERE state IN ('done', 'failed', 'cancelled') AND id <= (SELECT id FROM pull "
            "WHERE state IN ('done', 'failed', 'cancelled') ORDER BY id DESC LIMIT 1 OFFSET ?)",
            kEndedPullsKept);
  }
  if (done) {
    done = run(
        db,
        "DELETE FROM peer WHERE node IN (SELECT node FROM peer ORDER BY last_seen DESC LIMIT -1 OFFSET ?)",
        kPeersKept);
  }
  if (!done) return done;
  return transaction.commit();
}

Result<void> StateDb::save_pull(const PullStatus& pull) {
  const auto lock = writer_->lock();
  auto put = writer_->prepare(kUpsertPull);
  return put_pull(put, pull, std::max(pull.created_at, pull.finished_at));
}

Result<void> StateDb::add_events(std::span<const EventRow> events) {
  if (events.empty()) return {};
  SqliteConnection& db = *writer_;
  const auto lock = db.lock();
  Transaction transaction(db);
  if (!transaction.begun()) return transaction.begun();
  {
    auto put = db.prepare(
        "INSERT INTO event (at, level, kind, pull, repo, path, peer, text) VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
    for (const auto& e : events) {
      std::optional<std::int64_t> pull;
      if (e.pull) pull = to_int(*e.pull);
      put.bind(e.at.ms).bind(to_string(e.level)).bind(e.kind).bind_optional(pull);
      put.bind(e.repo).bind(e.path).bind(e.peer).bind(e.text);
      if (auto done = put.run(); !done) return done;
    }
  }
  // Ids are given without gaps, so this keeps exactly the newest.
  if (auto done = run(db, "DELETE FROM event WHERE id <= (SELECT max(id) FROM event) - ?", kEventsKept);
      !done) {
    return done;
  }
  return transaction.commit();
}

Result<std::vector<EventRow>> StateDb::last_events(std::size_t count) {
  const auto lock = reader_->lock();
  auto select = reader_->prepare(
      "SELECT at, level, kind, pull, repo, path, peer, text FROM event ORDER BY id DESC LIMIT ?");
  select.bind(static_cast<std::int64_t>(std::min<std::size_t>(count, kEventsKept)));
  std::vector<EventRow> out;
  while (true) {
    const auto row = select.step();
    if (!row) return fail(row.error());
    if (!*row) return out;
    EventRow e;
    e.at.ms = select.i64(0);
    e.level = parse_name(kLevels, select.text(1));
    e.kind = select.text(2);
    if (!select.null(3)) e.pull = PullId{select.i64(3)};
    e.repo = select.text(4);
    e.path = select.text(5);
    e.peer = select.text(6);
    e.text = select.text(7);
    out.push_back(std::move(e));
  }
}

Result<std::vector<PullStatus>> StateDb::unfinished_pulls() {
  SqliteConnection& db = *reader_;
  const auto lock = db.lock();
  auto select = db.prepare(
      "SELECT id, type, repo, revision, commit_id, include, exclude, source, priority, state, files, "
      "files_done, "
      "size, bytes_done, bytes_lan, bytes_origin, bytes_local, snapshot_path, created_at, waiting_for, "
      "error_code, "
      "error FROM pull WHERE state IN ('resolving', 'running') ORDER BY id");
  std::vector<PullStatus> out;
  while (true) {
    const auto row = select.step();
    if (!row) return fail(row.error());
    if (!*row) return out;
    PullStatus p;
    p.id = PullId{select.i64(0)};
    p.repo = {parse_repo_type(select.text(1)).value_or(RepoType::model), select.text(2)};
    p.revision = select.text(3);
    p.commit_id = select.text(4);
    auto include = from_json(db, select.text(5));
    auto exclude = from_json(db, select.text(6));
    if (!include) return fail(include.error());
    if (!exclude) return fail(exclude.error());
    p.include = std::move(*include);
    p.exclude = std::move(*exclude);
    p.source = parse_source_policy(select.text(7)).value_or(SourcePolicy::automatic);
    p.priority = parse_priority(select.text(8)).value_or(Priority::normal);
    p.state = parse_name(kPullStates, select.text(9));
    p.files = static_cast<std::uint32_t>(select.i64(10));
    p.files_done = static_cast<std::uint32_t>(select.i64(11));
    p.size = select.u64(12);
    p.bytes_done = select.u64(13);
    p.bytes_lan = select.u64(14);
    p.bytes_origin = select.u64(15);
    p.bytes_local = select.u64(16);
    p.snapshot_path = select.text(17);
    p.created_at.ms = select.i64(18);
    p.waiting_for = select.text(19);
    if (!select.null(20)) p.error_code = parse_name(kCodes, select.text(20));
    p.error = select.text(21);
    out.push_back(std::move(p));
  }
}

Result<std::vector<PeerStatus>> StateDb::peers() {
  const auto lock = reader_->lock();
  auto select = reader_->prepare(
      "SELECT node, name, version, address, port, alive, cpu_permille, memory_permille, io_permille, "
      "nic_permille, "
      "gpu_permille, busy, origin_bytes_per_s, upload_bytes_per_s, download_bytes_per_s, blobs_held, "
      "bytes_held, "
      "bytes_received, bytes_sent, first_seen, last_seen, banned_until FROM peer ORDER BY node");
  std::vector<PeerStatus> out;
  while (true) {
    const auto row = select.step();
    if (!row) return fail(row.error());
    if (!*row) return out;
    PeerStatus p;
    p.node = NodeId::parse(select.text(0)).value_or(NodeId{});
    p.name = select.text(1);
    p.version = select.text(2);
    p.endpoint = {select.text(3), static_cast<std::uint16_t>(select.i64(4))};
    p.alive = select.i64(5) != 0;
    p.load.cpu_permille = static_cast<std::uint16_t>(select.i64(6));
    p.load.memory_permille = static_cast<std::uint16_t>(select.i64(7));
    p.load.io_permille = static_cast<std::uint16_t>(select.i64(8));
    p.load.nic_permille = static_cast<std::uint16_t>(select.i64(9));
    p.load.gpu_permille = static_cast<std::uint16_t>(select.i64(10));
    p.load.busy = select.i64(11) != 0;
    p.load.origin_bytes_per_s = select.u64(12);
    p.load.upload_bytes_per_s = select.u64(13);
    p.load.download_bytes_per_s = select.u64(14);
    p.blobs_held = static_cast<std::uint32_t>(select.i64(15));
    p.bytes_held = select.u64(16);
    p.bytes_received = select.u64(17);
    p.bytes_sent = select.u64(18);
    p.first_seen.ms = select.i64(19);
    p.last_seen.ms = select.i64(20);
    p.banned_until.ms = select.i64(21);
    out.push_back(std::move(p));
  }
}

Result<std::vector<FileStatus>> StateDb::held_files(const std::optional<RepoRef>& repo,
                                                    const std::string& commit) {
  return read_files(*reader_, repo, commit, to_string(FileState::held));
}
Result<std::vector<FileStatus>> StateDb::all_files(const std::optional<RepoRef>& repo,
                                                   const std::string& commit) {
  return read_files(*reader_, repo, commit, "");
}

Result<std::vector<RecordedFile>> StateDb::status_rows(const std::optional<RepoRef>& repo) {
  std::vector<RecordedFile> out;
  auto done = read_files(*reader_, repo, "", "", [&](const Statement& row) {
    out.push_back({read_file(row), WallTime{row.i64(16)}});
  });
  if (!done) return fail(done.error());
  return out;
}

Result<std::vector<RepoSummary>> StateDb::repo_summaries() {
  const auto lock = reader_->lock();
  auto select = reader_->prepare(
      "SELECT type, repo, revision, commit_id, count(*), sum(state = 'held'), sum(state = 'failed'), "
      "sum(size), sum(bytes_done), sum(bytes_lan), sum(bytes_origin), sum(bytes_local), max(updated_at) "
      "FROM file GROUP BY type, repo, revision, commit_id ORDER BY repo, type, revision, commit_id");
  std::vector<RepoSummary> out;
  while (true) {
    const auto row = select.step();
    if (!row) return fail(row.error());
    if (!*row) return out;
    RepoSummary& sum = out.emplace_back();
    sum.repo = {parse_repo_type(select.text(0)).value_or(RepoType::model), select.text(1)};
    sum.revision = select.text(2);
    sum.commit_id = select.text(3);
    sum.files = select.u64(4);
    sum.files_held = select.u64(5);
    sum.files_failed = select.u64(6);
    sum.size = select.u64(7);
    sum.bytes_done = select.u64(8);
    sum.bytes_lan = select.u64(9);
    sum.bytes_origin = select.u64(10);
    sum.bytes_local = select.u64(11);
    sum.updated_at = WallTime{select.i64(12)};
  }
}

Result<void> StateDb::save_files(std::span<const FileStatus> files, WallTime at) {
  const auto lock = writer_->lock();
  Transaction transaction(*writer_);
  if (!transaction.begun()) return transaction.begun();
  {
    auto put = writer_->prepare(kInsertFoundFile);
    for (const auto& file : files) {
      if (auto done = put_file(put, file, at); !done) return done;
    }
  }
  return transaction.commit();
}

Result<std::size_t> StateDb::delete_files(const RepoRef& repo, const std::string& commit) {
  const auto lock = writer_->lock();
  auto remove =
      writer_->prepare("DELETE FROM file WHERE type = ?1 AND repo = ?2 AND (?3 = '' OR commit_id = ?3)");
  if (auto done = remove.bind(to_string(repo.type)).bind(repo.name).bind(commit).run(); !done) {
    return fail(done.error());
  }
  return static_cast<std::size_t>(writer_->changes());
}

Result<std::size_t> StateDb::delete_unheld_files(const RepoRef& repo, const std::string& revision,
                                                 const std::string& commit) {
  const auto lock = writer_->lock();
  auto remove = writer_->prepare(
      "DELETE FROM file WHERE type = ? AND repo = ? AND revision = ? AND commit_id = ? AND state <> 'held'");
  if (auto done = remove.bind(to_string(repo.type)).bind(repo.name).bind(revision).bind(commit).run();
      !done) {
    return fail(done.error());
  }
  return static_cast<std::size_t>(writer_->changes());
}

}  // namespace shoal
