// `export`: a file for BitTorrent clients that are no shoal.
#include "node/cli/commands.h"
#include "node/cli/json_read.h"
#include "node/cli/text.h"
#include "node/config/units.h"
#include "node/core/base64.h"

#include <cstdio>
#include <fstream>
#include <string>

namespace shoal::cli {
namespace {

constexpr const char* kExportsPath = "/shoal/v1/exports";

std::string name_of(const Json& file) {
  return text_of(file, "repo") + "/" + text_of(file, "path");
}

ExitStatus list(Session& session) {
  const ApiAnswer answer = session.api.get(kExportsPath);
  if (!answer.ok()) return report(session, answer);
  if (session.json) {
    print_json(answer.body);
    return exit_done;
  }
  Table table({{"FILE"}, {"SIZE", Align::right}, {"INFO-HASH"}});
  for (const Json& file : rows_of(answer.body, "exports"))
    table.add({name_of(file), format_size(number_of(file, "size")), text_of(file, "info_hash")});
  std::printf("%s", table.empty() ? "no file is exported\n" : table.text(output_width()).c_str());
  return exit_done;
}

ExitStatus stop(Session& session, const ExportArgs& args) {
  const ApiAnswer all = session.api.get(kExportsPath);
  if (!all.ok()) return report(session, all);
  for (const Json& file : rows_of(all.body, "exports")) {
    if (text_of(file, "repo") != args.repo.name || text_of(file, "path") != args.path) continue;
    const ApiAnswer answer = session.api.del(std::string(kExportsPath) + "/" + text_of(file, "info_hash"));
    if (!answer.ok()) return report(session, answer);
    if (session.json) {
      print_json(answer.body);
    } else {
      std::printf("%s is seeded no more\n", printable_text(name_of(file)).c_str());
    }
    return exit_done;
  }
  print_error(args.repo.name + "/" + args.path + " is not exported; `shoal export` lists what is");
  return exit_not_found;
}

bool write_file(const std::string& path, const std::vector<std::byte>& bytes) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  out.close();
  return out.good();
}

}  // namespace

ExitStatus run_export(Session& session, const ExportArgs& args) {
  if (args.repo.name.empty()) return list(session);
  if (args.stop) return stop(session, args);
  const ApiAnswer answer = session.api.post(
      kExportsPath,
      Json{{"repo", args.repo.name}, {"type", std::string(to_string(args.repo.type))}, {"path", args.path}});
  if (!answer.ok()) return report(session, answer);
  if (!args.output.empty()) {
    const auto torrent = from_base64(text_of(answer.body, "torrent"));
    if (!torrent || torrent->empty()) {
      print_error("the daemon's answer has no torrent; it may be of another version");
      return exit_failed;
    }
    if (!write_file(args.output, *torrent)) {
      print_error("cannot write " + args.output + "; name another place with --output");
      return exit_failed;
    }
  }
  if (session.json) {
    Json out = answer.body;
    out.erase("torrent");
    if (!args.output.empty()) out["output"] = args.output;
    print_json(out);
    return exit_done;
  }
  if (!args.output.empty()) std::printf("%s\n", printable_text(args.output).c_str());
  std::printf("%s\n", printable_text(text_of(answer.body, "magnet")).c_str());
  return exit_done;
}

}  // namespace shoal::cli
