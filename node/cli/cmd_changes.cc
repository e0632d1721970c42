// `rm`, `cancel` and `busy`: one request, one line.
#include "node/cli/commands.h"
#include "node/cli/json_read.h"
#include "node/config/units.h"

#include <cstdio>
#include <string>

namespace shoal::cli {

ExitStatus run_rm(Session& session, const RmArgs& args) {
  std::string path =
      "/shoal/v1/repos/" + std::string(to_string(args.repo.type)) + "/" + escaped(args.repo.name, true);
  if (!args.revision.empty()) path += "?revision=" + escaped(args.revision);
  const ApiAnswer answer = session.api.del(path);
  if (!answer.ok()) return report(session, answer);
  if (session.json) {
    print_json(answer.body);
    return exit_done;
  }
  std::printf("removed %llu files of %s, %s freed\n",
              static_cast<unsigned long long>(number_of(answer.body, "files")), args.repo.name.c_str(),
              format_size(number_of(answer.body, "bytes_freed")).c_str());
  return exit_done;
}

ExitStatus run_cancel(Session& session, const CancelArgs& args) {
  const ApiAnswer answer = session.api.del("/shoal/v1/pulls/" + std::to_string(args.pull));
  if (!answer.ok()) return report(session, answer);
  if (session.json) {
    print_json(answer.body);
  } else {
    std::printf("cancelled pull %lld; what arrived is kept\n", static_cast<long long>(args.pull));
  }
  return exit_done;
}

ExitStatus run_busy(Session& session, const BusyArgs& args) {
  Json body{{"busy", args.busy}};
  if (args.duration) body["for_s"] = args.duration->count();
  const ApiAnswer answer = session.api.post("/shoal/v1/load", body);
  if (!answer.ok()) return report(session, answer);
  if (session.json) {
    print_json(answer.body);
    return exit_done;
  }
  std::string text = args.busy ? "this machine is marked busy" : "this machine takes its share again";
  if (args.duration) text += " for " + format_duration(args.duration->count());
  std::printf("%s\n", text.c_str());
  return exit_done;
}

}  // namespace shoal::cli
