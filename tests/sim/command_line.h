// Options as one command line and back: what a failing run prints repeats it.
#pragma once

#include "tests/sim/options.h"

#include <string>
#include <vector>

namespace shoal::sim {

// The line that repeats the run.
[[nodiscard]] std::string command_line(const Options& options);
// Takes `--key value` pairs; an error sentence, empty when all went well. Begins from what `options` holds.
[[nodiscard]] std::string parse(const std::vector<std::string>& arguments, Options& options);
// "256MiB", "100Mbit" (per second), "0.5": the number in bytes, bytes per second or as it stands; below 0:
// not a number.
[[nodiscard]] double parse_quantity(const std::string& text);
// One line per option.
[[nodiscard]] std::string usage();

}  // namespace shoal::sim
