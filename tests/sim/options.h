// What one simulated run is made of. Every field can be set on the command line of tools/simulate
// (command_line.h), so that any run, also a drawn one, can be repeated by one line.
#pragma once

#include "node/core/geometry.h"
#include "node/core/scheduler.h"
#include "tests/sim/random.h"

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

namespace shoal::sim {

inline constexpr double kBitsPerByte = 8;
inline constexpr double kMbit = 1e6 / kBitsPerByte;  // bytes per second

// Something that happens to one node at one time; times are seconds after the first pull.
struct NodeEvent {
  int node = 0;
  double at_s = 0;
};
struct SlowNode {
  int node = 0;
  double factor = 1;  // its LAN link is so many times slower
};

struct Options {
  std::string name = "custom";
  std::uint64_t rng_seed = 1;

  int nodes = 8;
  int files = 8;
  std::uint64_t size = 256 * kMiB;  // of all files together
  int small_files = 0;              // of 1 to 64 KiB each, beside `size`

  double wan_bytes_per_s = 100 * kMbit;  // of the whole site
  double lan_bytes_per_s = 400 * kMbit;  // of each node, each way
  double lan_max_bytes_per_s = 0;        // above 0: each node's link is drawn between the two
  // One origin connection is as fast as this at most, drawn anew for each connection.
  double connection_min_bytes_per_s = 10 * kMbit;
  double connection_max_bytes_per_s = 100 * kMbit;
  double request_min_s = 0.005;
  double request_max_s = 0.030;
  double lan_delay_s = 0.00015;  // one way
  double torrent_connect_min_s = 0.030;
  double torrent_connect_max_s = 0.060;
  double turn_s = 0.001;            // a node's loop gathers facts for so long
  double hash_bytes_per_s = 500e6;  // hashing and writing a piece
  // A piece that is requested already is requested of a second neighbour while fewer than so many are under
  // way from that one.
  int end_requests = 2;
  double start_spread_s = 0.050;  // nodes begin their pull within so long

  int seeds = 0;                     // the first so many nodes hold everything already
  double stagger_s = 0;              // node i begins its pull i times so long later
  double deaths_per_minute = 0;      // the part of the machines that is switched off, at drawn times
  std::vector<NodeEvent> killed;     // the machine is switched off
  std::vector<NodeEvent> restarted;  // kill -9, and back 3 s later with what was durable
  std::vector<NodeEvent> hung;       // heartbeats go on, origin bytes stop
  std::vector<NodeEvent> marked_busy;
  std::vector<SlowNode> slow;
  std::vector<int> hash_liars;  // fetch right bytes, tell and serve others
  std::vector<int> byte_liars;  // serve bytes that do not match the hash

  // Faults of the origin, each a chance per request, until `faults_until_s`.
  double origin_5xx = 0;
  double origin_429 = 0;
  double origin_stall = 0;
  double origin_cut = 0;
  double origin_wrong = 0;  // wrong bytes of the right length
  double faults_until_s = 0;

  // Above 0: the large model (large_site.h), which advances by so many seconds at a time.
  double round_s = 0;
  int threads = 0;                   // of the large model; 0: one a core. The result does not depend on it
  double deadline_s = 3600;          // everyone who lives must be done by then
  double wan_factor_max = 1e9;       // checked: WAN bytes / size
  double time_factor_max = 1e9;      // checked: time / T_min
  int claimants_max = 2;             // checked: nodes that fetch one piece at the same time
  bool claims_lapse = true;          // false: a mutation that the checkers must catch
  bool claims_settle = true;         // false: the same; crossing claims are not told
  bool publisher_checked = true;     // false: the same; a blob is published without comparing its hash
  bool pieces_checked = true;        // false: the same; pieces of neighbours are taken as they come
  bool byte_liars_are_known = true;  // false: the checker takes them for honest and must report their bans
  Scheduler::Limits limits;
};

// One node's link, and when it is switched off (seconds; past every deadline: never).
[[nodiscard]] inline double draw_lan(const Options& options, Random& random) {
  if (options.lan_max_bytes_per_s <= 0) return options.lan_bytes_per_s;
  return random.log_between(options.lan_bytes_per_s, options.lan_max_bytes_per_s);
}
[[nodiscard]] inline double draw_death(const Options& options, Random& random) {
  if (options.deaths_per_minute <= 0) return 1e12;
  return -std::log(1 - random.unit()) * 60 / options.deaths_per_minute;
}

}  // namespace shoal::sim
