#include "tests/sim/command_line.h"

#include <charconv>
#include <cstdlib>
#include <functional>
#include <iomanip>
#include <sstream>

namespace shoal::sim {
namespace {

std::string number(double value) {
  std::ostringstream out;
  out << std::setprecision(15) << value;
  return out.str();
}

// "3@12.5,4@20": node 3 at 12.5 s, node 4 at 20 s.
bool parse_events(const std::string& text, std::vector<std::pair<int, double>>& out) {
  std::istringstream in(text);
  std::string part;
  out.clear();
  while (std::getline(in, part, ',')) {
    const auto mark = part.find('@');
    const double at = mark == std::string::npos ? 0 : parse_quantity(part.substr(mark + 1));
    const double node = parse_quantity(part.substr(0, mark));
    if (node < 0 || at < 0) return false;
    out.emplace_back(static_cast<int>(node), at);
  }
  return true;
}

struct Key {
  const char* name;
  const char* help;
  std::function<std::string(const Options&)> show;  // empty: as the default
  std::function<bool(Options&, const std::string&)> take;
};

template <typename T>
Key plain(const char* name, T Options::*field, const char* help) {
  return {name, help,
          [field](const Options& o) {
            return o.*field == Options{}.*field ? std::string() : number(static_cast<double>(o.*field));
          },
          [field](Options& o, const std::string& text) {
            const double value = parse_quantity(text);
            if (value < 0) return false;
            o.*field = static_cast<T>(value);
            return true;
          }};
}

Key events(const char* name, std::vector<NodeEvent> Options::*field, const char* help) {
  return {name, help,
          [field](const Options& o) {
            std::string text;
            for (const NodeEvent& e : o.*field) {
              text += (text.empty() ? "" : ",") + std::to_string(e.node) + "@" + number(e.at_s);
            }
            return text;
          },
          [field](Options& o, const std::string& text) {
            std::vector<std::pair<int, double>> pairs;
            if (!parse_events(text, pairs)) return false;
            (o.*field).clear();
            for (const auto& [node, at] : pairs) (o.*field).push_back({node, at});
            return true;
          }};
}

Key numbers(const char* name, std::vector<int> Options::*field, const char* help) {
  return {name, help,
          [field](const Options& o) {
            std::string text;
            for (const int n : o.*field) text += (text.empty() ? "" : ",") + std::to_string(n);
            return text;
          },
          [field](Options& o, const std::string& text) {
            std::vector<std::pair<int, double>> pairs;
            if (!parse_events(text, pairs)) return false;
            (o.*field).clear();
            for (const auto& [node, at] : pairs) (o.*field).push_back(node);
            return true;
          }};
}

Key limit(const char* name, int Scheduler::Limits::*field, const char* help) {
  return {name, help,
          [field](const Options& o) {
            return o.limits.*field == Scheduler::Limits{}.*field ? std::string()
                                                                 : std::to_string(o.limits.*field);
          },
          [field](Options& o, const std::string& text) {
            const double value = parse_quantity(text);
            if (value < 1) return false;
            o.limits.*field = static_cast<int>(value);
            return true;
          }};
}

Key flag(const char* name, bool Options::*field, const char* help) {
  return {name, help,
          [field](const Options& o) { return o.*field == Options{}.*field ? ""
                                             : o.*field                   ? "1"
                                                                          : "0"; },
          [field](Options& o, const std::string& text) {
            o.*field = text != "0";
            return text == "0" || text == "1";
          }};
}

const std::vector<Key>& keys() {
  static const std::vector<Key> all = {
      plain("rng-seed", &Options::rng_seed, "repeats a run"),
      plain("nodes", &Options::nodes, "how many machines"),
      plain("files", &Options::files, "large files"),
      plain("size", &Options::size, "of all large files together, e.g. 256MiB"),
      plain("small-files", &Options::small_files, "files of 1 to 64 KiB beside them"),
      plain("wan", &Options::wan_bytes_per_s, "the site's line, e.g. 100Mbit"),
      plain("lan", &Options::lan_bytes_per_s, "each node's link, each way"),
      plain("lan-max", &Options::lan_max_bytes_per_s,
            "above 0: each node's link is drawn between --lan and this"),
      plain("connection-min", &Options::connection_min_bytes_per_s, "slowest origin connection"),
      plain("connection-max", &Options::connection_max_bytes_per_s, "fastest origin connection"),
      plain("request-min", &Options::request_min_s, "seconds to the first byte, least"),
      plain("request-max", &Options::request_max_s, "seconds to the first byte, most"),
      plain("end-requests", &Options::end_requests,
            "pieces under way of a neighbour that is asked a second time, below"),
      plain("start-spread", &Options::start_spread_s, "pulls begin within so many seconds"),
      plain("seeds", &Options::seeds, "the first so many nodes hold everything"),
      plain("stagger", &Options::stagger_s, "seconds between one pull's begin and the next"),
      plain("deaths-per-minute", &Options::deaths_per_minute,
            "0.01: one machine of a hundred is switched off"),
      events("kill", &Options::killed, "NODE@SECONDS,... switched off"),
      events("restart", &Options::restarted, "NODE@SECONDS,... killed, back 3 s later"),
      events("hang", &Options::hung, "NODE@SECONDS,... origin bytes stop, heartbeats go on"),
      events("busy", &Options::marked_busy, "NODE@SECONDS,... marked busy"),
      {"slow", "NODE@FACTOR,... LAN link so many times slower",
       [](const Options& o) {
         std::string text;
         for (const SlowNode& s : o.slow)
           text += (text.empty() ? "" : ",") + std::to_string(s.node) + "@" + number(s.factor);
         return text;
       },
       [](Options& o, const std::string& text) {
         std::vector<std::pair<int, double>> pairs;
         if (!parse_events(text, pairs)) return false;
         o.slow.clear();
         for (const auto& [node, factor] : pairs) o.slow.push_back({node, factor});
         return true;
       }},
      numbers("hash-liars", &Options::hash_liars, "NODE,... tell and serve wrong pieces"),
      numbers("byte-liars", &Options::byte_liars, "NODE,... serve bytes that do not match"),
      plain("origin-5xx", &Options::origin_5xx, "chance per request"),
      plain("origin-429", &Options::origin_429, "chance per request"),
      plain("origin-stall", &Options::origin_stall, "chance per request"),
      plain("origin-cut", &Options::origin_cut, "chance per request"),
      plain("origin-wrong", &Options::origin_wrong, "chance per piece"),
      plain("faults-until", &Options::faults_until_s, "seconds; after that the origin is well"),
      plain("round", &Options::round_s, "above 0: the large model, in rounds of so many seconds"),
      plain("threads", &Options::threads, "of the large model; 0: one a core"),
      limit("loaded-segments", &Scheduler::Limits::loaded_segments, "fetched from neighbours at once"),
      limit("fetchers-per-holder", &Scheduler::Limits::fetchers_per_holder,
            "nodes that fetch one segment from one holder"),
      limit("dials-per-segment", &Scheduler::Limits::dials_per_segment, "neighbours that fetch it as well"),
      plain("deadline", &Options::deadline_s, "seconds by which all must be done"),
      plain("wan-factor-max", &Options::wan_factor_max, "checked: origin bytes / size"),
      plain("time-factor-max", &Options::time_factor_max, "checked: time / T_min"),
      plain("claimants-max", &Options::claimants_max, "checked: nodes that fetch one piece at once"),
      flag("claims-lapse", &Options::claims_lapse, "0: a mutation that the checkers must report"),
      flag("claims-settle", &Options::claims_settle, "0: a mutation that the checkers must report"),
      flag("publisher-checked", &Options::publisher_checked, "0: a mutation that the checkers must report"),
      flag("pieces-checked", &Options::pieces_checked, "0: a mutation that the checkers must report"),
  };
  return all;
}

}  // namespace

double parse_quantity(const std::string& text) {
  double value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{}) return -1;
  const std::string unit(end, text.data() + text.size());
  if (unit.empty()) return value;
  if (unit == "KiB") return value * static_cast<double>(kKiB);
  if (unit == "MiB") return value * static_cast<double>(kMiB);
  if (unit == "GiB") return value * static_cast<double>(kGiB);
  if (unit == "TiB") return value * static_cast<double>(kGiB) * 1024;
  if (unit == "Mbit") return value * kMbit;
  if (unit == "Gbit") return value * kMbit * 1000;
  return -1;
}

std::string command_line(const Options& options) {
  std::string line = "tools/simulate";
  for (const Key& key : keys()) {
    const std::string value = key.show(options);
    if (!value.empty() || std::string(key.name) == "rng-seed") {
      line += std::string(" --") + key.name + " " +
              (value.empty() ? number(static_cast<double>(options.rng_seed)) : value);
    }
  }
  return line;
}

std::string parse(const std::vector<std::string>& arguments, Options& options) {
  for (std::size_t i = 0; i < arguments.size(); i += 2) {
    bool taken = false;
    for (const Key& key : keys()) {
      if (arguments[i] != std::string("--") + key.name) continue;
      if (i + 1 >= arguments.size()) return arguments[i] + " needs a value";
      if (!key.take(options, arguments[i + 1]))
        return arguments[i] + " does not take \"" + arguments[i + 1] + "\"";
      taken = true;
    }
    if (!taken) return "there is no option " + arguments[i];
  }
  return {};
}

std::string usage() {
  std::ostringstream out;
  for (const Key& key : keys()) out << "  --" << std::left << std::setw(18) << key.name << key.help << "\n";
  return out.str();
}

}  // namespace shoal::sim
