// Long work on the disk that people ask for: adopting a cache (`seed`), reading blobs again (`verify`).
//
// Owned by the loop thread; the reading runs on a worker and reports back.
#pragma once

#include "node/api/api_backend.h"
#include "node/daemon/event_log.h"
#include "node/daemon/loop.h"
#include "node/daemon/rate_meter.h"
#include "storage/blob_store.h"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace shoal {

class Jobs {
 public:
  static constexpr int kRunningMax = 2;  // each occupies a worker and reads the disk at full speed
  static constexpr std::size_t kEndedKept = 100;

  struct Listener {
    // Adopted or known blobs with the files that name them; call `done` when they are announced or known not
    // to be.
    std::function<void(AdoptReport, std::function<void()> done)> on_adopted;
    std::function<void(const BlobId&)> on_not_held;
  };

  Jobs(Loop& loop, BlobStore& store, EventLog& events, Listener listener)
      : loop_(loop), store_(store), events_(events), listener_(std::move(listener)) {}

  Result<JobId> start_seed(const std::string& path, const std::string& target);
  Result<JobId> start_verify(std::vector<BlobId> blobs, const std::string& target);
  [[nodiscard]] std::optional<JobStatus> status(JobId id) const;
  [[nodiscard]] std::vector<JobStatus> all() const;
  Result<void> cancel(JobId id);
  void cancel_all();

 private:
  struct Job {
    JobStatus status;
    std::stop_source stop;
    RateMeter rate;
  };
  Result<JobId> add(JobKind kind, const std::string& target);
  void verify_next(JobId id, std::shared_ptr<std::vector<BlobId>> blobs, std::size_t index);
  void on_progress(JobId id, std::uint32_t files, std::uint32_t files_done, std::uint64_t size,
                   std::uint64_t bytes);
  void add_finding(Job& job, JobFinding finding);
  void end(JobId id, PullState state, std::optional<Error> error);

  Loop& loop_;
  BlobStore& store_;
  EventLog& events_;
  Listener listener_;
  std::map<JobId, Job> jobs_;
  std::int64_t next_ = 1;
};

}  // namespace shoal
