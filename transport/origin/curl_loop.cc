#include "transport/origin/curl_loop.h"

#include "transport/origin/exchange.h"

#include <algorithm>
#include <csignal>
#include <string>
#include <system_error>

#include <curl/curl.h>
#include <pthread.h>

namespace shoal {
namespace {

// Idle easy handles hold a receive buffer each; beyond this they are freed.
constexpr std::size_t kIdleEasyMax = 32;

bool global_init() {
  // Never undone: other parts of the process may use libcurl as well.
  static const CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
  return code == CURLE_OK;
}

}  // namespace

CurlLoop::~CurlLoop() {
  stop({});
  for (void* easy : idle_easy_) curl_easy_cleanup(easy);
  if (multi_) curl_multi_cleanup(multi_);
}

Result<void> CurlLoop::start() {
  if (!global_init()) return fail(Code::io, "libcurl cannot be initialised");
  multi_ = curl_multi_init();
  if (!multi_) return fail(Code::io, "libcurl gives no multi handle");

  // The thread takes no signals: they are the daemon's main thread's, and a SIGPIPE out of OpenSSL would end
  // it.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  Result<void> started;
  try {
    thread_ = std::thread([this] { run(); });
  } catch (const std::system_error& e) {
    started = fail(Code::io, std::string("no thread for the Hub client: ") + e.what(), e.code().value());
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (thread_.joinable()) pthread_setname_np(thread_.native_handle(), "shoal-origin");
  return started;
}

void CurlLoop::stop(Task last) {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    if (last) posted_.push_back(std::move(last));
    stopping_ = true;
  }
  curl_multi_wakeup(multi_);
  thread_.join();
}

void CurlLoop::post(Task task) {
  {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(task));
  }
  curl_multi_wakeup(multi_);
}

void CurlLoop::keep_connections(int count) {
  curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, static_cast<long>(count));
}

CurlLoop::TimerId CurlLoop::at(Time when, Task task) {
  const TimerId id{when, next_timer_++};
  timers_.emplace(id, std::move(task));
  return id;
}

void CurlLoop::cancel(TimerId& timer) {
  timers_.erase(timer);
  timer = {};
}

void CurlLoop::defer(Task task) {
  deferred_.push_back(std::move(task));
}

bool CurlLoop::add(void* easy) {
  return curl_multi_add_handle(multi_, easy) == CURLM_OK;
}

void CurlLoop::remove(void* easy) {
  curl_multi_remove_handle(multi_, easy);
}

void* CurlLoop::take_easy() {
  if (idle_easy_.empty()) return curl_easy_init();
  void* easy = idle_easy_.back();
  idle_easy_.pop_back();
  return easy;
}

void CurlLoop::give_back_easy(void* easy) {
  if (idle_easy_.size() >= kIdleEasyMax) {
    curl_easy_cleanup(easy);
    return;
  }
  curl_easy_reset(easy);
  idle_easy_.push_back(easy);
}

void CurlLoop::run() {
  while (true) {
    const Time turn_began = std::chrono::steady_clock::now();
    bool stopping = false;
    {
      const std::lock_guard lock(mutex_);
      stopping = stopping_;
    }
    run_tasks();
    if (stopping) {
      while (!deferred_.empty()) run_tasks();
      timers_.clear();
      return;
    }
    int running = 0;
    curl_multi_perform(multi_, &running);
    finish_transfers();
    // Before the timers, which may ask for it.
    const Duration turn = std::chrono::steady_clock::now() - turn_began;
    if (turn > kQuickTurn) held_up_ += turn;
    run_timers();
    curl_multi_poll(multi_, nullptr, 0, poll_timeout_ms(), nullptr);
  }
}

void CurlLoop::run_tasks() {
  std::vector<Task> tasks;
  tasks.swap(deferred_);
  for (const Task& task : tasks) task();
  tasks.clear();
  {
    const std::lock_guard lock(mutex_);
    tasks.swap(posted_);
  }
  for (const Task& task : tasks) task();
}

void CurlLoop::run_timers() {
  const Time now = std::chrono::steady_clock::now();
  while (!timers_.empty() && timers_.begin()->first.first <= now) {
    const Task task = std::move(timers_.begin()->second);
    timers_.erase(timers_.begin());
    task();
  }
}

void CurlLoop::finish_transfers() {
  int left = 0;
  while (CURLMsg* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    // Taken out first: the message dies with the next call into libcurl.
    const int code = message->data.result;
    Exchange* exchange = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &exchange);
    exchange->finish(code);
  }
}

int CurlLoop::poll_timeout_ms() {
  // libcurl shortens it by its own timers; a minute is only a bound.
  constexpr std::int64_t kLongest = 60'000;
  if (!deferred_.empty()) return 0;
  if (timers_.empty()) return static_cast<int>(kLongest);
  const auto wait = std::chrono::ceil<std::chrono::milliseconds>(timers_.begin()->first.first -
                                                                 std::chrono::steady_clock::now());
  return static_cast<int>(std::clamp<std::int64_t>(wait.count(), 0, kLongest));
}

}  // namespace shoal
