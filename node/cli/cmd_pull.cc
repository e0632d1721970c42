#include "node/cli/commands.h"
#include "node/cli/interrupts.h"
#include "node/cli/json_read.h"
#include "node/cli/live_display.h"
#include "node/cli/progress.h"
#include "node/cli/pull_follower.h"
#include "node/cli/text.h"

#include <chrono>
#include <cstdio>
#include <memory>

#include <unistd.h>

namespace shoal::cli {
namespace {

using Clock = std::chrono::steady_clock;

// A daemon that restarts (an upgrade, a crash) resumes its pulls; so long its client waits for it.
constexpr std::chrono::seconds kPatience{30};
// Up to so many files are asked for one by one; a data set of 100,000 files would be megabytes twice a
// second.
constexpr std::uint64_t kFilesFollowed = 1000;

std::unique_ptr<PullReporter> make_reporter(const Session& session) {
  if (session.json) return make_json_reporter();
  if (is_live_terminal(STDERR_FILENO)) return make_live_reporter(STDERR_FILENO);
  return make_plain_reporter(STDERR_FILENO);
}

Json pull_body(const PullArgs& args) {
  Json body{{"repo", args.repo.name},
            {"type", to_string(args.repo.type)},
            {"revision", args.revision},
            {"source", args.source},
            {"priority", args.priority}};
  if (!args.include.empty()) body["include"] = args.include;
  if (!args.exclude.empty()) body["exclude"] = args.exclude;
  return body;
}

// The daemon holds the answer back until the pull ends or `wait` is over.
std::string pull_path(std::int64_t id, std::uint64_t files, std::chrono::milliseconds wait) {
  const char* choice = files <= kFilesFollowed ? "all" : "active";
  return "/shoal/v1/pulls/" + std::to_string(id) + "?files=" + choice +
         "&limit=" + std::to_string(kFilesFollowed) + "&wait_ms=" + std::to_string(wait.count());
}

ExitStatus finish(const Session& session, const PullView& pull, const Json& body, std::int64_t seconds) {
  if (session.json) {
    Json event{{"event", pull.state}};
    for (const auto& [name, value] : body.items()) {
      if (name != "status" && name != "truncated") event[name] = value;
    }
    print_json(event);
  }
  if (pull.state == "done") {
    if (session.json) return exit_done;
    std::fprintf(stderr, "%s\n", summary_line(pull, seconds).c_str());
    std::printf("%s\n", pull.snapshot_path.c_str());
    return exit_done;
  }
  if (pull.state == "cancelled") {
    print_error("pull " + std::to_string(pull.id) + " was cancelled; what arrived is kept: `shoal pull " +
                pull.repo + "` goes on from there");
    return exit_failed;
  }
  print_error(pull.error.empty() ? "the pull failed; shoald's log says more" : pull.error);
  return exit_status_of_work(pull.error_code);
}

[[noreturn]] void detach(const Session& session, PullReporter& reporter, std::int64_t id,
                         const std::string& repo) {
  reporter.finish();
  if (session.json) print_json({{"event", "detached"}, {"id", id}});
  print_error("detached; pull " + std::to_string(id) + " goes on in shoald. See it: `shoal status " + repo +
              "`. Stop it: `shoal cancel " + std::to_string(id) + "`");
  Interrupts::die_interrupted();
}

ExitStatus follow(Session& session, std::int64_t id, const std::string& repo) {
  const auto reporter = make_reporter(session);
  const auto begin = Clock::now();
  auto last_answer = begin;
  std::uint64_t files = 0;
  std::chrono::milliseconds wait{0};  // the first answer comes at once
  reporter->started(id, repo);
  while (true) {
    const auto asked = Clock::now();
    const ApiAnswer answer = session.api.get(pull_path(id, files, wait));
    const auto now = Clock::now();
    if (Interrupts::interrupted()) detach(session, *reporter, id, repo);
    if (answer.ok()) {
      last_answer = now;
      const PullView pull = read_pull(answer.body);
      files = pull.files;
      reporter->progress(pull, answer.body, now);
      if (pull.ended()) {
        reporter->finish();
        const auto took = std::chrono::duration_cast<std::chrono::seconds>(now - begin);
        return finish(session, pull, answer.body, took.count());
      }
    } else if (answer.reached || now - last_answer > kPatience) {
      reporter->finish();
      return report(session, answer);
    } else {
      reporter->lost("shoald does not answer; waiting for it");
    }
    // What is left of the interval: a daemon that many wait at, or that does not answer, answers at once.
    const auto rest = (answer.ok() ? wait : reporter->interval()) - (now - asked);
    wait = reporter->interval();
    if (rest > Clock::duration::zero()) Interrupts::wait(std::chrono::ceil<std::chrono::milliseconds>(rest));
    if (Interrupts::interrupted()) detach(session, *reporter, id, repo);
  }
}

}  // namespace

ExitStatus run_pull(Session& session, const PullArgs& args) {
  const ApiAnswer answer = session.api.post("/shoal/v1/pulls", pull_body(args));
  if (!answer.ok()) return report(session, answer);
  const auto id = optional_number(answer.body, "id");
  if (!id) {
    print_error("the daemon's answer names no pull; it may be of another version");
    return exit_failed;
  }
  if (args.detach) {
    if (session.json) {
      print_json({{"id", *id}});
    } else {
      std::printf("%lld\n", static_cast<long long>(*id));
    }
    return exit_done;
  }
  const Interrupts interrupts;
  return follow(session, *id, args.repo.name);
}

}  // namespace shoal::cli
