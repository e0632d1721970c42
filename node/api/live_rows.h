// The larger answers made from one snapshot: the progress frame and the piece map of a pull.
#pragma once

#include "node/core/status.h"

#include <optional>
#include <string>

#include <nlohmann/json_fwd.hpp>

namespace shoal {

// What changes every second: load, running and just ended pulls, neighbours that are alive.
[[nodiscard]] nlohmann::ordered_json progress_json(const StatusSnapshot& snapshot);
// The same as a frame of server-sent events.
[[nodiscard]] std::string progress_frame(const StatusSnapshot& snapshot);

// Where the pieces of a pull's files are; nullopt: the snapshot does not know the pull.
// Neighbouring files of the same state without a map of their own are one row, so that the answer stays small
// for pulls of any number of files.
[[nodiscard]] std::optional<nlohmann::ordered_json> pieces_json(const StatusSnapshot& snapshot, PullId id);

}  // namespace shoal
