// The node's rows as JSON. Field names are the column names of the SQL views (storage/sql/schema/views.sql),
// and what is NULL there is null here.
#pragma once

#include "node/api/api_backend.h"
#include "node/core/status.h"

#include <string>

#include <nlohmann/json_fwd.hpp>

namespace shoal {

// "2026-11-21T04:00:01.123Z"; null for 0.
[[nodiscard]] nlohmann::ordered_json time_json(WallTime time);

[[nodiscard]] nlohmann::ordered_json to_json(const FileStatus& file, WallTime updated_at);
[[nodiscard]] nlohmann::ordered_json to_json(const PullStatus& pull);
[[nodiscard]] nlohmann::ordered_json to_json(const PeerStatus& peer);
[[nodiscard]] nlohmann::ordered_json to_json(const EventRow& event);
[[nodiscard]] nlohmann::ordered_json to_json(const Holding& holding);
[[nodiscard]] nlohmann::ordered_json to_json(const JobStatus& job);
[[nodiscard]] nlohmann::ordered_json to_json(const NodeInfo& info);
[[nodiscard]] nlohmann::ordered_json to_json(const DeviceLoad& load);
[[nodiscard]] nlohmann::ordered_json to_json(const RepoSummary& repo);
[[nodiscard]] nlohmann::ordered_json to_json(const RateSample& sample);

// Bytes that are not UTF-8 (a file name may have them) become U+FFFD.
[[nodiscard]] std::string dump(const nlohmann::ordered_json& json);

}  // namespace shoal
