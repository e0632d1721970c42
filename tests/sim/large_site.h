// A site of up to some thousand nodes that load terabytes: the production schedulers, and a model of
// everything around them that advances in rounds of a tenth of a second instead of from event to event.
//
// What a round does, in this order:
// - The origin: all requests share the line max-min fairly, each with its connection's own cap; pieces land.
// - The swarm: each node takes pieces from the neighbours its torrents are connected to, rare ones first,
// from the
//   sender that has most of its link to spare. Every link's bytes are counted against what it can carry in a
//   round; a piece may begin in one round and be paid for in the next. What came in one round is offered from
//   the next on.
// - The loop: messages of the last round are delivered, then every node that heard anything decides once.
//
// So a message, a connection and a hop of a piece each take a round, hundreds of times longer than on a LAN.
// What is not modelled: heartbeats, lies, faults of the origin, loads, restarts. docs/simulator.md says what
// that means.
#pragma once

#include "tests/sim/options.h"
#include "tests/sim/report.h"

namespace shoal::sim {

// REQUIRES: options.round_s > 0.
[[nodiscard]] Report run_large_site(const Options& options);

}  // namespace shoal::sim
