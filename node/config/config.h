// The configuration of `shoald`: one plain struct, filled from options, environment and a TOML file.
//
// An option beats the environment, which beats the file, which beats the default. Every key exists in all
// three places under names derived from one table (config_table.h); help, documents and the example file come
// from that table too. An unknown key is an error that names key, file and line, because a misspelt limit
// that is silently ignored shows up weeks later as a full disk.
//
// Threads: plain values; load once before any thread starts (reads the environment).
#pragma once

#include "node/core/messages.h"
#include "node/core/result.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace shoal {

// A place to connect to; `host` is a name or a numeric address without brackets.
struct HostPort {
  std::string host;
  std::uint16_t port = 0;
  bool operator==(const HostPort&) const = default;
  [[nodiscard]] std::string text() const;  // "host:8421", "[::1]:8421"
};

enum class LogLevel : std::uint8_t { debug, info, warning, error };
[[nodiscard]] std::string_view to_string(LogLevel level);

enum class LogFormat : std::uint8_t {
  plain,    // time stamp, level, text
  journal,  // "<6>text": the journal adds the time and reads the level
};

struct Config {
  std::filesystem::path config_file;  // the file that was read; empty: none
  std::filesystem::path state_dir;    // absolute
  std::filesystem::path cache_dir;    // absolute; the Hub's cache (`.../hub`)

  Endpoint api{"127.0.0.1", 8420};
  std::filesystem::path api_token_file;  // set when the API listens on more than loopback
  std::vector<std::string> api_hosts;    // further names a Host header may carry

  Endpoint swarm{"0.0.0.0", 8421};
  std::vector<HostPort> peers;
  std::string cluster = "default";
  Endpoint join_listen{"0.0.0.0", 8422};  // where machines join a closed cluster
  std::string node_name;                  // the host's name unless given
  bool lsd = true;                        // local service discovery by multicast

  std::string hub = "https://huggingface.co";  // no trailing slash
  int origin_connections = 16;
  std::uint64_t wan_rate_limit = 0;       // bytes per second from the origin; 0: none
  std::uint64_t site_wan_rate_limit = 0;  // the same for all nodes of the cluster together

  std::uint64_t free_space_floor =
      1024ULL * 1024 * 1024;  // bytes on the cache's file system that are never filled

  std::uint64_t cache_size_limit = 0;  // bytes under blobs/ of the cache; 0: none
  bool evict_for_floor = false;
  bool evict_last_copies = false;

  // Where the kernel's figures are read that tell this machine's load.
  std::filesystem::path proc_dir = "/proc";
  std::filesystem::path sys_dir = "/sys";

  LogLevel log_level = LogLevel::info;
  LogFormat log_format = LogFormat::plain;
};

using EnvLookup = std::function<std::optional<std::string>(const std::string& name)>;

// What the defaults depend on besides the environment.
struct HostFacts {
  bool system_user = false;             // root or the service user `shoal`
  std::string hostname;                 // default of node_name
  std::filesystem::path working_dir;    // relative paths from options and environment start here
  std::filesystem::path system_config;  // read for a system user when it exists and no file is named
};
[[nodiscard]] HostFacts real_host_facts();
[[nodiscard]] EnvLookup real_environment();  // an empty variable counts as not set

struct LoadedConfig {
  Config config;
  // Set when the command line asked for text instead of a daemon (--help, --version, --print-config-docs,
  // --print-example-config): write it to stdout and exit 0. `config` is not filled then.
  std::optional<std::string> print_and_exit;
};

// Errors: invalid (with a sentence that names option, variable or file:line and what to do), io (a file named
// by --config cannot be read). A caller prints the sentence to stderr and exits with 2.
[[nodiscard]] Result<LoadedConfig> load_config(int argc, const char* const* argv, const EnvLookup& env,
                                               const HostFacts& host);
[[nodiscard]] Result<LoadedConfig> load_config(int argc, const char* const* argv);

// The table as a Markdown page and as a commented TOML file whose every key is commented out.
[[nodiscard]] std::string config_docs_markdown();
[[nodiscard]] std::string example_config();

}  // namespace shoal
