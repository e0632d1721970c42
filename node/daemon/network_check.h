// Whether neighbours can find and reach this machine: part of `shoal doctor`.
//
// Threads: any; opens sockets and waits up to a second, so not the loop. What is sent does not leave the
// machine.
#pragma once

#include "node/api/api_backend.h"
#include "node/core/messages.h"

#include <string>

namespace shoal {

// Sends a datagram to the discovery group and looks whether it comes back: a firewall or an interface that
// does not take part in multicast swallows it. `lsd`: whether discovery is on.
[[nodiscard]] DoctorCheck check_multicast(bool lsd);
// Connects to the port where neighbours connect. A wildcard address stands for the one that discovery tells
// others.
[[nodiscard]] DoctorCheck check_swarm_port(const Endpoint& swarm);

}  // namespace shoal
