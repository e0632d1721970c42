// Named runs: those of docs/simulator.md and those that once failed.
#pragma once

#include "tests/sim/options.h"

#include <cstdint>
#include <vector>

namespace shoal::sim {

// The table of docs/simulator.md, each with the bounds it has to keep.
[[nodiscard]] std::vector<Options> named_scenarios();
// A small site with weather of its own: nodes, sizes, faults, deaths and lies are drawn from the seed.
[[nodiscard]] Options drawn_scenario(std::uint64_t rng_seed);

}  // namespace shoal::sim
