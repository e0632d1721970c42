#include "node/config/config_table.h"

#include "node/config/units.h"
#include "node/core/site_wan_limit.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string>

#include <arpa/inet.h>

namespace shoal {
namespace {

// Each of these checks one value of one type; the table says where it goes.

Result<std::filesystem::path> to_path(const std::string& value, const ValueContext& context) {
  if (value.empty()) return fail(Code::invalid, "a path is wanted, not an empty text");
  if (value.find('\0') != std::string::npos) return fail(Code::invalid, "a path cannot contain NUL");
  std::filesystem::path path = value;
  if (value == "~" || value.starts_with("~/")) {
    if (context.home.empty()) return fail(Code::invalid, "'" + value + "' needs HOME to be set");
    path = context.home / std::filesystem::path(value.substr(std::min<std::size_t>(2, value.size())));
  } else if (path.is_relative()) {
    path = context.base / path;
  }
  path = path.lexically_normal();
  if (!path.has_filename() && path.has_parent_path() && path != path.root_path()) path = path.parent_path();
  return path;
}

struct Split {
  std::string host;
  std::uint16_t port = 0;
};

Result<Split> split_host_port(const std::string& value) {
  const auto bad = [&](const char* form) { return fail(Code::invalid, "'" + value + "' is not " + form); };
  const auto colon = value.rfind(':');
  if (colon == std::string::npos || colon == 0) return bad("HOST:PORT, for example 10.0.0.7:8421");
  std::string host = value.substr(0, colon);
  if (host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string::npos) {
    return bad("HOST:PORT: an IPv6 address needs brackets, for example [::1]:8421");
  }
  const std::string digits = value.substr(colon + 1);
  unsigned port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (digits.empty() || error != std::errc{} || end != digits.data() + digits.size() || port > 65535) {
    return bad("HOST:PORT: the port is a number from 0 to 65535");
  }
  return Split{std::move(host), static_cast<std::uint16_t>(port)};
}

Result<Endpoint> to_address(const std::string& value) {
  auto split = split_host_port(value);
  if (!split) return fail(split.error());
  if (split->host == "localhost") split->host = "127.0.0.1";
  // inet_pton would stop at a NUL and not see what follows.
  const bool whole = split->host.find('\0') == std::string::npos;
  std::array<unsigned char, 16> bytes{};
  if (!whole || (inet_pton(AF_INET, split->host.c_str(), bytes.data()) != 1 &&
                 inet_pton(AF_INET6, split->host.c_str(), bytes.data()) != 1)) {
    return fail(Code::invalid,
                "'" + value + "' does not begin with a numeric address, for example 0.0.0.0:8421");
  }
  return Endpoint{std::move(split->host), split->port};
}

Result<HostPort> to_host_port(const std::string& value) {
  auto split = split_host_port(value);
  if (!split) return fail(split.error());
  const auto ok = [](unsigned char c) {
    return (std::isalnum(c) != 0) || c == '.' || c == '-' || c == '_' || c == ':' || c == '%';
  };
  if (split->host.size() > 253 || split->port == 0 ||
      !std::all_of(split->host.begin(), split->host.end(), ok)) {
    return fail(Code::invalid, "'" + value + "' is not HOST:PORT, for example gpu7.lab:8421");
  }
  return HostPort{std::move(split->host), split->port};
}

Result<std::string> to_url(std::string value) {
  const bool http = value.starts_with("http://") || value.starts_with("https://");
  const auto plain = [](unsigned char c) { return c > 0x20 && c < 0x7f && c != '"' && c != '<' && c != '>'; };
  if (!http || value.size() > 2048 || !std::all_of(value.begin(), value.end(), plain)) {
    return fail(Code::invalid, "'" + value + "' is not an http:// or https:// URL");
  }
  if (value.find('?') != std::string::npos || value.find('#') != std::string::npos) {
    return fail(Code::invalid, "'" + value + "' must not have a query or fragment");
  }
  const auto host = value.find("://") + 3;
  if (value.find('@', host) != std::string::npos) {
    return fail(Code::invalid,
                "a URL with a user name or password is not accepted: the token has its own place");
  }
  while (value.ends_with('/')) value.pop_back();
  if (value.size() <= host) return fail(Code::invalid, "the URL names no host");
  return value;
}

Result<bool> to_boolean(const std::string& value) {
  if (value == "true" || value == "on" || value == "yes" || value == "1") return true;
  if (value == "false" || value == "off" || value == "no" || value == "0") return false;
  return fail(Code::invalid, "'" + value + "' is neither true (on) nor false (off)");
}

Result<std::uint64_t> in_bounds(std::uint64_t number, const ConfigKey& key, const std::string& value) {
  if (number >= key.min && number <= key.max) return number;
  return fail(Code::invalid, "'" + value + "' is out of bounds: " + std::to_string(key.min) + " to " +
                                 std::to_string(key.max));
}

Result<std::uint64_t> to_integer(const std::string& value, const ConfigKey& key) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (value.empty() || error != std::errc{} || end != value.data() + value.size()) {
    return fail(Code::invalid, "'" + value + "' is not a whole number");
  }
  return in_bounds(number, key, value);
}

// A name that is shown to people and travels in messages.
Result<std::string> to_name(const std::string& value, std::size_t max_bytes) {
  const auto control = [](unsigned char c) { return c < 0x20 || c == 0x7f; };
  if (value.empty() || value.size() > max_bytes || std::any_of(value.begin(), value.end(), control)) {
    return fail(Code::invalid,
                "a name has 1 to " + std::to_string(max_bytes) + " bytes and no control character");
  }
  return value;
}

template <typename T, typename U>
Result<void> put(T& place, Result<U> value) {
  if (!value) return fail(std::move(value).error());
  place = static_cast<T>(std::move(*value));
  return {};
}

// A limit of a whole site that nobody means is refused: it would stop every machine.
Result<std::uint64_t> parse_site_rate(const std::string& text) {
  auto rate = parse_rate(text);
  if (rate && *rate != 0 && *rate < SiteWanLimit::kPlausible) {
    return fail(Code::invalid, "a limit for the whole site is at least 1Mbit/s, or 0 for none");
  }
  return rate;
}

constexpr std::uint64_t kNoMax = std::uint64_t{1} << 53U;
constexpr std::size_t kPeersMax = 256;  // a site has at most 200 machines

using Key = const ConfigKey&;
using Text = const std::string&;
using Context = const ValueContext&;

const std::array kTable{
    ConfigKey{.name = "state_dir",
              .option = "--state-dir",
              .environment = "SHOAL_STATE_DIR",
              .placeholder = "DIR",
              .type = KeyType::path,
              .default_text = "/var/lib/shoal (root, user shoal) or ~/.local/state/shoal",
              .help = "Where the node keeps its identity and shoal.db; one running shoald per directory.",
              .apply = [](Config& c, Key, Text v, Context x) { return put(c.state_dir, to_path(v, x)); }},
    ConfigKey{
        .name = "cache_dir",
        .option = "--cache-dir",
        .environment = "SHOAL_CACHE_DIR",
        .placeholder = "DIR",
        .type = KeyType::path,
        .default_text = "~/.cache/huggingface/hub",
        .help =
            "The Hugging Face cache that models are kept in; HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE and HF_HOME "
            "count as well, in this order.",
        .apply = [](Config& c, Key, Text v, Context x) { return put(c.cache_dir, to_path(v, x)); }},
    ConfigKey{
        .name = "api",
        .option = "--api",
        .environment = "SHOAL_API_LISTEN",
        .placeholder = "ADDR:PORT",
        .type = KeyType::address,
        .default_text = "127.0.0.1:8420",
        .help = "Where the HTTP API and the status page listen; anything but loopback needs api_token_file.",
        .apply = [](Config& c, Key, Text v, Context) { return put(c.api, to_address(v)); }},
    ConfigKey{
        .name = "api_token_file",
        .option = "--api-token-file",
        .environment = "SHOAL_API_TOKEN_FILE",
        .placeholder = "FILE",
        .type = KeyType::path,
        .default_text = "none",
        .help = "A file with the bearer token that every client of the API must send.",
        .apply = [](Config& c, Key, Text v, Context x) { return put(c.api_token_file, to_path(v, x)); }},
    ConfigKey{.name = "api_host",
              .option = "--api-host",
              .environment = "SHOAL_API_HOST",
              .placeholder = "NAME",
              .type = KeyType::text,
              .list = true,
              .default_text = "",
              .help = "A further host name that requests to the API may carry; loopback names and own "
                      "addresses always may.",
              .apply = [](Config& c, Key, Text v, Context) -> Result<void> {
                auto name = to_name(v, 253);
                if (!name) return fail(name.error());
                if (c.api_hosts.size() >= 32) return fail(Code::invalid, "there are more than 32 names");
                c.api_hosts.push_back(std::move(*name));
                return {};
              },
              .clear = [](Config& c) { c.api_hosts.clear(); }},
    ConfigKey{.name = "swarm",
              .option = "--swarm",
              .environment = "SHOAL_SWARM",
              .placeholder = "ADDR:PORT",
              .type = KeyType::address,
              .default_text = "0.0.0.0:8421",
              .help = "Where neighbours connect to (TCP, and UDP for discovery).",
              .apply = [](Config& c, Key, Text v, Context) { return put(c.swarm, to_address(v)); }},
    ConfigKey{.name = "peer",
              .option = "--peer",
              .environment = "SHOAL_PEER",
              .placeholder = "HOST:PORT",
              .type = KeyType::host_port,
              .list = true,
              .default_text = "",
              .help = "A neighbour to connect to besides those that are discovered, for sites where "
                      "multicast does not pass.",
              .apply = [](Config& c, Key, Text v, Context) -> Result<void> {
                auto peer = to_host_port(v);
                if (!peer) return fail(peer.error());
                if (c.peers.size() >= kPeersMax) return fail(Code::invalid, "there are more than 256 peers");
                c.peers.push_back(std::move(*peer));
                return {};
              },
              .clear = [](Config& c) { c.peers.clear(); }},
    ConfigKey{.name = "cluster",
              .option = "--cluster",
              .environment = "SHOAL_CLUSTER",
              .placeholder = "NAME",
              .type = KeyType::text,
              .default_text = "default",
              .help = "Only nodes with the same cluster name share files with each other.",
              .apply = [](Config& c, Key, Text v, Context) -> Result<void> {
                const auto ok = [](unsigned char ch) {
                  return (std::isalnum(ch) != 0) || ch == '.' || ch == '_' || ch == '-';
                };
                if (v.empty() || v.size() > 64 || !std::all_of(v.begin(), v.end(), ok)) {
                  return fail(Code::invalid, "a cluster name has 1 to 64 letters, digits, '.', '_' or '-'");
                }
                c.cluster = v;
                return {};
              }},
    ConfigKey{.name = "join_listen",
              .option = "--join-listen",
              .environment = "SHOAL_JOIN_LISTEN",
              .placeholder = "ADDR:PORT",
              .type = KeyType::address,
              .default_text = "0.0.0.0:8422",
              .help = "Where machines join a closed cluster; open only on the machine that `shoal cluster "
                      "invite` was run on, and only while an invitation is.",
              .apply = [](Config& c, Key, Text v, Context) { return put(c.join_listen, to_address(v)); }},
    ConfigKey{.name = "node_name",
              .option = "--node-name",
              .environment = "SHOAL_NODE_NAME",
              .placeholder = "NAME",
              .type = KeyType::text,
              .default_text = "the machine's host name",
              .help = "The name that people see for this node.",
              .apply = [](Config& c, Key, Text v,
                          Context) { return put(c.node_name, to_name(v, limits::kNodeNameBytes)); }},
    ConfigKey{.name = "lsd",
              .option = "--lsd",
              .environment = "SHOAL_LSD",
              .placeholder = "on|off",
              .type = KeyType::boolean,
              .default_text = "true",
              .help = "Whether neighbours are found by multicast (BitTorrent's local service discovery).",
              .apply = [](Config& c, Key, Text v, Context) { return put(c.lsd, to_boolean(v)); }},
    ConfigKey{.name = "hub",
              .option = "--hub",
              .environment = "SHOAL_HUB",
              .placeholder = "URL",
              .type = KeyType::url,
              .default_text = "https://huggingface.co",
              .help = "The Hub that models come from when no neighbour has them; HF_ENDPOINT counts as well.",
              .apply = [](Config& c, Key, Text v, Context) { return put(c.hub, to_url(v)); }},
    ConfigKey{.name = "origin_connections",
              .option = "--origin-connections",
              .environment = "SHOAL_ORIGIN_CONNECTIONS",
              .placeholder = "N",
              .type = KeyType::integer,
              .default_text = "16",
              .min = 1,
              .max = 128,
              .help = "How many requests to the Hub and its CDN run at once at most.",
              .apply = [](Config& c, Key k, Text v,
                          Context) { return put(c.origin_connections, to_integer(v, k)); }},
    ConfigKey{.name = "wan_rate_limit",
              .option = "--wan-rate-limit",
              .environment = "SHOAL_WAN_RATE_LIMIT",
              .placeholder = "RATE",
              .type = KeyType::rate,
              .default_text = "0",
              .max = kNoMax,
              .help = "The most this node takes from the Hub per second, for example 100Mbit/s or 12MB/s; 0 "
                      "is no limit.",
              .apply = [](Config& c, Key, Text v, Context) { return put(c.wan_rate_limit, parse_rate(v)); }},
    ConfigKey{
        .name = "site_wan_rate_limit",
        .option = "--site-wan-rate-limit",
        .environment = "SHOAL_SITE_WAN_RATE_LIMIT",
        .placeholder = "RATE",
        .type = KeyType::rate,
        .default_text = "0",
        .max = kNoMax,
        .help =
            "The most that all nodes of the cluster together take from the Hub per second; 0 is no limit. "
            "They share it by what each needs. Told to one node it holds for all while that node "
            "lives; of several the smallest holds. At least 1Mbit/s.",
        .apply = [](Config& c, Key, Text v,
                    Context) { return put(c.site_wan_rate_limit, parse_site_rate(v)); }},
    ConfigKey{
        .name = "free_space_floor",
        .option = "--free-space-floor",
        .environment = "SHOAL_FREE_SPACE_FLOOR",
        .placeholder = "SIZE",
        .type = KeyType::size,
        .default_text = "1GiB",
        .max = kNoMax,
        .help =
            "A pull that would leave less than this free on the cache's file system fails before it starts.",
        .apply = [](Config& c, Key, Text v, Context) { return put(c.free_space_floor, parse_size(v)); }},
    ConfigKey{
        .name = "cache_size_limit",
        .option = "--cache-size-limit",
        .environment = "SHOAL_CACHE_SIZE_LIMIT",
        .placeholder = "SIZE",
        .type = KeyType::size,
        .default_text = "0",
        .max = kNoMax,
        .help =
            "The most that the cache may take; to make room for a pull, models that were not used for the "
            "longest time are removed (docs/operations.md). 0 is no limit, and nothing is removed.",
        .apply = [](Config& c, Key, Text v, Context) { return put(c.cache_size_limit, parse_size(v)); }},
    ConfigKey{
        .name = "evict_for_floor",
        .option = "--evict-for-floor",
        .environment = "SHOAL_EVICT_FOR_FLOOR",
        .placeholder = "on|off",
        .type = KeyType::boolean,
        .default_text = "false",
        .help =
            "Whether models are also removed to keep free_space_floor free, without any cache_size_limit.",
        .apply = [](Config& c, Key, Text v, Context) { return put(c.evict_for_floor, to_boolean(v)); }},
    ConfigKey{
        .name = "evict_last_copies",
        .option = "--evict-last-copies",
        .environment = "SHOAL_EVICT_LAST_COPIES",
        .placeholder = "on|off",
        .type = KeyType::boolean,
        .default_text = "false",
        .help = "Whether a model may be removed that no neighbour keeps, so that the next one who wants it "
                "has to "
                "get it from the Hub.",
        .apply = [](Config& c, Key, Text v, Context) { return put(c.evict_last_copies, to_boolean(v)); }},
    ConfigKey{.name = "proc_dir",
              .option = "--proc-dir",
              .environment = "SHOAL_PROC_DIR",
              .placeholder = "DIR",
              .type = KeyType::path,
              .default_text = "/proc",
              .help =
                  "Where /proc is read to measure this machine's load: for containers that see the host's "
                  "elsewhere, and for tests.",
              .apply = [](Config& c, Key, Text v, Context x) { return put(c.proc_dir, to_path(v, x)); }},
    ConfigKey{.name = "sys_dir",
              .option = "--sys-dir",
              .environment = "SHOAL_SYS_DIR",
              .placeholder = "DIR",
              .type = KeyType::path,
              .default_text = "/sys",
              .help = "The same for /sys.",
              .apply = [](Config& c, Key, Text v, Context x) { return put(c.sys_dir, to_path(v, x)); }},
    ConfigKey{
        .name = "log_level",
        .option = "--log-level",
        .environment = "SHOAL_LOG_LEVEL",
        .placeholder = "LEVEL",
        .type = KeyType::choice,
        .default_text = "info",
        .choices = "debug|info|warning|error",
        .help = "The least important message that is logged.",
        .apply = [](Config& c, Key, Text v, Context) -> Result<void> {
          for (const LogLevel level : {LogLevel::debug, LogLevel::info, LogLevel::warning, LogLevel::error}) {
            if (v != to_string(level)) continue;
            c.log_level = level;
            return {};
          }
          return fail(Code::invalid, "'" + v + "' is none of debug, info, warning, error");
        }},
    ConfigKey{.name = "log_format",
              .option = "--log-format",
              .environment = "SHOAL_LOG_FORMAT",
              .placeholder = "FORMAT",
              .type = KeyType::choice,
              .default_text = "plain",
              .choices = "plain|journal",
              .help = "How lines on stderr look: plain with time and level, or journal for systemd.",
              .apply = [](Config& c, Key, Text v, Context) -> Result<void> {
                if (v != "plain" && v != "journal") {
                  return fail(Code::invalid, "'" + v + "' is neither plain nor journal");
                }
                c.log_format = v == "plain" ? LogFormat::plain : LogFormat::journal;
                return {};
              }},
};

}  // namespace

std::string_view to_string(KeyType type) {
  switch (type) {
    case KeyType::text:
      return "text";
    case KeyType::path:
      return "path";
    case KeyType::address:
      return "ADDR:PORT";
    case KeyType::host_port:
      return "HOST:PORT";
    case KeyType::url:
      return "URL";
    case KeyType::size:
      return "size";
    case KeyType::rate:
      return "rate";
    case KeyType::integer:
      return "number";
    case KeyType::boolean:
      return "true or false";
    case KeyType::choice:
      return "one of";
  }
  return "text";
}

std::span<const ConfigKey> config_table() {
  return kTable;
}

}  // namespace shoal
