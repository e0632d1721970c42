// Named runs: those of docs/simulator.md and those that once failed.
#pragma once

#include "tests/sim/options.h"

#include <cstdint>
#include <vector>

namespace shoal::sim {

// The table of docs/simulator.md, each with the bounds it has to keep.
[[nodiscard]] std::vector<Options> named_scenarios();
// Unequal links and deaths: event by event with up to 100 nodes, and a terabyte in rounds with up to 1,000.
[[nodiscard]] std::vector<Options> large_scenarios();
// A small site with weather of its own: nodes, sizes, faults, deaths and lies are drawn from the seed.
[[nodiscard]] Options drawn_scenario(std::uint64_t rng_seed);

}  // namespace shoal::sim
