#include "node/cli/progress.h"

#include "node/cli/json_read.h"
#include "node/cli/text.h"
#include "node/config/units.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <utility>

namespace shoal::cli {
namespace {

constexpr std::size_t kFilesShown = 8;  // more moving lines than a person can follow
constexpr std::size_t kBarWidth = 22;

bool is_active(const FileView& file) {
  return file.state == "fetching" || file.state == "checking";
}

std::string rate_text(const FileView& file) {
  return file.state == "checking" ? "checking" : format_rate(file.bytes_per_s);
}

std::string file_line(const FileView& file, std::size_t name_width, std::size_t width) {
  std::string line = pad_right(clip_middle(file.path, name_width), name_width);
  line += "  " + pad_left(format_percent(file.percent), 6);
  if (width >= 60) line += "  " + progress_bar(file.percent, kBarWidth);
  if (width >= 44) line += "  " + pad_left(rate_text(file), 12);
  return line;
}

std::string total_line(const PullView& pull, std::size_t width) {
  if (pull.state == "resolving") return "asking the Hub what " + pull.repo + " holds";
  const std::string eta = pull.eta_s ? "  ETA " + format_duration(*pull.eta_s) : std::string();
  const std::string rate = "  " + format_rate(pull.bytes_per_s);
  const std::string start = "total " + format_percent(pull.percent);
  std::string line = start + "  " + format_size(pull.bytes_done) + " of " + format_size(pull.size) + rate +
                     eta + "  " + std::to_string(pull.files_done) + "/" + std::to_string(pull.files) +
                     " files";
  return line.size() <= width ? line : start + rate + eta;
}

std::string sources_line(const PullView& pull, std::size_t width) {
  std::string line = sources_text(pull.bytes_lan, pull.bytes_origin, pull.bytes_local);
  if (line.size() <= width) return line;
  return "lan " + format_size(pull.bytes_lan) + ", origin " + format_size(pull.bytes_origin) + ", disk " +
         format_size(pull.bytes_local);
}

// While bytes flow the bottleneck limits, else it is waited for.
std::string held_up_by(const PullView& pull) {
  return (pull.bytes_per_s > 0 ? "limited by " : "waiting for ") + pull.waiting_for;
}

}  // namespace

FileView read_file(const nlohmann::ordered_json& row) {
  FileView out;
  out.path = printable_text(text_of(row, "path"));
  out.state = text_of(row, "state");
  out.size = number_of(row, "size");
  out.bytes_done = number_of(row, "bytes_done");
  out.bytes_per_s = number_of(row, "bytes_per_s");
  out.bytes_lan = number_of(row, "bytes_lan");
  out.bytes_origin = number_of(row, "bytes_origin");
  out.bytes_local = number_of(row, "bytes_local");
  out.percent = real_of(row, "percent");
  out.error = printable_text(text_of(row, "error"));
  return out;
}

PullView read_pull(const nlohmann::ordered_json& body) {
  PullView out;
  out.id = optional_number(body, "id").value_or(0);
  out.repo = printable_text(text_of(body, "repo"));
  out.revision = printable_text(text_of(body, "revision"));
  out.state = text_of(body, "state");
  out.files = number_of(body, "files");
  out.files_done = number_of(body, "files_done");
  out.size = number_of(body, "size");
  out.bytes_done = number_of(body, "bytes_done");
  out.bytes_lan = number_of(body, "bytes_lan");
  out.bytes_origin = number_of(body, "bytes_origin");
  out.bytes_local = number_of(body, "bytes_local");
  out.bytes_per_s = number_of(body, "bytes_per_s");
  out.percent = real_of(body, "percent");
  out.eta_s = optional_number(body, "eta_s");
  out.waiting_for = printable_text(text_of(body, "waiting_for"));
  out.error_code = text_of(body, "error_code");
  out.error = printable_text(text_of(body, "error"));
  out.snapshot_path = text_of(body, "snapshot_path");
  for (const auto& row : rows_of(body, "status")) out.file_rows.push_back(read_file(row));
  return out;
}

std::string format_percent(double percent) {
  std::array<char, 32> text{};
  // Cut, not rounded: 100.0% means done.
  const double cut = std::floor(std::clamp(percent, 0.0, 100.0) * 10.0 + 1e-6) / 10.0;
  const int length = std::snprintf(text.data(), text.size(), "%.1f%%", cut);
  return {text.data(), static_cast<std::size_t>(length)};
}

std::string progress_bar(double percent, std::size_t width) {
  if (width < 3) return std::string(width, ' ');
  const std::size_t inner = width - 2;
  const double share = std::clamp(percent, 0.0, 100.0) / 100.0;
  const auto filled = static_cast<std::size_t>(std::floor(share * static_cast<double>(inner)));
  std::string out = "[" + std::string(filled, '=');
  if (filled < inner) out += (filled > 0 ? ">" : " ") + std::string(inner - filled - 1, ' ');
  return out + "]";
}

std::vector<std::string> live_lines(const PullView& pull, std::size_t width, std::size_t height) {
  // The last column stays free: writing there makes some terminals wrap.
  width = std::max<std::size_t>(width, 12) - 1;
  std::vector<const FileView*> active;
  for (const FileView& file : pull.file_rows) {
    if (is_active(file)) active.push_back(&file);
  }
  // Below the files: "and more", the total, the sources, what it waits for, and the cursor's own row.
  const std::size_t room = height > 5 ? height - 5 : 0;
  const std::size_t shown = std::min({active.size(), kFilesShown, room});
  std::size_t name_width = 8;
  for (std::size_t i = 0; i < shown; ++i) name_width = std::max(name_width, display_width(active[i]->path));
  const std::size_t beside = width >= 60 ? 8 + kBarWidth + 2 + 14 : width >= 44 ? 22 : 8;
  name_width = std::min(name_width, width > beside + 8 ? width - beside : 8);

  std::vector<std::string> lines;
  for (std::size_t i = 0; i < shown; ++i) lines.push_back(file_line(*active[i], name_width, width));
  if (active.size() > shown && shown > 0) {
    lines.push_back("... and " + std::to_string(active.size() - shown) + " more files");
  }
  lines.push_back(total_line(pull, width));
  if (pull.state != "resolving") lines.push_back(sources_line(pull, width));
  if (!pull.waiting_for.empty()) lines.push_back(held_up_by(pull));
  if (lines.size() >= height) lines.resize(height > 2 ? height - 1 : 1);
  for (std::string& line : lines) line = clip_end(line, width);
  return lines;
}

std::string sources_text(std::uint64_t lan, std::uint64_t origin, std::uint64_t local) {
  return format_size(lan) + " from neighbours, " + format_size(origin) + " from the origin, " +
         format_size(local) + " from this disk";
}

std::string plain_line(const PullView& pull) {
  if (pull.state == "resolving") {
    return pull.repo + ": " +
           (pull.waiting_for.empty() ? "asking the Hub" : "waiting for " + pull.waiting_for);
  }
  std::string line = pull.repo + ": " + format_percent(pull.percent) + ", " + format_size(pull.bytes_done) +
                     " of " + format_size(pull.size) + ", " + std::to_string(pull.files_done) + " of " +
                     std::to_string(pull.files) + " files, " + format_rate(pull.bytes_per_s);
  if (pull.eta_s) line += ", " + format_duration(*pull.eta_s) + " left";
  line += " (" + sources_text(pull.bytes_lan, pull.bytes_origin, pull.bytes_local) + ")";
  if (!pull.waiting_for.empty()) line += "; " + held_up_by(pull);
  return line;
}

std::string file_done_line(const FileView& file) {
  return "done " + file.path + " (" + format_size(file.size) + ": " +
         sources_text(file.bytes_lan, file.bytes_origin, file.bytes_local) + ")";
}

std::string summary_line(const PullView& pull, std::int64_t seconds) {
  return pull.repo + "@" + pull.revision + ": " + std::to_string(pull.files) +
         (pull.files == 1 ? " file, " : " files, ") + format_size(pull.size) + " in " +
         format_duration(seconds) + ": " + sources_text(pull.bytes_lan, pull.bytes_origin, pull.bytes_local);
}

}  // namespace shoal::cli
