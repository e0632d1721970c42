// The command line of `shoald`, made from the table of keys.
#pragma once

#include "node/core/result.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace shoal {

struct CommandLine {
  std::optional<std::string> config_file;
  std::map<std::string, std::vector<std::string>> values;  // by key name
  std::optional<std::string> print_and_exit;
};

// Errors: invalid.
[[nodiscard]] Result<CommandLine> parse_daemon_options(int argc, const char* const* argv);

}  // namespace shoal
