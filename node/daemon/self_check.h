// What a node can find out about its surroundings without asking anybody: part of `shoal doctor`.
//
// Threads: any; opens sockets and reads files, so not the loop. No packet leaves the machine.
#pragma once

#include "node/api/api_backend.h"
#include "node/core/messages.h"

#include <vector>

namespace shoal {

// The port where neighbours connect, multicast to the discovery group, the clock, open files.
[[nodiscard]] std::vector<DoctorCheck> check_surroundings(bool lsd, const Endpoint& swarm);
// What the Hub's answer to a question about a repo that does not exist says of the way to it.
[[nodiscard]] DoctorCheck judge_hub(const std::string& hub, bool has_token, const Result<void>& answer);

}  // namespace shoal
