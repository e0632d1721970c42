// Runs the simulator from the command line and prints one row per run.
//
//   simulate                          the named scenarios
//   simulate --scenario cold_8_files [--runs 3] [--KEY VALUE]...
//   simulate --nodes 8 --size 256MiB --files 8 --wan 100Mbit --lan 400Mbit --rng-seed 1 ...
//   simulate --large                  unequal links and deaths: up to 1,000 nodes and a terabyte
//   simulate --drawn 1..300           small sites with weather of their own
//
// Exit status: 0 all checks held, 1 a check failed, 2 wrong usage.
#include "tests/sim/command_line.h"
#include "tests/sim/scenarios.h"
#include "tests/sim/site.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

namespace {

using shoal::sim::Options;

bool run_one(const Options& options, bool verbose) {
  const auto started = std::chrono::steady_clock::now();
  const std::clock_t began = std::clock();
  const shoal::sim::Report report = shoal::sim::run_site(options);
  const double cpu = static_cast<double>(std::clock() - began) / CLOCKS_PER_SEC;
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - started;
  std::printf("%-26s %5d %8.2f %8.2f %7.3f %8.2f %7.3f %6llu %9llu %7.2f %7.2f%s\n", options.name.c_str(),
              options.nodes, report.t_min_s, report.last_s, report.time_factor(), report.undisturbed_last_s,
              report.wan_factor(), static_cast<unsigned long long>(report.bans),
              static_cast<unsigned long long>(report.messages), cpu, wall.count(),
              report.violations.empty() ? "" : "  FAILED");
  if (verbose) {
    for (std::size_t i = 0; i < report.finished_s.size() && report.finished_s.size() <= 100; ++i) {
      std::printf(
          "    node %2zu: %8.2f s after its pull began, %8.2f MiB from the origin, %8.2f MiB to neighbours\n",
          i, report.finished_s[i], static_cast<double>(report.fetched[i]) / static_cast<double>(shoal::kMiB),
          static_cast<double>(report.served[i]) / static_cast<double>(shoal::kMiB));
    }
    std::printf(
        "    from the origin: %.3f of the size in parts of pieces thrown away, %.3f in pieces fetched "
        "before\n",
        static_cast<double>(report.cut_bytes) / static_cast<double>(report.size),
        static_cast<double>(report.twice_bytes) / static_cast<double>(report.size));
    std::printf("    %llu decisions, %llu events, %d deaths, LAN bytes / size %.3f\n",
                static_cast<unsigned long long>(report.decides),
                static_cast<unsigned long long>(report.events), report.deaths,
                static_cast<double>(report.lan_bytes) / static_cast<double>(report.size));
  }
  if (verbose) {
    int s = 0;
    for (const auto& second : report.by_second) {
      std::printf("    second %3d: line %3.0f %%, nodes have %5.1f %% of the bytes, the last one %5.1f %%\n",
                  ++s, 100 * second.wan_bytes / options.wan_bytes_per_s, 100 * second.have_mean,
                  100 * second.have_least);
    }
  }
  for (const std::string& violation : report.violations) std::printf("    %s\n", violation.c_str());
  if (!report.violations.empty()) std::printf("    again: %s\n", shoal::sim::command_line(options).c_str());
  std::fflush(stdout);
  return report.violations.empty();
}

void header() {
  std::printf("%-26s %5s %8s %8s %7s %8s %7s %6s %9s %7s %7s\n", "scenario", "nodes", "T_min/s", "T/s",
              "T/T_min", "others/s", "WAN/S", "bans", "messages", "CPU/s", "wall/s");
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> arguments(argv + 1, argv + argc);
  std::string scenario;
  std::string drawn;
  int runs = 1;
  bool verbose = false;
  const auto take = [&](const char* name) -> std::string {
    const auto it = std::ranges::find(arguments, name);
    if (it == arguments.end() || it + 1 == arguments.end()) return {};
    std::string value = *(it + 1);
    arguments.erase(it, it + 2);
    return value;
  };
  if (std::erase(arguments, "--verbose") > 0) verbose = true;
  const bool large = std::erase(arguments, "--large") > 0;
  if (std::erase(arguments, "--help") > 0) {
    std::cout
        << "simulate [--scenario NAME] [--large] [--runs N] [--drawn A..B] [--verbose] [--KEY VALUE]...\n"
        << shoal::sim::usage();
    return 0;
  }
  scenario = take("--scenario");
  drawn = take("--drawn");
  if (const std::string text = take("--runs"); !text.empty())
    runs = static_cast<int>(shoal::sim::parse_quantity(text));

  std::vector<Options> all;
  if (!drawn.empty()) {
    const auto dots = drawn.find("..");
    const auto first = static_cast<std::uint64_t>(shoal::sim::parse_quantity(drawn.substr(0, dots)));
    const auto last = dots == std::string::npos
                          ? first
                          : static_cast<std::uint64_t>(shoal::sim::parse_quantity(drawn.substr(dots + 2)));
    for (std::uint64_t i = first; i <= last; ++i) all.push_back(shoal::sim::drawn_scenario(i));
  } else if (scenario.empty() && !large && !arguments.empty()) {
    all.emplace_back();
  } else {
    std::vector<Options> known = shoal::sim::large_scenarios();
    if (!large) std::ranges::copy(shoal::sim::named_scenarios(), std::back_inserter(known));
    for (const Options& o : known) {
      if (scenario == o.name || (scenario.empty() && (large || o.deaths_per_minute <= 0))) all.push_back(o);
    }
    if (all.empty()) {
      std::cerr << "there is no scenario " << scenario << "\n";
      return 2;
    }
  }
  header();
  bool well = true;
  for (Options options : all) {
    if (const std::string error = shoal::sim::parse(arguments, options); !error.empty()) {
      std::cerr << error << "\n" << shoal::sim::usage();
      return 2;
    }
    for (int run = 0; run < runs; ++run) {
      well = run_one(options, verbose) && well;
      ++options.rng_seed;
    }
  }
  return well ? 0 : 1;
}
