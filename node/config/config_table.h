// The one table of configuration keys. Options, environment variables, the TOML file, --help, the Markdown
// page and the example file are all made from it.
#pragma once

#include "node/config/config.h"
#include "node/core/result.h"

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace shoal {

enum class KeyType : std::uint8_t {
  text,
  path,
  address,    // numeric ADDR:PORT to listen on
  host_port,  // HOST:PORT to connect to
  url,
  size,
  rate,
  integer,
  boolean,
  choice,
};
[[nodiscard]] std::string_view to_string(KeyType type);

// Where a relative path or a `~/` in a value starts.
struct ValueContext {
  std::filesystem::path base;
  std::filesystem::path home;
};

struct ConfigKey {
  std::string_view name;         // in the TOML file; the option is the same with dashes
  std::string_view option;       // "--state-dir"
  std::string_view environment;  // further variables that count are named in `help`
  std::string_view placeholder;  // "DIR"
  KeyType type = KeyType::text;
  bool list = false;  // an array in the file, repeatable as an option, commas in the environment
  std::string_view default_text{};  // as written in the file, without quotes
  std::uint64_t min = 0;            // of integer, size and rate
  std::uint64_t max = 0;
  std::string_view choices{};  // "plain|journal"
  std::string_view help{};     // one sentence
  // Checks one value and puts it in its place. The error has only the reason; the caller adds where it stood.
  Result<void> (*apply)(Config&, const ConfigKey&, const std::string& value, const ValueContext&) = nullptr;
  // Empties a list before values of a stronger source come in; nullptr for single values.
  void (*clear)(Config&) = nullptr;
};

[[nodiscard]] std::span<const ConfigKey> config_table();

}  // namespace shoal
