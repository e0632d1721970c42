// `seed` and `verify`: long work on the daemon's disk that is followed to its end.
#include "node/cli/commands.h"
#include "node/cli/interrupts.h"
#include "node/cli/json_read.h"
#include "node/cli/live_display.h"
#include "node/cli/progress.h"
#include "node/cli/text.h"
#include "node/config/units.h"

#include <chrono>
#include <cstdio>
#include <optional>
#include <string>

#include <unistd.h>

namespace shoal::cli {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds kPlainInterval{5};

std::string job_line(const Json& job) {
  std::string line = text_of(job, "kind") + ": " + std::to_string(number_of(job, "files_done")) + " of " +
                     std::to_string(number_of(job, "files")) + " files, " +
                     format_percent(real_of(job, "percent")) + ", " +
                     format_size(number_of(job, "bytes_done")) + " of " +
                     format_size(number_of(job, "size")) + ", " + format_rate(number_of(job, "bytes_per_s"));
  if (const auto eta = optional_number(job, "eta_s")) line += ", " + format_duration(*eta) + " left";
  return printable_text(line);
}

void print_findings(const Json& job) {
  for (const Json& finding : rows_of(job, "findings")) {
    print_error(text_of(finding, "path") + ": " + text_of(finding, "text"));
  }
  const std::uint64_t all = number_of(job, "findings_count");
  const std::size_t shown = rows_of(job, "findings").size();
  if (all > shown) print_error("... and " + std::to_string(all - shown) + " more");
}

// The worst that was found decides: wrong bytes before everything else.
ExitStatus status_of_findings(const Json& job) {
  ExitStatus status = exit_done;
  for (const Json& finding : rows_of(job, "findings")) {
    const ExitStatus one = exit_status_of_work(text_of(finding, "code"));
    if (one == exit_mismatch || status == exit_done) status = one;
  }
  return status;
}

ExitStatus finish(const Session& session, const Json& job) {
  if (session.json) print_json(job);
  const auto state = text_of(job, "state");
  if (!session.json) print_findings(job);
  if (state == "done") {
    if (!session.json) {
      const bool seed = text_of(job, "kind") == "seed";
      const std::uint64_t bad = number_of(job, "findings_count");
      std::printf("%s %llu files, %s%s\n", seed ? "seeding" : "verified",
                  static_cast<unsigned long long>(number_of(job, "files_done")),
                  format_size(number_of(job, "bytes_done")).c_str(),
                  bad == 0 ? "" : (", " + std::to_string(bad) + " with findings").c_str());
    }
    return status_of_findings(job);
  }
  if (state == "cancelled") {
    print_error("the job was cancelled");
    return exit_failed;
  }
  const auto error = text_of(job, "error");
  print_error(error.empty() ? "the job failed; shoald's log says more" : error);
  return exit_status_of_work(text_of(job, "error_code"));
}

ExitStatus follow(Session& session, std::int64_t id) {
  const Interrupts interrupts;
  const bool live = !session.json && is_live_terminal(STDERR_FILENO);
  LiveDisplay display(STDERR_FILENO);
  std::optional<Clock::time_point> last;
  const auto begin = Clock::now();
  while (true) {
    const ApiAnswer answer = session.api.get("/shoal/v1/jobs/" + std::to_string(id));
    const auto now = Clock::now();
    if (Interrupts::interrupted()) break;
    if (!answer.ok()) {
      display.clear();
      return report(session, answer);
    }
    if (text_of(answer.body, "state") != "running") {
      display.clear();
      return finish(session, answer.body);
    }
    if (Interrupts::take_resumed()) display.forget();
    if (live) {
      display.show({clip_end(job_line(answer.body), terminal_size(STDERR_FILENO).columns - 1)});
    } else if (!session.json && now - last.value_or(begin) >= kPlainInterval) {
      last = now;
      std::fprintf(stderr, "%s\n", job_line(answer.body).c_str());
    }
    Interrupts::wait(std::chrono::milliseconds(300));
    if (Interrupts::interrupted()) break;
  }
  display.clear();
  print_error("detached; the job goes on in shoald");
  Interrupts::die_interrupted();
}

ExitStatus start(Session& session, const std::string& path, const Json& body) {
  const ApiAnswer answer = session.api.post(path, body);
  if (!answer.ok()) return report(session, answer);
  const auto id = optional_number(answer.body, "id");
  if (id) return follow(session, *id);
  print_error("the daemon's answer names no job; it may be of another version");
  return exit_failed;
}

Json repo_body(const RepoRef& repo) {
  return {{"repo", repo.name}, {"type", to_string(repo.type)}};
}

}  // namespace

ExitStatus run_seed(Session& session, const SeedArgs& args) {
  return start(session, "/shoal/v1/seed",
               args.path.empty() ? repo_body(args.repo) : Json{{"path", args.path}});
}

ExitStatus run_verify(Session& session, const VerifyArgs& args) {
  return start(session, "/shoal/v1/verify", args.repo ? repo_body(*args.repo) : Json::object());
}

}  // namespace shoal::cli
