// The TOML file as a list of keys with their values in text form, checked for known names and fitting types.
#pragma once

#include "node/core/result.h"

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace shoal {

struct FileValue {
  std::string key;
  unsigned line = 0;
  std::vector<std::string> values;
};

// `name` is what errors call the file. Errors: invalid, naming file and line.
[[nodiscard]] Result<std::vector<FileValue>> parse_config_text(std::string_view text,
                                                               const std::string& name);
// Errors: io, invalid.
[[nodiscard]] Result<std::vector<FileValue>> read_config_file(const std::filesystem::path& path);

}  // namespace shoal
