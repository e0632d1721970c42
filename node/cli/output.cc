// Printing that all verbs share.
#include "node/api/request_target.h"
#include "node/cli/commands.h"
#include "node/cli/live_display.h"
#include "node/cli/text.h"

#include <cstdio>

#include <unistd.h>

namespace shoal::cli {

void print_error(const std::string& text) {
  std::fflush(stdout);
  std::fprintf(stderr, "shoal: %s\n", printable_text(text).c_str());
}

void print_json(const Json& json) {
  const std::string line = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

ExitStatus report(const Session& session, const ApiAnswer& answer) {
  if (session.json) {
    const std::string code = answer.reached ? answer.code : std::string("no_daemon");
    print_json({{"error", {{"code", code}, {"message", answer.message}}}});
  }
  std::string text = answer.message;
  if (answer.status == 401) text += "; give its file by --api-token-file or SHOAL_API_TOKEN_FILE";
  print_error(text);
  return answer.exit_status();
}

std::size_t output_width() {
  return isatty(STDOUT_FILENO) != 0 ? terminal_size(STDOUT_FILENO).columns : 0;
}

std::string escaped(const std::string& text, bool keep_slash) {
  return percent_encode(text, keep_slash);
}

}  // namespace shoal::cli
