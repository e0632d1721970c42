// The node's metrics in Prometheus' text format, made from one status snapshot.
//
// Names follow Prometheus' rules: base units in the name, `_total` for what only grows. Labels take a few
// fixed values each and never the name of a repo, a file or a neighbour: a site of 200 nodes with 10,000
// files stays at about 50 series per node. Details are in SQL and the API.
#pragma once

#include "node/core/status.h"

#include <string>

namespace shoal {

[[nodiscard]] std::string metrics_text(const StatusSnapshot& snapshot);

}  // namespace shoal
