// A daemon made of values: tests put the replies in and look at what was asked.
#pragma once

#include "node/api/api_backend.h"

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace shoal {

inline FileStatus fake_file(const std::string& path, std::uint64_t size, std::uint64_t done,
                            FileState state) {
  FileStatus file;
  file.repo = {RepoType::model, "org/name"};
  file.revision = "main";
  file.commit_id = std::string(40, 'a');
  file.path = path;
  file.blob = *BlobId::parse("sha256:" + std::string(64, 'b'), size);
  file.bytes_done = done;
  file.bytes_lan = done;
  file.state = state;
  return file;
}

inline PullDetail fake_pull(std::int64_t id, PullState state, std::uint64_t size, std::uint64_t done) {
  PullDetail detail;
  detail.pull.id = PullId{id};
  detail.pull.repo = {RepoType::model, "org/name"};
  detail.pull.revision = "main";
  detail.pull.commit_id = std::string(40, 'a');
  detail.pull.state = state;
  detail.pull.files = 1;
  detail.pull.files_done = done == size && size > 0 ? 1 : 0;
  detail.pull.size = size;
  detail.pull.bytes_done = done;
  detail.pull.bytes_lan = done;
  detail.pull.snapshot_path = "/cache/models--org--name/snapshots/" + detail.pull.commit_id;
  detail.pull.created_at = {1'700'000'000'000};
  return detail;
}

class FakeBackend : public ApiBackend {
 public:
  FakeBackend() {
    auto first = std::make_shared<StatusSnapshot>();
    first->at = {1'700'000'000'123};
    first->node_name = "fake";
    snapshot_ = std::move(first);
  }

  // What is answered. Guarded by `mutex` once a server runs.
  mutable std::mutex mutex;
  std::optional<Error> error;  // of every request, when set
  bool silent = false;         // replies are kept, not called
  std::vector<std::function<void()>> kept;
  std::deque<PullDetail> pull_answers;  // one per question; the last one stays
  std::vector<PullStatus> pull_list;
  StatusPage status_page;
  HoldingsPage holdings_page;
  std::vector<RepoSummary> repo_list;
  std::vector<EventRow> event_list;
  std::deque<JobStatus> job_answers;  // as pull_answers
  RemoveResult remove_result{1, 3, 2, 4096};
  NodeInfo node_info;
  std::vector<DoctorCheck> doctor_checks;

  // What was asked.
  std::vector<PullRequest> pull_requests;
  std::vector<std::chrono::milliseconds> waits;  // of questions for a pull
  std::vector<std::int64_t> cancelled;
  std::vector<SeedRequest> seed_requests;
  std::vector<std::optional<RepoRef>> verify_requests;
  std::vector<RemoveRequest> remove_requests;
  std::vector<std::pair<bool, std::optional<std::chrono::seconds>>> busy_requests;
  std::vector<std::string> repo_filters;

  std::shared_ptr<const StatusSnapshot> snapshot() const override {
    const std::scoped_lock lock(mutex);
    return snapshot_;
  }
  void set_snapshot(std::shared_ptr<const StatusSnapshot> snapshot) {
    const std::scoped_lock lock(mutex);
    snapshot_ = std::move(snapshot);
  }

  GcResult gc_result;
  std::vector<GcRequest> gc_requests;
  std::vector<RepoRef> pinned;

  void collect_garbage(GcRequest request, Reply<GcResult> reply) override {
    {
      const std::scoped_lock lock(mutex);
      gc_requests.push_back(request);
    }
    answer(reply, gc_result);
  }
  void pins(Reply<std::vector<RepoRef>> reply) override { answer(reply, pinned); }
  void set_pinned(RepoRef repo, bool pin, Reply<void> reply) override {
    {
      const std::scoped_lock lock(mutex);
      std::erase(pinned, repo);
      if (pin) pinned.push_back(std::move(repo));
    }
    if (error) return reply(fail(*error));
    reply({});
  }

  void info(Reply<NodeInfo> reply) override { answer(reply, node_info); }
  void doctor(Reply<std::vector<DoctorCheck>> reply) override { answer(reply, doctor_checks); }
  void start_pull(PullRequest request, Reply<PullId> reply) override {
    {
      const std::scoped_lock lock(mutex);
      pull_requests.push_back(std::move(request));
    }
    answer(reply, PullId{7});
  }
  void pull(PullId id, std::chrono::milliseconds wait, Reply<PullDetail> reply) override {
    std::optional<PullDetail> next;
    {
      const std::scoped_lock lock(mutex);
      waits.push_back(wait);
      if (!pull_answers.empty() && pull_answers.front().pull.id == id) {
        next = pull_answers.front();
        if (pull_answers.size() > 1) pull_answers.pop_front();
      }
    }
    if (!next) return reply(fail(Code::not_found, "there is no pull " + std::to_string(to_int(id))));
    answer(reply, *next);
  }
  void pulls(std::size_t limit, Reply<std::vector<PullStatus>> reply) override {
    auto rows = copy_of(pull_list);
    if (rows.size() > limit) rows.resize(limit);
    answer(reply, rows);
  }
  void cancel_pull(PullId id, Reply<void> reply) override {
    {
      const std::scoped_lock lock(mutex);
      cancelled.push_back(to_int(id));
    }
    done(reply);
  }
  void status(std::optional<std::string> repo, std::optional<RepoType>, std::size_t limit,
              Reply<StatusPage> reply) override {
    StatusPage page = copy_of(status_page);
    if (repo) {
      std::erase_if(page.rows, [&](const StatusRow& row) { return row.file.repo.name != *repo; });
    }
    if (page.rows.size() > limit) {
      page.rows.resize(limit);
      page.truncated = true;
    }
    {
      const std::scoped_lock lock(mutex);
      repo_filters.push_back(repo.value_or(""));
    }
    answer(reply, page);
  }
  void repos(Reply<std::vector<RepoSummary>> reply) override { answer(reply, repo_list); }
  void holdings(std::optional<std::string> repo, std::optional<RepoType>, std::size_t,
                Reply<HoldingsPage> reply) override {
    HoldingsPage page = copy_of(holdings_page);
    if (repo) std::erase_if(page.rows, [&](const Holding& row) { return row.repo.name != *repo; });
    answer(reply, page);
  }
  void events(std::size_t, Reply<std::vector<EventRow>> reply) override { answer(reply, event_list); }
  void start_seed(SeedRequest request, Reply<JobId> reply) override {
    {
      const std::scoped_lock lock(mutex);
      seed_requests.push_back(std::move(request));
    }
    answer(reply, JobId{3});
  }
  void start_verify(std::optional<RepoRef> repo, Reply<JobId> reply) override {
    {
      const std::scoped_lock lock(mutex);
      verify_requests.push_back(std::move(repo));
    }
    answer(reply, JobId{4});
  }
  void job(JobId, Reply<JobStatus> reply) override {
    std::optional<JobStatus> next;
    {
      const std::scoped_lock lock(mutex);
      if (!job_answers.empty()) {
        next = job_answers.front();
        if (job_answers.size() > 1) job_answers.pop_front();
      }
    }
    if (!next) return reply(fail(Code::not_found, "there is no such job"));
    answer(reply, *next);
  }
  void jobs(Reply<std::vector<JobStatus>> reply) override {
    const auto all = copy_of(job_answers);
    answer(reply, std::vector<JobStatus>(all.begin(), all.end()));
  }
  void cancel_job(JobId, Reply<void> reply) override { reply({}); }
  void remove(RemoveRequest request, Reply<RemoveResult> reply) override {
    {
      const std::scoped_lock lock(mutex);
      remove_requests.push_back(std::move(request));
    }
    answer(reply, remove_result);
  }
  void set_busy(bool busy, std::optional<std::chrono::seconds> duration, Reply<void> reply) override {
    {
      const std::scoped_lock lock(mutex);
      busy_requests.emplace_back(busy, duration);
    }
    done(reply);
  }

 private:
  template <typename T>
  T copy_of(const T& value) {
    const std::scoped_lock lock(mutex);
    return value;
  }
  // Replies are given without the lock: who gets one may ask for more.
  void done(const Reply<void>& reply) {
    if (const auto wrong = copy_of(error)) return reply(fail(*wrong));
    reply({});
  }
  template <typename T>
  void answer(const Reply<T>& reply, const T& value) {
    std::unique_lock lock(mutex);
    T told = value;
    if (silent) {
      kept.push_back([reply, told = std::move(told)] { reply(told); });
      return;
    }
    const auto wrong = error;
    lock.unlock();
    if (wrong) return reply(fail(*wrong));
    reply(std::move(told));
  }

  std::shared_ptr<const StatusSnapshot> snapshot_;
};

}  // namespace shoal
