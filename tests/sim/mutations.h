// Schedulers and nodes that are broken on purpose, one idea each: the checkers must report every one of them.
#pragma once

#include "tests/sim/options.h"

#include <functional>
#include <string>
#include <vector>

namespace shoal::sim {

struct Mutation {
  std::string name;
  std::string scenario;  // of named_scenarios()
  std::function<void(Options&)> break_it;
  std::string reported;  // part of what a checker must say
};

[[nodiscard]] std::vector<Mutation> mutations();

}  // namespace shoal::sim
