// What others see of pulls: rows for SQL, the API and the page.
#include "node/daemon/pulls.h"

#include <algorithm>
#include <utility>

namespace shoal {

void Pulls::refresh(Pull& pull, Time now) {
  PullStatus& s = pull.status;
  if (s.finished_at.ms != 0) return;
  std::uint64_t done = 0;
  s.bytes_lan = s.bytes_origin = s.bytes_local = s.bytes_per_s = 0;
  std::string waiting;
  bool waiting_is_active = false;
  for (File& file : pull.files) {
    FileStatus& f = file.status;
    if (f.state != FileState::held && f.state != FileState::failed && !file.linking) {
      if (const auto view = fetcher_->view(f.blob, now)) {
        f.state = view->state;
        f.bytes_lan = view->bytes.lan;
        f.bytes_origin = view->bytes.origin;
        f.bytes_local = view->bytes.local;
        f.bytes_done = view->bytes.sum();
        f.bytes_per_s = view->bytes_per_s;
        f.waiting_for = view->waiting_for;
        file.pieces = view->pieces;
        f.eta_s = f.bytes_per_s == 0
                      ? std::nullopt
                      : std::optional<std::int64_t>((f.blob.size - std::min(f.bytes_done, f.blob.size)) /
                                                    f.bytes_per_s);
      }
    } else {
      f.bytes_per_s = 0;
      f.eta_s.reset();
      f.waiting_for.clear();
    }
    done += f.bytes_done;
    s.bytes_lan += f.bytes_lan;
    s.bytes_origin += f.bytes_origin;
    s.bytes_local += f.bytes_local;
    s.bytes_per_s += f.bytes_per_s;
    // What holds up a file that moves holds up the pull, before what waits for its turn behind it.
    const bool active = f.state == FileState::fetching || f.state == FileState::checking;
    if (waiting.empty() || (active && !waiting_is_active)) waiting = f.waiting_for;
    waiting_is_active = waiting_is_active || (active && !f.waiting_for.empty());
  }
  pull.shown_done = std::max(pull.shown_done, done);
  s.bytes_done = pull.shown_done;
  s.eta_s = s.bytes_per_s == 0
                ? std::nullopt
                : std::optional<std::int64_t>((s.size - std::min(s.bytes_done, s.size)) / s.bytes_per_s);
  s.waiting_for = pull.waiting_for.empty() ? waiting : pull.waiting_for;
}

bool Pulls::is_wanted(const RepoRef& repo, const std::string& commit) const {
  return std::ranges::any_of(pulls_, [&](const auto& entry) {
    const PullStatus& s = entry.second.status;
    return s.finished_at.ms == 0 && s.repo == repo && (commit.empty() || s.commit_id == commit);
  });
}

std::optional<PullDetail> Pulls::detail(PullId id, Time now) {
  Pull* pull = find(id);
  if (pull == nullptr) return std::nullopt;
  refresh(*pull, now);
  PullDetail detail{pull->status, {}};
  for (const File& file : pull->files) detail.files.push_back(file.status);
  return detail;
}

std::vector<PullStatus> Pulls::statuses(std::size_t limit, Time now) {
  std::vector<PullStatus> rows;
  for (auto it = pulls_.rbegin(); it != pulls_.rend() && rows.size() < limit; ++it) {
    refresh(it->second, now);
    rows.push_back(it->second.status);
  }
  return rows;
}

void Pulls::append_rows(StatusSnapshot& snapshot, Time now) {
  for (auto& [id, pull] : pulls_) {
    refresh(pull, now);
    snapshot.pulls.push_back(pull.status);
    const bool ended = pull.status.finished_at.ms != 0;
    if (ended && pull.written_after_end) continue;
    snapshot.pull_files.push_back({id, snapshot.files.size(), pull.files.size()});
    for (const File& file : pull.files) {
      snapshot.files.push_back(file.status);
      snapshot.pieces.push_back(file.pieces);
    }
    pull.written_after_end = ended;
  }
}

}  // namespace shoal
