#include "node/config/config.h"
#include "node/config/config_table.h"
#include "node/config/units.h"

#include <sstream>

namespace shoal {
namespace {

std::string type_text(const ConfigKey& key) {
  std::string text(to_string(key.type));
  if (key.type == KeyType::choice) {
    text += " ";
    for (const char c : key.choices) {
      if (c == '|') {
        text += ", ";
      } else {
        text += c;
      }
    }
  }
  if (key.type == KeyType::integer) text += " " + std::to_string(key.min) + " to " + std::to_string(key.max);
  if (key.list) text = "list of " + text;
  return text;
}

// As it would stand in the file.
std::string toml_value(const ConfigKey& key) {
  if (key.list) {
    return key.type == KeyType::host_port ? R"(["10.0.0.7:8421", "gpu8.lab:8421"])" : R"(["models.lab"])";
  }
  switch (key.type) {
    case KeyType::boolean:
    case KeyType::integer:
      return std::string(key.default_text);
    case KeyType::path:
      if (key.name == "state_dir") return "\"/var/lib/shoal\"";
      if (key.name == "cache_dir") return "\"/srv/models/hub\"";
      return "\"/etc/shoal/api-token\"";
    default:
      if (key.name == "node_name") return "\"gpu7\"";
      return "\"" + std::string(key.default_text) + "\"";
  }
}

}  // namespace

std::string config_docs_markdown() {
  std::ostringstream out;
  out << "# Configuration of shoald\n"
         "\n"
         "This page is what `shoald --print-config-docs` prints; edit `node/config/config_table.cc` "
         "instead.\n"
         "\n"
         "Every key can be given in three places: as an option, as an environment variable, and in a TOML "
         "file.\n"
         "An option beats the environment, which beats the file, which beats the default. A list given in "
         "one\n"
         "place replaces the whole list of a weaker one. Unknown keys are errors.\n"
         "\n"
         "The file is named by `--config` or `SHOAL_CONFIG`. Without either, `/etc/shoal/shoald.toml` is "
         "read if\n"
         "it exists when shoald runs as root or as the user `shoal`, and "
         "`$XDG_CONFIG_HOME/shoal/shoald.toml`\n"
         "(`~/.config/shoal/shoald.toml`) for anybody else. A relative path in the file starts at the "
         "file's\n"
         "directory.\n"
         "\n"
         "Sizes are written like `200GiB` (2^30) or `200GB` (10^9), rates like `100Mbit/s` or `12MB/s`. In "
         "the\n"
         "environment a list is separated by commas.\n"
         "\n"
         "| key | option | environment | type | default |\n"
         "|---|---|---|---|---|\n";
  for (const ConfigKey& key : config_table()) {
    out << "| `" << key.name << "` | `" << key.option << "` | `" << key.environment << "` | "
        << type_text(key) << " | " << (key.default_text.empty() ? "none" : std::string(key.default_text))
        << " |\n";
  }
  out << "\n";
  for (const ConfigKey& key : config_table()) out << "- **`" << key.name << "`**: " << key.help << "\n";
  out << "\n"
         "The Hub's token is no key: it is found where the Hub's own tools find it (`HF_TOKEN`, then the "
         "file\n"
         "`HF_TOKEN_PATH`, then `$HF_HOME/token`).\n";
  return out.str();
}

std::string example_config() {
  std::ostringstream out;
  out << "# Configuration of shoald. Every key is shown, and commented out: a line that stays so keeps its "
         "default.\n"
         "# An option or an environment variable of the same key beats this file.\n";
  for (const ConfigKey& key : config_table()) {
    out << "\n# " << key.help << "\n";
    if (!key.default_text.empty()) out << "# Default: " << key.default_text << "\n";
    out << "#" << key.name << " = " << toml_value(key) << "\n";
  }
  return out.str();
}

}  // namespace shoal
