#include "node/config/config_options.h"

#include "node/config/config_table.h"
#include "node/config/nearest_name.h"
#include "node/version.h"

#include <CLI/CLI.hpp>

namespace shoal {
namespace {

std::string option_help(const ConfigKey& key) {
  std::string text(key.help);
  if (!key.default_text.empty()) text += " Default: " + std::string(key.default_text) + ".";
  return text;
}

Unexpected<Error> unknown_option(const std::string& wrong) {
  std::vector<std::string> known{"--config", "--help", "--version"};
  for (const ConfigKey& key : config_table()) known.emplace_back(key.option);
  std::string text = "unknown option '" + wrong + "'";
  if (const auto near = nearest_name(wrong.substr(0, wrong.find('=')), known)) {
    text += "; did you mean '" + *near + "'?";
  } else {
    text += "; `shoald --help` lists the known ones";
  }
  return fail(Code::invalid, std::move(text));
}

}  // namespace

Result<CommandLine> parse_daemon_options(int argc, const char* const* argv) {
  CLI::App app("Fetches AI models once per site and shares them on the LAN.", "shoald");
  app.allow_extras();
  app.footer(
      "Every option is also a key of the configuration file (dashes become underscores) and has an\n"
      "environment variable. An option beats the environment, which beats the file.\n"
      "\n"
      "Examples:\n"
      "  shoald                                     as a user, with defaults\n"
      "  shoald --config /etc/shoal/shoald.toml     as the service does\n"
      "  shoald --peer 10.0.0.7:8421 --wan-rate-limit 200Mbit/s");

  CommandLine out;
  std::string config_file;
  bool version = false;
  bool docs = false;
  bool example = false;
  auto* config_option =
      app.add_option("--config", config_file, "The configuration file (TOML). [SHOAL_CONFIG]")
          ->type_name("FILE");
  for (const ConfigKey& key : config_table()) {
    auto* option = app.add_option(std::string(key.option), out.values[std::string(key.name)],
                                  option_help(key) + " [" + std::string(key.environment) + "]");
    option->type_name(std::string(key.placeholder));
    option->expected(1);
    option->multi_option_policy(key.list ? CLI::MultiOptionPolicy::TakeAll
                                         : CLI::MultiOptionPolicy::TakeLast);
    option->allow_extra_args(false);
  }
  app.add_flag("--version", version, "Prints the version.");
  app.add_flag("--print-config-docs", docs, "Prints all configuration keys as a Markdown page.");
  app.add_flag("--print-example-config", example,
               "Prints a configuration file with every key commented out.");

  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    out.print_and_exit = app.help();
    return out;
  } catch (const CLI::ParseError& e) {
    return fail(Code::invalid, e.what());
  }
  if (const auto rest = app.remaining(); !rest.empty()) {
    if (rest.front().starts_with('-')) return unknown_option(rest.front());
    return fail(Code::invalid, "shoald takes options only, and '" + rest.front() + "' is none");
  }
  if (version) out.print_and_exit = std::string("shoald ") + kVersion + "\n";
  if (docs) out.print_and_exit = config_docs_markdown();
  if (example) out.print_and_exit = example_config();
  if (config_option->count() > 0) out.config_file = config_file;
  std::erase_if(out.values, [](const auto& entry) { return entry.second.empty(); });
  return out;
}

}  // namespace shoal
