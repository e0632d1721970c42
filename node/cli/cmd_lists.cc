// `ls` and `peers`.
#include "node/cli/commands.h"
#include "node/cli/json_read.h"
#include "node/cli/text.h"
#include "node/config/units.h"
#include "node/core/load.h"

#include <cstdio>
#include <map>
#include <string>
#include <tuple>

namespace shoal::cli {
namespace {

std::string held_repos_text(const Json& rows, std::size_t width) {
  struct Sum {
    std::uint64_t files = 0;
    std::uint64_t size = 0;
    std::string revision;
  };
  std::map<std::tuple<std::string, std::string, std::string>, Sum> sums;  // repo, type, commit
  for (const Json& row : rows) {
    Sum& sum = sums[{text_of(row, "repo"), text_of(row, "type"), text_of(row, "commit_id")}];
    ++sum.files;
    sum.size += number_of(row, "size");
    if (sum.revision.empty()) sum.revision = text_of(row, "revision");
  }
  Table table(
      {{"REPO"}, {"TYPE"}, {"REVISION"}, {"COMMIT"}, {"FILES", Align::right}, {"SIZE", Align::right}});
  for (const auto& [key, sum] : sums) {
    table.add({std::get<0>(key), std::get<1>(key), sum.revision, std::get<2>(key).substr(0, 12),
               std::to_string(sum.files), format_size(sum.size)});
  }
  return table.text(width);
}

std::string held_files_text(const Json& rows, std::size_t width) {
  Table table({{"PATH"}, {"COMMIT"}, {"SIZE", Align::right}, {"BLOB"}});
  for (const Json& row : rows) {
    table.add({text_of(row, "path"), text_of(row, "commit_id").substr(0, 12),
               format_size(number_of(row, "size")), text_of(row, "blob_id")});
  }
  return table.text(width);
}

// What of the machine is free, and what of it is most in use: "35% (disk)".
std::string free_text(const Json& row) {
  DeviceLoad load;
  std::uint16_t worst = 99;  // below a tenth nothing is worth naming
  std::string part;
  const auto permille = [&](const char* name, const char* what) {
    const auto value = static_cast<std::uint16_t>(std::min<std::uint64_t>(1000, number_of(row, name)));
    if (value > worst) {
      worst = value;
      part = what;
    }
    return value;
  };
  load.cpu_permille = permille("cpu_permille", "processor");
  load.memory_permille = permille("memory_permille", "memory");
  load.io_permille = permille("io_permille", "disk");
  load.nic_permille = permille("nic_permille", "network");
  load.gpu_permille = permille("gpu_permille", "GPU");
  load.busy = flag_of(row, "busy");
  if (load.busy) part = "busy";
  return std::to_string(static_cast<int>(free_capacity(load) * 100.0)) + "%" +
         (part.empty() ? "" : " (" + part + ")");
}

std::string peer_state(const Json& row) {
  if (!text_of(row, "banned_until").empty()) return "banned until " + text_of(row, "banned_until");
  if (!flag_of(row, "alive")) return "gone";
  return flag_of(row, "busy") ? "busy" : "alive";
}

}  // namespace

ExitStatus run_ls(Session& session, const LsArgs& args) {
  const std::string filter = args.repo.empty() ? "" : "?repo=" + escaped(args.repo);
  const ApiAnswer answer = session.api.get("/shoal/v1/blobs" + filter);
  if (!answer.ok()) return report(session, answer);
  const Json& rows = rows_of(answer.body, "blobs");
  if (rows.empty() && !args.repo.empty()) {
    const std::string text = args.repo + " is not on this machine; `shoal pull " + args.repo + "` fetches it";
    if (session.json) print_json({{"error", {{"code", "not_found"}, {"message", text}}}});
    print_error(text);
    return exit_not_found;
  }
  if (session.json) {
    print_json(answer.body);
    return exit_done;
  }
  if (rows.empty()) {
    std::printf("no model is on this machine yet; `shoal pull org/name` fetches one\n");
    return exit_done;
  }
  const std::size_t width = output_width();
  std::printf("%s",
              (args.repo.empty() ? held_repos_text(rows, width) : held_files_text(rows, width)).c_str());
  if (flag_of(answer.body, "truncated")) std::printf("... and more files than one answer holds\n");
  if (args.repo.empty()) {
    std::printf("%llu files of different content, %s\n",
                static_cast<unsigned long long>(number_of(answer.body, "blobs_held")),
                format_size(number_of(answer.body, "bytes_held")).c_str());
  }
  return exit_done;
}

ExitStatus run_peers(Session& session, const PeersArgs&) {
  const ApiAnswer answer = session.api.get("/shoal/v1/peers");
  if (!answer.ok()) return report(session, answer);
  if (session.json) {
    print_json(answer.body);
    return exit_done;
  }
  const Json& rows = rows_of(answer.body, "peers");
  if (rows.empty()) {
    std::printf("no neighbours were found; nodes need the same --cluster, and multicast or --peer\n");
    return exit_done;
  }
  Table table({{"NAME"},
               {"NODE"},
               {"ADDRESS"},
               {"VERSION"},
               {"STATE"},
               {"FREE", Align::right},
               {"FILES", Align::right},
               {"HELD", Align::right},
               {"RECEIVED", Align::right},
               {"SENT", Align::right},
               {"LAST SEEN"}});
  for (const Json& row : rows) {
    table.add({text_of(row, "name"), text_of(row, "node").substr(0, 8), text_of(row, "endpoint"),
               text_of(row, "version"), peer_state(row), free_text(row),
               std::to_string(number_of(row, "blobs_held")), format_size(number_of(row, "bytes_held")),
               format_size(number_of(row, "bytes_received")), format_size(number_of(row, "bytes_sent")),
               text_of(row, "last_seen").substr(0, 19)});
  }
  std::printf("%s", table.text(output_width()).c_str());
  return exit_done;
}

}  // namespace shoal::cli
