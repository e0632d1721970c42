#include "node/cli/commands.h"
#include "node/cli/interrupts.h"
#include "node/cli/json_read.h"
#include "node/cli/live_display.h"
#include "node/cli/progress.h"
#include "node/cli/text.h"
#include "node/config/units.h"

#include <cstdio>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <unistd.h>

namespace shoal::cli {
namespace {

std::string eta_text(const std::optional<std::int64_t>& eta) {
  return eta ? format_duration(*eta) : std::string();
}

std::string rate_or_blank(std::uint64_t rate) {
  return rate == 0 ? std::string() : format_rate(rate);
}

std::string reason_of(const Json& row) {
  const auto error = text_of(row, "error");
  return error.empty() ? text_of(row, "waiting_for") : error;
}

// All files of one repo at one revision, added up.
struct RepoSum {
  std::uint64_t files = 0;
  std::uint64_t held = 0;
  std::uint64_t failed = 0;
  std::uint64_t size = 0;
  std::uint64_t done = 0;
  std::uint64_t rate = 0;
  std::uint64_t checking = 0;
  std::uint64_t fetching = 0;
  std::optional<std::int64_t> eta_s;
  std::string reason;

  void add(const Json& row) {
    const auto state = text_of(row, "state");
    ++files;
    held += state == "held" ? 1 : 0;
    failed += state == "failed" ? 1 : 0;
    checking += state == "checking" ? 1 : 0;
    fetching += state == "fetching" ? 1 : 0;
    size += number_of(row, "size");
    done += number_of(row, "bytes_done");
    rate += number_of(row, "bytes_per_s");
    if (const auto eta = optional_number(row, "eta_s"); eta && (!eta_s || *eta > *eta_s)) eta_s = eta;
    if (reason.empty() && state != "held") reason = reason_of(row);
  }

  [[nodiscard]] const char* state() const {
    if (failed > 0) return "failed";
    if (held == files) return "held";
    if (fetching > 0) return "fetching";
    return checking > 0 ? "checking" : "queued";
  }
  [[nodiscard]] double percent() const {
    return size == 0 ? (held == files ? 100.0 : 0.0)
                     : static_cast<double>(done) * 100.0 / static_cast<double>(size);
  }
};

std::string repos_text(const Json& rows, std::size_t width) {
  // By repo, type and revision (or commit, where no revision is known).
  std::map<std::tuple<std::string, std::string, std::string>, RepoSum> sums;
  for (const Json& row : rows) {
    auto revision = text_of(row, "revision");
    if (revision.empty()) revision = text_of(row, "commit_id").substr(0, 12);
    sums[{text_of(row, "repo"), text_of(row, "type"), revision}].add(row);
  }
  Table table({{"REPO"},
               {"TYPE"},
               {"REVISION"},
               {"FILES", Align::right},
               {"SIZE", Align::right},
               {"DONE", Align::right},
               {"RATE", Align::right},
               {"ETA", Align::right},
               {"STATE"},
               {"WAITING FOR"}});
  for (const auto& [key, sum] : sums) {
    table.add({std::get<0>(key), std::get<1>(key), std::get<2>(key),
               std::to_string(sum.held) + "/" + std::to_string(sum.files), format_size(sum.size),
               format_percent(sum.percent()), rate_or_blank(sum.rate), eta_text(sum.eta_s), sum.state(),
               sum.reason});
  }
  return table.text(width);
}

std::string files_text(const Json& rows, std::size_t width) {
  Table table({{"PATH"},
               {"REVISION"},
               {"SIZE", Align::right},
               {"DONE", Align::right},
               {"NEIGHBOURS", Align::right},
               {"ORIGIN", Align::right},
               {"LOCAL", Align::right},
               {"RATE", Align::right},
               {"ETA", Align::right},
               {"STATE"},
               {"WAITING FOR"}});
  for (const Json& row : rows) {
    table.add({text_of(row, "path"), text_of(row, "revision"), format_size(number_of(row, "size")),
               format_percent(real_of(row, "percent")), format_size(number_of(row, "bytes_lan")),
               format_size(number_of(row, "bytes_origin")), format_size(number_of(row, "bytes_local")),
               rate_or_blank(number_of(row, "bytes_per_s")), eta_text(optional_number(row, "eta_s")),
               text_of(row, "state"), reason_of(row)});
  }
  return table.text(width);
}

// Pulls that run, whose numbers `shoal cancel` takes.
std::string pulls_text(const Json& pulls, std::size_t width) {
  Table table({{"PULL", Align::right},
               {"REPO"},
               {"FILES", Align::right},
               {"SIZE", Align::right},
               {"DONE", Align::right},
               {"RATE", Align::right},
               {"ETA", Align::right},
               {"STATE"},
               {"WAITING FOR"}});
  for (const Json& pull : pulls) {
    const auto state = text_of(pull, "state");
    if (state != "running" && state != "resolving") continue;
    table.add({std::to_string(number_of(pull, "id")), text_of(pull, "repo") + "@" + text_of(pull, "revision"),
               std::to_string(number_of(pull, "files_done")) + "/" + std::to_string(number_of(pull, "files")),
               format_size(number_of(pull, "size")), format_percent(real_of(pull, "percent")),
               rate_or_blank(number_of(pull, "bytes_per_s")), eta_text(optional_number(pull, "eta_s")), state,
               reason_of(pull)});
  }
  return table.empty() ? std::string() : table.text(width) + "\n";
}

// One look at the daemon: the text to print, or the answer that says why there is none.
struct Look {
  ApiAnswer answer;
  std::string text;
  bool empty = false;
};

Look look(Session& session, const StatusArgs& args, std::size_t width) {
  Look out;
  const std::string filter = args.repo.empty() ? "" : "?repo=" + escaped(args.repo);
  out.answer = session.api.get("/shoal/v1/status" + filter);
  if (!out.answer.ok()) return out;
  const Json& rows = rows_of(out.answer.body, "status");
  out.empty = rows.empty();
  if (session.json) return out;
  if (args.repo.empty()) {
    const ApiAnswer pulls = session.api.get("/shoal/v1/pulls");
    if (pulls.ok()) out.text = pulls_text(rows_of(pulls.body, "pulls"), width);
  }
  if (out.empty && args.repo.empty()) {
    out.text += "nothing is wanted or held; `shoal pull org/name` fetches a model\n";
  } else if (!out.empty) {
    out.text += args.repo.empty() ? repos_text(rows, width) : files_text(rows, width);
  }
  if (flag_of(out.answer.body, "truncated")) out.text += "... and more; give a repo to see its files\n";
  return out;
}

ExitStatus unknown_repo(const Session& session, const std::string& repo) {
  const std::string text = "nothing is known of " + repo + "; `shoal pull " + repo + "` fetches it";
  if (session.json) print_json({{"error", {{"code", "not_found"}, {"message", text}}}});
  print_error(text);
  return exit_not_found;
}

ExitStatus watch(Session& session, const StatusArgs& args) {
  const bool live = !session.json && is_live_terminal(STDOUT_FILENO);
  if (live && args.repo.empty()) return run_watch(session);
  const Interrupts interrupts;
  while (!Interrupts::interrupted()) {
    const TerminalSize size = terminal_size(STDOUT_FILENO);
    const Look now = look(session, args, live ? size.columns : 0);
    if (Interrupts::interrupted()) break;
    if (!now.answer.ok()) return report(session, now.answer);
    if (session.json) {
      print_json(now.answer.body);
    } else if (live) {
      // From the top of the screen, which scrolls nothing away; as many lines as there are.
      std::string text = now.text;
      std::size_t end = 0;
      for (std::size_t row = 0; row + 1 < size.rows && end != std::string::npos; ++row) {
        end = text.find('\n', end);
        if (end != std::string::npos) ++end;
      }
      if (end != std::string::npos) text.resize(end);
      std::printf("\x1b[H\x1b[J%s", text.c_str());
    } else {
      std::printf("%s\n", now.text.c_str());
    }
    std::fflush(stdout);
    Interrupts::wait(std::chrono::seconds(1));
  }
  Interrupts::die_interrupted();
}

}  // namespace

ExitStatus run_status(Session& session, const StatusArgs& args) {
  if (args.watch) return watch(session, args);
  const Look now = look(session, args, output_width());
  if (!now.answer.ok()) return report(session, now.answer);
  if (now.empty && !args.repo.empty()) return unknown_repo(session, args.repo);
  if (session.json) {
    print_json(now.answer.body);
  } else {
    std::printf("%s", now.text.c_str());
  }
  return exit_done;
}

namespace {

ExitStatus tell_why(Session& session, const Json& rows, const std::string& repo) {
  if (session.json) {
    print_json({{"status", rows}});
    return exit_done;
  }
  std::size_t held = 0;
  for (const Json& row : rows) {
    const auto state = text_of(row, "state");
    if (state == "held") {
      ++held;
      if (rows.size() > 1) continue;
    }
    std::string line = text_of(row, "path") + ": " + state;
    if (state != "held") line += " at " + format_percent(real_of(row, "percent"));
    const auto rate = number_of(row, "bytes_per_s");
    if (rate > 0) line += ", " + format_rate(rate);
    if (const auto eta = optional_number(row, "eta_s")) line += ", " + format_duration(*eta) + " left";
    const auto waiting = text_of(row, "waiting_for");
    if (!waiting.empty()) line += (rate > 0 ? "; limited by " : "; waits for ") + waiting;
    const auto error = text_of(row, "error");
    if (!error.empty()) line += "; " + error;
    if (state == "held") {
      line += ": " + sources_text(number_of(row, "bytes_lan"), number_of(row, "bytes_origin"),
                                  number_of(row, "bytes_local"));
    } else if (state != "failed" && waiting.empty() && rate == 0) {
      line += "; nothing is known to hold it up";
    }
    std::printf("%s\n", printable_text(line).c_str());
  }
  if (rows.size() > 1 && held > 0) {
    std::printf("%s: %zu of %zu files are held\n", printable_text(repo).c_str(), held, rows.size());
  }
  return exit_done;
}

// Pulls of the repo that have no files to show yet, or failed before they had any.
std::optional<ExitStatus> tell_why_of_pulls(Session& session, const std::string& repo) {
  const ApiAnswer answer = session.api.get("/shoal/v1/pulls");
  if (!answer.ok()) return report(session, answer);
  for (const Json& pull : rows_of(answer.body, "pulls")) {
    if (text_of(pull, "repo") != repo) continue;
    if (session.json) {
      print_json({{"pull", pull}});
      return exit_done;
    }
    const auto reason = reason_of(pull);
    std::string line =
        "pull " + std::to_string(number_of(pull, "id")) + " of " + repo + ": " + text_of(pull, "state");
    if (!reason.empty()) line += "; " + reason;
    std::printf("%s\n", printable_text(line).c_str());
    return exit_done;
  }
  return std::nullopt;
}

}  // namespace

ExitStatus run_why(Session& session, const WhyArgs& args) {
  ApiAnswer answer = session.api.get("/shoal/v1/status?repo=" + escaped(args.repo));
  if (!answer.ok()) return report(session, answer);
  std::string repo = args.repo;
  std::string file = args.file;
  if (rows_of(answer.body, "status").empty() && file.empty() && repo.find('/') != std::string::npos) {
    // Perhaps file b of the old-style repo a.
    const auto slash = repo.find('/');
    const ApiAnswer other = session.api.get("/shoal/v1/status?repo=" + escaped(repo.substr(0, slash)));
    if (other.ok() && !rows_of(other.body, "status").empty()) {
      file = repo.substr(slash + 1);
      repo.resize(slash);
      answer = other;
    }
  }
  Json rows = Json::array();
  for (const Json& row : rows_of(answer.body, "status")) {
    if (file.empty() || text_of(row, "path") == file) rows.push_back(row);
  }
  if (!rows.empty()) return tell_why(session, rows, repo);
  if (file.empty()) {
    if (const auto status = tell_why_of_pulls(session, repo)) return *status;
    return unknown_repo(session, repo);
  }
  const std::string text =
      "nothing is known of " + file + " in " + repo + "; `shoal status " + repo + "` lists its files";
  if (session.json) print_json({{"error", {{"code", "not_found"}, {"message", text}}}});
  print_error(text);
  return exit_not_found;
}

}  // namespace shoal::cli
