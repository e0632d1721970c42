// What a person sees of a pull, as lines. Pure functions of the API's answer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace shoal::cli {

struct FileView {
  std::string path;
  std::string state;
  std::uint64_t size = 0;
  std::uint64_t bytes_done = 0;
  std::uint64_t bytes_per_s = 0;
  std::uint64_t bytes_lan = 0;
  std::uint64_t bytes_origin = 0;
  std::uint64_t bytes_local = 0;
  double percent = 0;
  std::string error;
};

struct PullView {
  std::int64_t id = 0;
  std::string repo;
  std::string revision;
  std::string state;
  std::uint64_t files = 0;
  std::uint64_t files_done = 0;
  std::uint64_t size = 0;
  std::uint64_t bytes_done = 0;
  std::uint64_t bytes_lan = 0;
  std::uint64_t bytes_origin = 0;
  std::uint64_t bytes_local = 0;
  std::uint64_t bytes_per_s = 0;
  double percent = 0;
  std::optional<std::int64_t> eta_s;
  std::string waiting_for;
  std::string error_code;
  std::string error;
  std::string snapshot_path;
  std::vector<FileView> file_rows;

  [[nodiscard]] bool ended() const { return state == "done" || state == "failed" || state == "cancelled"; }
};

// From GET /shoal/v1/pulls/{id}. Fields that are missing or of another type stay empty: an older or newer
// daemon is shown as well as it can be.
[[nodiscard]] PullView read_pull(const nlohmann::ordered_json& body);
[[nodiscard]] FileView read_file(const nlohmann::ordered_json& row);

// "[=====>    ]", `width` columns in all.
[[nodiscard]] std::string progress_bar(double percent, std::size_t width);

// At most `height` lines of less than `width` columns: files that are moving, then the total.
[[nodiscard]] std::vector<std::string> live_lines(const PullView& pull, std::size_t width,
                                                  std::size_t height);

// For logs: "org/name: 41.2 %, 1.6 GiB of 4.0 GiB, 3 of 9 files, 230.1 MiB/s, 12s left (1.2 GiB from ...)".
[[nodiscard]] std::string plain_line(const PullView& pull);
[[nodiscard]] std::string file_done_line(const FileView& file);

// "1.2 GiB from neighbours, 400.0 MiB from the origin, 0 B from this disk".
[[nodiscard]] std::string sources_text(std::uint64_t lan, std::uint64_t origin, std::uint64_t local);
[[nodiscard]] std::string summary_line(const PullView& pull, std::int64_t seconds);

[[nodiscard]] std::string format_percent(double percent);  // "41.2%"

}  // namespace shoal::cli
