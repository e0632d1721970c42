#include "node/api/live_rows.h"

#include "node/api/json_rows.h"
#include "node/core/geometry.h"
#include "node/core/piece_map.h"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace shoal {
namespace {

using Json = nlohmann::ordered_json;

// A pull that ended is told for so long, so that nobody misses its end.
constexpr std::int64_t kEndedToldMs = 15'000;

struct PieceRow {
  const FileStatus* first = nullptr;
  const PieceMap* map = nullptr;
  std::uint64_t files = 0;
  std::uint64_t size = 0;
  std::uint64_t lan = 0;
  std::uint64_t origin = 0;
  std::uint64_t local = 0;

  [[nodiscard]] bool takes(const FileStatus& file, const PieceMap* its_map) const {
    return first != nullptr && map == nullptr && its_map == nullptr && first->state == file.state;
  }
  void add(const FileStatus& file) {
    ++files;
    size += file.blob.size;
    lan += file.bytes_lan;
    origin += file.bytes_origin;
    local += file.bytes_local;
  }
  [[nodiscard]] Json json() const {
    return {{"path", files == 1 ? Json(first->path) : Json(nullptr)},
            {"files", files},
            {"size", size},
            {"bytes_lan", lan},
            {"bytes_origin", origin},
            {"bytes_local", local},
            {"bytes_per_s", files == 1 ? first->bytes_per_s : 0},
            {"state", to_string(first->state)},
            {"piece_size", map == nullptr ? Json(nullptr) : Json(piece_size(size))},
            {"runs", map == nullptr ? Json(nullptr) : Json(run_lengths(*map))}};
  }
};

}  // namespace

Json progress_json(const StatusSnapshot& s) {
  Json pulls = Json::array();
  for (const PullStatus& pull : s.pulls) {
    if (pull.finished_at.ms == 0 || s.at.ms - pull.finished_at.ms < kEndedToldMs)
      pulls.push_back(to_json(pull));
  }
  Json peers = Json::array();
  for (const PeerStatus& peer : s.peers) {
    if (peer.alive) peers.push_back(to_json(peer));
  }
  return {
      {"at", time_json(s.at)},      {"load", to_json(s.load)},           {"blobs_held", s.blobs_held},
      {"bytes_held", s.bytes_held}, {"disk_size", s.counters.disk_size}, {"disk_free", s.counters.disk_free},
      {"pulls", std::move(pulls)},  {"peers", std::move(peers)}};
}

std::string progress_frame(const StatusSnapshot& snapshot) {
  // JSON has no line ends inside.
  return "event: progress\ndata: " + dump(progress_json(snapshot)) + "\n\n";
}

std::optional<Json> pieces_json(const StatusSnapshot& s, PullId id) {
  const auto pull = std::ranges::find(s.pulls, id, &PullStatus::id);
  if (pull == s.pulls.end()) return std::nullopt;
  Json rows = Json::array();
  const auto range = std::ranges::find(s.pull_files, id, &StatusSnapshot::PullFiles::pull);
  if (range != s.pull_files.end()) {
    PieceRow row;
    for (std::size_t i = range->first; i < range->first + range->count; ++i) {
      const PieceMap* map = s.pieces[i].get();
      if (!row.takes(s.files[i], map)) {
        if (row.first != nullptr) rows.push_back(row.json());
        row = {};
        row.first = &s.files[i];
        row.map = map;
      }
      row.add(s.files[i]);
    }
    if (row.first != nullptr) rows.push_back(row.json());
  }
  return Json{{"id", to_int(id)}, {"at", time_json(s.at)}, {"files", std::move(rows)}};
}

}  // namespace shoal
