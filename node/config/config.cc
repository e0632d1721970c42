#include "node/config/config.h"

#include "node/config/config_file.h"
#include "node/config/config_options.h"
#include "node/config/config_table.h"
#include "transport/origin/hub_settings.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <system_error>
#include <utility>

#include <pwd.h>
#include <unistd.h>

namespace shoal {
namespace {

constexpr const char* kSystemConfig = "/etc/shoal/shoald.toml";

struct Variables {
  const EnvLookup& lookup;
  [[nodiscard]] std::string get(const std::string& name) const { return lookup(name).value_or(""); }
  // $XDG_..._HOME, or its place under HOME; empty without either.
  [[nodiscard]] std::filesystem::path base(const std::string& variable, const char* under_home) const {
    // The XDG specification: a relative path in these variables is to be ignored.
    if (const std::filesystem::path set = get(variable); set.is_absolute()) return set;
    const std::filesystem::path home = get("HOME");
    return home.is_absolute() ? home / under_home : std::filesystem::path{};
  }
};

const ConfigKey& key_named(std::string_view name) {
  const auto table = config_table();
  return *std::find_if(table.begin(), table.end(), [&](const ConfigKey& k) { return k.name == name; });
}

// Puts the values of one source into the config; `where` opens the sentence of an error.
Result<void> apply_values(Config& config, const ConfigKey& key, const std::vector<std::string>& values,
                          const ValueContext& context, const std::string& where) {
  if (key.clear != nullptr) key.clear(config);
  for (const std::string& value : values) {
    if (auto done = key.apply(config, key, value, context); !done) {
      return fail(Code::invalid, where + done.error().message);
    }
  }
  return {};
}

std::vector<std::string> split_commas(const std::string& text) {
  std::vector<std::string> out;
  std::size_t begin = 0;
  while (begin <= text.size()) {
    const auto end = std::min(text.find(',', begin), text.size());
    auto part = text.substr(begin, end - begin);
    part.erase(0, part.find_first_not_of(' '));
    part.erase(part.find_last_not_of(' ') + 1);
    if (!part.empty()) out.push_back(std::move(part));
    begin = end + 1;
  }
  return out;
}

void set_defaults(Config& config, const Variables& env, const HostFacts& host) {
  config.node_name = host.hostname.substr(0, limits::kNodeNameBytes);
  if (config.node_name.empty()) config.node_name = "node";
  if (host.system_user) {
    config.state_dir = "/var/lib/shoal";
  } else if (const auto base = env.base("XDG_STATE_HOME", ".local/state"); !base.empty()) {
    config.state_dir = base / "shoal";
  }
  // The rules of the Hub's own tools, which also have an answer without HF_ variables.
  if (std::filesystem::path cache = hub_cache_dir(env.lookup); cache.is_absolute())
    config.cache_dir = std::move(cache);
}

Result<void> apply_file(Config& config, const std::filesystem::path& path,
                        const std::filesystem::path& home) {
  auto values = read_config_file(path);
  if (!values) return fail(values.error());
  const ValueContext context{path.parent_path(), home};
  for (const FileValue& value : *values) {
    const std::string where = path.string() + ":" + std::to_string(value.line) + ": " + value.key + ": ";
    if (auto done = apply_values(config, key_named(value.key), value.values, context, where); !done)
      return done;
  }
  config.config_file = path;
  return {};
}

// The file given by option or environment must exist; the default place may be empty.
Result<void> apply_any_file(Config& config, const CommandLine& options, const Variables& env,
                            const HostFacts& host) {
  const std::filesystem::path home = env.get("HOME");
  const std::string named = options.config_file.value_or(env.get("SHOAL_CONFIG"));
  if (options.config_file || !named.empty()) {
    return apply_file(config, (host.working_dir / named).lexically_normal(), home);
  }
  std::filesystem::path place = host.system_config;
  if (!host.system_user) {
    const auto base = env.base("XDG_CONFIG_HOME", ".config");
    if (base.empty()) return {};
    place = base / "shoal" / "shoald.toml";
  }
  std::error_code ec;
  if (place.empty() || !std::filesystem::exists(place, ec)) return {};
  return apply_file(config, place, home);
}

// Variables of the Hub's own tools; the plain SHOAL_ ones are applied after them.
Result<void> apply_hub_cache(Config& config, const Variables& env, const ValueContext& context) {
  for (const char* variable : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME"}) {
    if (env.get(variable).empty()) continue;
    const std::string where = std::string(variable) + ": ";
    return apply_values(config, key_named("cache_dir"), {hub_cache_dir(env.lookup)}, context, where);
  }
  return {};
}

Result<void> apply_hub_endpoint(Config& config, const Variables& env, const ValueContext& context) {
  if (env.get("HF_ENDPOINT").empty()) return {};
  return apply_values(config, key_named("hub"), {hub_endpoint(env.lookup)}, context, "HF_ENDPOINT: ");
}

Result<void> apply_environment(Config& config, const Variables& env, const ValueContext& context) {
  if (auto done = apply_hub_cache(config, env, context); !done) return done;
  if (auto done = apply_hub_endpoint(config, env, context); !done) return done;
  for (const ConfigKey& key : config_table()) {
    const auto value = env.get(std::string(key.environment));
    if (value.empty()) continue;
    const auto values = key.list ? split_commas(value) : std::vector<std::string>{value};
    const std::string where = std::string(key.environment) + ": ";
    if (auto done = apply_values(config, key, values, context, where); !done) return done;
  }
  return {};
}

bool is_loopback(const Endpoint& endpoint) {
  return endpoint.address.starts_with("127.") || endpoint.address == "::1";
}

// Rules between keys.
Result<void> check_whole(const Config& config) {
  if (config.state_dir.empty()) {
    return fail(Code::invalid, "no place for the state: set --state-dir, or HOME");
  }
  if (config.cache_dir.empty()) {
    return fail(Code::invalid, "no place for the models: set --cache-dir, HF_HOME, or HOME");
  }
  if (!is_loopback(config.api) && config.api_token_file.empty()) {
    return fail(Code::invalid,
                "--api " + config.api.text() +
                    " can be reached by other machines, so --api-token-file is needed as well");
  }
  if (config.api.port != 0 && config.api.port == config.swarm.port) {
    return fail(Code::invalid, "--api and --swarm cannot both use port " + std::to_string(config.api.port));
  }
  // HF_ENDPOINT is set to the node itself for programs that fetch through it; the node would then ask itself.
  for (const char* own : {"http://127.0.0.1:", "http://localhost:", "http://[::1]:"}) {
    if (config.hub == own + std::to_string(config.api.port)) {
      return fail(Code::invalid, "the hub is this node's own API (" + config.hub +
                                     "): set --hub, or unset HF_ENDPOINT for shoald");
    }
  }
  return {};
}

}  // namespace

std::string HostPort::text() const {
  return Endpoint{host, port}.text();
}

std::string_view to_string(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return "debug";
    case LogLevel::info:
      return "info";
    case LogLevel::warning:
      return "warning";
    case LogLevel::error:
      return "error";
  }
  return "info";
}

HostFacts real_host_facts() {
  HostFacts facts;
  facts.system_config = kSystemConfig;
  facts.system_user = geteuid() == 0;
  std::array<char, 4096> buffer{};
  passwd entry{};
  passwd* found = nullptr;
  if (getpwuid_r(geteuid(), &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr) {
    facts.system_user = facts.system_user || std::string_view(found->pw_name) == "shoal";
  }
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) == 0) facts.hostname = name.data();
  std::error_code ec;
  facts.working_dir = std::filesystem::current_path(ec);
  return facts;
}

EnvLookup real_environment() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr || *value == '\0') return std::nullopt;
    return value;
  };
}

Result<LoadedConfig> load_config(int argc, const char* const* argv, const EnvLookup& lookup,
                                 const HostFacts& host) {
  auto options = parse_daemon_options(argc, argv);
  if (!options) return fail(options.error());
  LoadedConfig out;
  if (options->print_and_exit) {
    out.print_and_exit = std::move(options->print_and_exit);
    return out;
  }
  const Variables env{lookup};
  const ValueContext context{host.working_dir, env.get("HOME")};
  set_defaults(out.config, env, host);
  if (auto done = apply_any_file(out.config, *options, env, host); !done) return fail(done.error());
  if (auto done = apply_environment(out.config, env, context); !done) return fail(done.error());
  for (const auto& [name, values] : options->values) {
    const ConfigKey& key = key_named(name);
    if (auto done = apply_values(out.config, key, values, context, std::string(key.option) + ": "); !done) {
      return fail(done.error());
    }
  }
  if (auto done = check_whole(out.config); !done) return fail(done.error());
  return out;
}

Result<LoadedConfig> load_config(int argc, const char* const* argv) {
  return load_config(argc, argv, real_environment(), real_host_facts());
}

}  // namespace shoal
