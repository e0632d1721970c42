// The exit statuses of `shoal` (design section 7). Scripts rely on them.
#pragma once

#include "node/core/result.h"

#include <optional>
#include <string_view>

namespace shoal::cli {

enum ExitStatus : int {
  exit_done = 0,
  exit_failed = 1,     // with one line that says what to do
  exit_usage = 2,      // wrong usage
  exit_no_daemon = 3,  // no daemon reached
  exit_not_found = 4,
  exit_not_allowed = 5,  // gated, token
  exit_mismatch = 6,     // a hash does not match
  exit_no_space = 7,
};

[[nodiscard]] ExitStatus exit_status_of(Code code);
// From the name of a code as the API sends it; names it does not know are failures.
[[nodiscard]] ExitStatus exit_status_of(std::string_view code_name);
// Of a pull or job that was accepted and failed later: whatever went wrong then, the command line was right.
[[nodiscard]] ExitStatus exit_status_of_work(std::string_view code_name);
[[nodiscard]] std::optional<Code> parse_code(std::string_view name);

}  // namespace shoal::cli
