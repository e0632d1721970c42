// The part of StateDb that eviction goes by: pins, and when blobs were last used.
#include "storage/sqlite_connection.h"
#include "storage/state_db.h"

namespace shoal {

Result<void> StateDb::set_pinned(const RepoRef& repo, bool pinned, WallTime at) {
  const auto lock = writer_->lock();
  if (!pinned) {
    return writer_->prepare("DELETE FROM pin WHERE type = ? AND repo = ?")
        .bind(to_string(repo.type))
        .bind(repo.name)
        .run();
  }
  return writer_->prepare("INSERT OR IGNORE INTO pin (type, repo, pinned_at) VALUES (?, ?, ?)")
      .bind(to_string(repo.type))
      .bind(repo.name)
      .bind(at.ms)
      .run();
}

Result<std::vector<RepoRef>> StateDb::pins() {
  const auto lock = reader_->lock();
  auto select = reader_->prepare("SELECT type, repo FROM pin ORDER BY type, repo");
  return select.collect([](const Statement& row) {
    return RepoRef{parse_repo_type(row.text(0)).value_or(RepoType::model), row.text(1)};
  });
}

Result<void> StateDb::note_used(std::span<const BlobUse> uses) {
  const auto lock = writer_->lock();
  Transaction transaction(*writer_);
  if (!transaction.begun()) return transaction.begun();
  {
    auto update = writer_->prepare(
        "UPDATE copy SET used_at = ?1 WHERE used_at < ?1 AND blob IN (SELECT id FROM blob WHERE blob_id = ?2 "
        "AND size = ?3)");
    for (const auto& [blob, at] : uses) {
      if (auto done = update.bind(at.ms).bind(blob.text()).bind_u64(blob.size).run(); !done) return done;
    }
  }
  return transaction.commit();
}

Result<std::map<BlobId, WallTime>> StateDb::last_uses() {
  const auto lock = reader_->lock();
  auto select = reader_->prepare(
      "SELECT b.blob_id, b.size, max(max(c.used_at, c.verified_at)) FROM copy c JOIN blob b ON b.id = c.blob "
      "GROUP BY b.id");
  std::map<BlobId, WallTime> out;
  auto done = select.each([&](const Statement& row) {
    if (const auto id = BlobId::parse(row.text(0), row.u64(1))) out[*id] = {row.i64(2)};
  });
  if (!done) return fail(done.error());
  return out;
}

}  // namespace shoal
