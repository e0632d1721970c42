#include "node/daemon/jobs.h"

#include <algorithm>
#include <utility>

namespace shoal {

Result<JobId> Jobs::add(JobKind kind, const std::string& target) {
  const auto running = std::ranges::count_if(
      jobs_, [](const auto& entry) { return entry.second.status.state == PullState::running; });
  if (running >= kRunningMax) {
    return fail(Code::unavailable, "two jobs that read the disk are running; wait for one to end");
  }
  if (jobs_.size() > kEndedKept) {
    const auto ended = std::ranges::find_if(
        jobs_, [](const auto& entry) { return entry.second.status.state != PullState::running; });
    if (ended != jobs_.end()) jobs_.erase(ended);
  }
  const auto id = static_cast<JobId>(next_++);
  Job& job = jobs_[id];
  job.status.id = id;
  job.status.kind = kind;
  job.status.target = target;
  job.status.state = PullState::running;
  job.status.created_at = wall_clock_now();
  return id;
}

Result<JobId> Jobs::start_seed(const std::string& path, const std::string& target) {
  const auto id = add(JobKind::seed, target);
  if (!id) return id;
  loop_.run(
      [this, path, job = *id, stop = jobs_.at(*id).stop.get_token()] {
        return store_.adopt(
            path,
            [this, job](const AdoptProgress& p) {
              loop_.post([this, job, p] {
                on_progress(job, static_cast<std::uint32_t>(p.files_total),
                            static_cast<std::uint32_t>(p.files_done), p.bytes_total, p.bytes_done);
              });
            },
            stop);
      },
      [this, job = *id](Result<AdoptReport> report) {
        if (!report) {
          end(job, report.error().code == Code::cancelled ? PullState::cancelled : PullState::failed,
              report.error());
          return;
        }
        if (const auto it = jobs_.find(job); it != jobs_.end()) {
          for (const WrongBlob& wrong : report->wrong) {
            add_finding(it->second, {wrong.path, wrong.error.code, wrong.error.message});
          }
        }
        events_.info("seeded", std::to_string(report->adopted.size()) + " blobs adopted, " +
                                   std::to_string(report->known.size()) + " known before, " +
                                   std::to_string(report->wrong.size()) + " wrong");
        listener_.on_adopted(std::move(*report), [this, job] { end(job, PullState::done, std::nullopt); });
      });
  return id;
}

Result<JobId> Jobs::start_verify(std::vector<BlobId> blobs, const std::string& target) {
  const auto id = add(JobKind::verify, target);
  if (!id) return id;
  std::uint64_t size = 0;
  for (const BlobId& blob : blobs) size += blob.size;
  on_progress(*id, static_cast<std::uint32_t>(blobs.size()), 0, size, 0);
  verify_next(*id, std::make_shared<std::vector<BlobId>>(std::move(blobs)), 0);
  return id;
}

void Jobs::verify_next(JobId id, std::shared_ptr<std::vector<BlobId>> blobs, std::size_t index) {
  const auto it = jobs_.find(id);
  if (it == jobs_.end()) return;
  Job& job = it->second;
  if (job.stop.stop_requested()) {
    end(id, PullState::cancelled, Error{Code::cancelled, "cancelled", 0});
    return;
  }
  if (index == blobs->size()) {
    const bool wrong = job.status.findings_count > 0;
    end(id, wrong ? PullState::failed : PullState::done,
        wrong ? std::optional(Error{Code::corrupt,
                                    std::to_string(job.status.findings_count) +
                                        " blobs are not what their names say; pull their repos again",
                                    0})
              : std::nullopt);
    return;
  }
  const BlobId blob = (*blobs)[index];
  loop_.run([this, blob, stop = job.stop.get_token()] { return store_.verify(blob, stop); },
            [this, id, blobs, index, blob](const Result<VerifyReport>& report) {
              const auto live = jobs_.find(id);
              if (live == jobs_.end()) return;
              JobStatus& s = live->second.status;
              if (!report && report.error().code != Code::cancelled) {
                if (report.error().code == Code::corrupt || report.error().code == Code::not_found) {
                  listener_.on_not_held(blob);
                }
                events_.warn("verify_failed", blob.text() + ": " + report.error().message);
                add_finding(live->second, {blob.text(), report.error().code, report.error().message});
              }
              on_progress(id, s.files, s.files_done + 1, s.size, s.bytes_done + blob.size);
              verify_next(id, blobs, index + 1);
            });
}

void Jobs::on_progress(JobId id, std::uint32_t files, std::uint32_t files_done, std::uint64_t size,
                       std::uint64_t bytes) {
  const auto it = jobs_.find(id);
  if (it == jobs_.end()) return;
  const Time now = std::chrono::steady_clock::now();
  JobStatus& s = it->second.status;
  if (bytes > s.bytes_done) it->second.rate.add(bytes - s.bytes_done, now);
  s.files = files;
  s.files_done = files_done;
  s.size = size;
  s.bytes_done = bytes;
  s.bytes_per_s = it->second.rate.bytes_per_s(now);
  s.eta_s.reset();
  if (s.bytes_per_s > 0) s.eta_s = static_cast<std::int64_t>((size - std::min(bytes, size)) / s.bytes_per_s);
}

void Jobs::add_finding(Job& job, JobFinding finding) {
  ++job.status.findings_count;
  if (job.status.findings.size() < kJobFindingsMax) job.status.findings.push_back(std::move(finding));
}

void Jobs::end(JobId id, PullState state, std::optional<Error> error) {
  const auto it = jobs_.find(id);
  if (it == jobs_.end()) return;
  JobStatus& s = it->second.status;
  s.state = state;
  s.finished_at = wall_clock_now();
  s.bytes_per_s = 0;
  s.eta_s.reset();
  if (error) {
    s.error_code = error->code;
    s.error = error->message;
  }
}

std::optional<JobStatus> Jobs::status(JobId id) const {
  const auto it = jobs_.find(id);
  if (it == jobs_.end()) return std::nullopt;
  return it->second.status;
}

std::vector<JobStatus> Jobs::all() const {
  std::vector<JobStatus> rows;
  for (auto it = jobs_.rbegin(); it != jobs_.rend(); ++it) rows.push_back(it->second.status);
  return rows;
}

Result<void> Jobs::cancel(JobId id) {
  const auto it = jobs_.find(id);
  if (it == jobs_.end())
    return fail(Code::not_found, "there is no job " + std::to_string(static_cast<std::int64_t>(id)));
  it->second.stop.request_stop();
  return {};
}

void Jobs::cancel_all() {
  for (auto& [id, job] : jobs_) job.stop.request_stop();
}

}  // namespace shoal
