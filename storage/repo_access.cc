// The part of StateDb that remembers which repos are open to everybody.
#include "storage/sqlite_connection.h"
#include "storage/state_db.h"

#include <chrono>

namespace shoal {

Result<void> StateDb::save_repo_access(const RepoRef& repo, bool is_public) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto lock = writer_->lock();
  return writer_
      ->prepare("INSERT OR REPLACE INTO repo_access (type, repo, is_public, checked_at) VALUES (?, ?, ?, ?)")
      .bind(to_string(repo.type))
      .bind(repo.name)
      .bind(std::int64_t{is_public})
      .bind(std::chrono::duration_cast<std::chrono::milliseconds>(now).count())
      .run();
}

Result<std::vector<std::pair<RepoRef, bool>>> StateDb::repo_access() {
  const auto lock = reader_->lock();
  auto select = reader_->prepare("SELECT type, repo, is_public FROM repo_access ORDER BY type, repo");
  std::vector<std::pair<RepoRef, bool>> out;
  while (true) {
    const auto row = select.step();
    if (!row) return fail(row.error());
    if (!*row) return out;
    const auto type = parse_repo_type(select.text(0));
    if (type) out.emplace_back(RepoRef{*type, select.text(1)}, select.i64(2) != 0);
  }
}

}  // namespace shoal
