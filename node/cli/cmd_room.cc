// `gc`, `pin` and `unpin`: room in the cache.
#include "node/cli/commands.h"
#include "node/cli/json_read.h"
#include "node/cli/text.h"
#include "node/config/units.h"

#include <cstdio>
#include <string>

namespace shoal::cli {
namespace {

std::string model_of(const Json& choice) {
  const std::string commit = text_of(choice, "commit_id");
  return text_of(choice, "repo") +
         (commit.empty() ? " (files without a snapshot)" : "@" + commit.substr(0, 12));
}

std::string choice_reason(const Json& choice) {
  std::string reason = text_of(choice, "reason");
  if (const auto last = number_of(choice, "last_copies"); last > 0 && !flag_of(choice, "evict"))
    reason += " (" + std::to_string(last) + (last == 1 ? " file)" : " files)");
  return reason;
}

}  // namespace

ExitStatus run_gc(Session& session, const GcArgs& args) {
  Json body{{"dry_run", args.dry_run}, {"even_last_copies", args.even_last_copies}};
  if (args.to) body["to"] = *args.to;
  const ApiAnswer answer = session.api.post("/shoal/v1/gc", body);
  if (!answer.ok()) return report(session, answer);
  const std::uint64_t needed = number_of(answer.body, "bytes_needed");
  const std::uint64_t freed = number_of(answer.body, "bytes_freed");
  if (session.json) {
    print_json(answer.body);
  } else {
    Table table(
        {{"MODEL"}, {args.dry_run ? "WOULD" : "WAS"}, {"FREES", Align::right}, {"LAST USED"}, {"REASON"}});
    for (const Json& choice : rows_of(answer.body, "choices")) {
      table.add({model_of(choice), flag_of(choice, "evict") ? (args.dry_run ? "go" : "removed") : "stay",
                 format_size(number_of(choice, "frees")), text_of(choice, "last_used_at").substr(0, 10),
                 choice_reason(choice)});
    }
    if (!table.empty()) std::printf("%s", table.text(output_width()).c_str());
    std::printf("the cache has %s; %s to free, %s %s; %llu neighbours were asked what they keep\n",
                format_size(number_of(answer.body, "bytes_held")).c_str(), format_size(needed).c_str(),
                format_size(freed).c_str(), args.dry_run ? "would be" : "freed",
                static_cast<unsigned long long>(number_of(answer.body, "neighbours")));
  }
  if (freed >= needed) return exit_done;
  print_error("not enough could be freed: " + format_size(needed - freed) +
              " more; the reasons are above, `--even-last-copies` or `shoal unpin` let more go");
  return exit_no_space;
}

ExitStatus run_pin(Session& session, const PinArgs& args) {
  if (args.repo.name.empty()) {
    const ApiAnswer answer = session.api.get("/shoal/v1/pins");
    if (!answer.ok()) return report(session, answer);
    if (session.json) {
      print_json(answer.body);
      return exit_done;
    }
    const Json& pins = rows_of(answer.body, "pins");
    for (const Json& pin : pins) std::printf("%s\n", printable_text(text_of(pin, "repo")).c_str());
    if (pins.empty()) std::printf("no repo is pinned\n");
    return exit_done;
  }
  const std::string type(to_string(args.repo.type));
  const ApiAnswer answer =
      args.pin ? session.api.post("/shoal/v1/pins", Json{{"repo", args.repo.name}, {"type", type}})
               : session.api.del("/shoal/v1/pins/" + type + "/" + escaped(args.repo.name, true));
  if (!answer.ok()) return report(session, answer);
  if (session.json) {
    print_json(answer.body);
  } else {
    std::printf(args.pin ? "%s stays whatever happens\n" : "%s may be removed to make room\n",
                args.repo.name.c_str());
  }
  return exit_done;
}

}  // namespace shoal::cli
