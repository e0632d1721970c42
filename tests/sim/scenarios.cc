#include "tests/sim/scenarios.h"

#include "tests/sim/random.h"

#include <string>
#include <utility>

namespace shoal::sim {

std::vector<Options> named_scenarios() {
  std::vector<Options> all;
  const auto add = [&](std::string name, double time_factor_max, double wan_factor_max, auto set) {
    Options o;
    o.name = std::move(name);
    o.time_factor_max = time_factor_max;
    o.wan_factor_max = wan_factor_max;
    o.deadline_s = 600;
    set(o);
    all.push_back(o);
  };
  add("cold_8_files", 1.10, 1.02, [](Options&) {});
  add("cold_1_file", 1.15, 1.02, [](Options& o) { o.files = 1; });
  add("cold_n1", 1.10, 1.02, [](Options& o) { o.nodes = 1; });
  add("cold_n2", 1.10, 1.02, [](Options& o) { o.nodes = 2; });
  add("cold_n4", 1.10, 1.02, [](Options& o) { o.nodes = 4; });
  add("cold_n16", 1.10, 1.02, [](Options& o) { o.nodes = 16; });
  add("cold_1_file_n16", 1.15, 1.02, [](Options& o) {
    o.files = 1;
    o.nodes = 16;
  });
  add("cold_uneven_connections", 1.15, 1.03, [](Options& o) {
    o.connection_min_bytes_per_s = 1 * kMbit;
    o.connection_max_bytes_per_s = 40 * kMbit;
  });
  add("cold_with_small_files", 1.12, 1.02, [](Options& o) { o.small_files = 12; });
  add("warm_1_seed_7_others", 1.15, 0.0001, [](Options& o) { o.seeds = 1; });
  add("warm_2_seeds_6_others", 1.25, 0.0001, [](Options& o) { o.seeds = 2; });
  add("staggered_5s", 1e9, 1.05, [](Options& o) { o.stagger_s = 5; });
  add("one_killed", 1.25, 1.05, [](Options& o) { o.killed = {{3, 10}}; });
  add("one_restarted", 1.25, 1.05, [](Options& o) { o.restarted = {{3, 10}}; });
  add("one_slow_lan", 1e9, 1.05, [](Options& o) { o.slow = {{3, 10}}; });
  add("one_hung", 1.40, 1.05, [](Options& o) { o.hung = {{3, 8}}; });
  add("one_busy", 1.15, 1.02, [](Options& o) { o.marked_busy = {{3, 3}}; });
  add("one_hash_liar", 1.4, 1.6, [](Options& o) { o.hash_liars = {3}; });
  add("one_byte_liar", 1.4, 1.3, [](Options& o) { o.byte_liars = {3}; });
  add("bad_origin", 3, 1.3, [](Options& o) {
    o.origin_5xx = o.origin_cut = o.origin_stall = 0.02;
    o.origin_429 = 0.01;
    o.faults_until_s = 15;
    o.claimants_max = 3;
  });
  return all;
}

std::vector<Options> large_scenarios() {
  std::vector<Options> all;
  const auto add = [&](std::string name, int nodes, int files, std::uint64_t size) {
    Options o;
    o.name = std::move(name);
    o.nodes = nodes;
    o.files = files;
    o.size = size;
    o.lan_bytes_per_s = 150 * kMbit;
    o.lan_max_bytes_per_s = 1000 * kMbit;
    o.deaths_per_minute = 0.01;
    o.start_spread_s = 1;
    o.time_factor_max = 1.15;
    o.wan_factor_max = 1.05;
    all.push_back(o);
  };
  add("unequal_10", 10, 8, 2048 * kMiB);
  add("unequal_100", 100, 1, 256 * kMiB);
  add("unequal_100_8_files", 100, 8, 256 * kMiB);
  for (const int nodes : {10, 100, 1000}) {
    Options o;
    o.name = "large_" + std::to_string(nodes);
    o.nodes = nodes;
    o.files = 1;
    o.size = 1024 * kGiB;
    o.wan_bytes_per_s = 10'000 * kMbit;
    o.lan_bytes_per_s = 15'000 * kMbit;
    o.lan_max_bytes_per_s = 100'000 * kMbit;
    o.connection_min_bytes_per_s = 100 * kMbit;
    o.connection_max_bytes_per_s = 1000 * kMbit;
    o.deaths_per_minute = 0.01;
    o.round_s = 0.2;
    // While a thousand begin within 3 s, a claim needs two rounds to reach who begins.
    if (nodes == 1000) o.claimants_max = 6;
    o.start_spread_s = 3;
    o.time_factor_max = 1.15;
    o.wan_factor_max = 1.05;
    all.push_back(o);
  }
  return all;
}

Options drawn_scenario(std::uint64_t rng_seed) {
  Random random(rng_seed * 7919 + 1);
  Options o;
  o.name = "drawn";
  o.rng_seed = rng_seed;
  o.nodes = 2 + static_cast<int>(random.below(5));
  o.files = 1 + static_cast<int>(random.below(3));
  o.size = static_cast<std::uint64_t>(random.log_between(2, 40)) * kMiB * static_cast<std::uint64_t>(o.files);
  o.size += random.below(kMiB);
  o.small_files = static_cast<int>(random.below(4));
  o.wan_bytes_per_s = random.log_between(20, 400) * kMbit;
  o.lan_bytes_per_s = random.log_between(100, 1000) * kMbit;
  o.connection_min_bytes_per_s = random.log_between(1, 10) * kMbit;
  o.connection_max_bytes_per_s = o.connection_min_bytes_per_s * random.log_between(1, 10);
  o.request_max_s = random.log_between(0.01, 0.2);
  o.start_spread_s = random.between(0, 3);
  o.claimants_max = 3;
  o.deadline_s = 900;
  const auto some_node = [&] { return static_cast<int>(random.below(static_cast<std::uint64_t>(o.nodes))); };
  if (random.chance(0.2)) o.seeds = 1;
  // Node 0 stays well, so that there is always someone who must finish.
  const auto victim = [&] {
    return 1 + static_cast<int>(random.below(static_cast<std::uint64_t>(o.nodes) - 1));
  };
  if (random.chance(0.3)) o.killed = {{victim(), random.between(0, 20)}};
  if (random.chance(0.3)) o.restarted = {{victim(), random.between(0, 20)}};
  if (random.chance(0.2)) o.hung = {{victim(), random.between(0, 10)}};
  if (random.chance(0.2)) o.marked_busy = {{some_node(), random.between(0, 10)}};
  if (random.chance(0.2)) o.slow = {{some_node(), random.log_between(2, 20)}};
  if (random.chance(0.2)) o.hash_liars = {victim()};
  if (random.chance(0.2)) o.byte_liars = {victim()};
  if (random.chance(0.5)) {
    o.faults_until_s = random.between(1, 30);
    o.origin_5xx = random.chance(0.5) ? random.log_between(0.001, 0.1) : 0;
    o.origin_429 = random.chance(0.3) ? random.log_between(0.001, 0.1) : 0;
    o.origin_stall = random.chance(0.3) ? random.log_between(0.001, 0.1) : 0;
    o.origin_cut = random.chance(0.3) ? random.log_between(0.001, 0.1) : 0;
    o.origin_wrong = random.chance(0.2) ? random.log_between(0.001, 0.02) : 0;
  }
  return o;
}

}  // namespace shoal::sim
