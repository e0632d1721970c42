#include "node/cli/watch_view.h"

#include "node/cli/json_read.h"
#include "node/cli/progress.h"
#include "node/cli/text.h"
#include "node/config/units.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>
#include <string_view>

namespace shoal::cli {
namespace {

constexpr const char* kPlain = "";
constexpr const char* kBold = "1";
constexpr const char* kQuiet = "2";
constexpr const char* kGood = "32";
constexpr const char* kWarning = "33";
constexpr const char* kBad = "31";

// The letters of a piece map with their colour; the first ones win in a cell that has several to the same
// part.
struct PieceLook {
  char letter;
  const char* cell;
  const char* sgr;
};
constexpr std::array<PieceLook, 7> kLooks{{{'l', "█", "36"},
                                           {'o', "█", "33"},
                                           {'m', "█", "35"},
                                           {'f', "▒", "33"},
                                           {'n', "▒", "36"},
                                           {'c', "░", "36"},
                                           {'-', "·", "2"}}};

std::size_t look_of(char letter) {
  for (std::size_t i = 0; i < kLooks.size(); ++i) {
    if (kLooks[i].letter == letter) return i;
  }
  return kLooks.size() - 1;
}

// Bytes of each letter in each cell, filled front to back.
class Cells {
 public:
  Cells(std::size_t cells, double total) : sums_(cells), per_cell_(total / static_cast<double>(cells)) {}

  void add(char letter, double bytes) {
    const std::size_t look = look_of(letter);
    while (bytes > 0.5) {
      const auto cell = std::min(sums_.size() - 1, static_cast<std::size_t>(at_ / per_cell_ + 1e-9));
      const double end = static_cast<double>(cell + 1) * per_cell_;
      const double part = cell + 1 == sums_.size() ? bytes : std::min(bytes, std::max(end - at_, 1.0));
      sums_[cell][look] += part;
      at_ += part;
      bytes -= part;
    }
  }
  [[nodiscard]] const PieceLook& look(std::size_t cell) const {
    const auto& sums = sums_[cell];
    return kLooks[static_cast<std::size_t>(std::max_element(sums.begin(), sums.end()) - sums.begin())];
  }

 private:
  std::vector<std::array<double, kLooks.size()>> sums_;
  double per_cell_;
  double at_ = 0;
};

void add_file(Cells& cells, const Json& file) {
  auto left = static_cast<double>(number_of(file, "size"));
  const auto take = [&](char letter, double bytes) {
    const double part = std::min(bytes, left);
    cells.add(letter, part);
    left -= part;
  };
  const std::string runs = text_of(file, "runs");
  const auto piece = static_cast<double>(number_of(file, "piece_size"));
  if (runs.empty()) {
    take('l', static_cast<double>(number_of(file, "bytes_lan")));
    take('o', static_cast<double>(number_of(file, "bytes_origin")));
    take('m', static_cast<double>(number_of(file, "bytes_local")));
  }
  for (std::size_t i = 0; i < runs.size();) {
    const char letter = runs[i++];
    double count = 0;
    while (i < runs.size() && std::isdigit(static_cast<unsigned char>(runs[i])) != 0) {
      count = count * 10 + (runs[i++] - '0');
    }
    take(letter, count * piece);
  }
  take('-', left);
}

Line node_line(const WatchFacts& facts) {
  const Json& progress = facts.progress;
  const std::size_t up = rows_of(progress, "peers").size();
  Line line{{printable_text(text_of(facts.node, "name")), kBold},
            {"  cluster " + printable_text(text_of(facts.node, "cluster")), kQuiet},
            {"  " + std::to_string(up) + (up == 1 ? " neighbour up" : " neighbours up"), kPlain},
            {"  holds " + format_size(number_of(progress, "bytes_held")), kPlain},
            {"  " + format_size(number_of(progress, "disk_free")) + " free", kPlain}};
  if (progress.contains("load") && flag_of(progress["load"], "busy"))
    line.push_back({"  marked busy", kWarning});
  return line;
}

Line rate_line(const Json& load) {
  return {{"from neighbours ", kQuiet},  {format_rate(number_of(load, "download_bytes_per_s")), "36"},
          {"   from the Hub ", kQuiet},  {format_rate(number_of(load, "origin_bytes_per_s")), "33"},
          {"   to neighbours ", kQuiet}, {format_rate(number_of(load, "upload_bytes_per_s")), kPlain}};
}

void add_pull(std::vector<Line>& out, const Json& pull, const WatchFacts& facts, std::size_t columns) {
  const auto state = text_of(pull, "state");
  const auto rate = number_of(pull, "bytes_per_s");
  Line head{{printable_text(text_of(pull, "repo") + "@" + text_of(pull, "revision")), kBold},
            {"  " + format_percent(real_of(pull, "percent")), kBold}};
  if (number_of(pull, "size") > 0) {
    head.push_back(
        {"  " + format_size(number_of(pull, "bytes_done")) + " of " + format_size(number_of(pull, "size")),
         kPlain});
  }
  if (rate > 0) head.push_back({"  " + format_rate(rate), kPlain});
  if (const auto eta = optional_number(pull, "eta_s"))
    head.push_back({"  " + format_duration(*eta) + " left", kPlain});
  if (state == "done") head.push_back({"  done", kGood});
  if (state == "failed" || state == "cancelled") head.push_back({"  " + state, kBad});
  out.push_back(std::move(head));
  const auto pieces = facts.pieces.find(number_of(pull, "id"));
  if (pieces != facts.pieces.end() && !rows_of(pieces->second, "files").empty()) {
    out.push_back(piece_line(rows_of(pieces->second, "files"), columns));
  }
  const auto error = text_of(pull, "error");
  const auto waiting = text_of(pull, "waiting_for");
  if (!error.empty()) {
    out.push_back({{printable_text(error), kBad}});
  } else if (!waiting.empty()) {
    out.push_back({{rate > 0 ? "limited by " : "waits for ", kQuiet},
                   {printable_text(waiting), rate > 0 ? kPlain : kWarning}});
  }
}

Line peer_line(const Json& peer) {
  std::uint64_t worst = 0;
  for (const char* part :
       {"cpu_permille", "memory_permille", "io_permille", "nic_permille", "gpu_permille"}) {
    worst = std::max(worst, number_of(peer, part));
  }
  const bool busy = flag_of(peer, "busy");
  const std::string load = busy ? "busy" : std::to_string(worst / 10) + " %";
  return {{pad_right(clip_end(printable_text(text_of(peer, "name")), 18), 18), kPlain},
          {" load " + pad_left(load, 5), busy || worst >= 900 ? kBad : kPlain},
          {"  holds " + pad_left(format_size(number_of(peer, "bytes_held")), 10), kPlain},
          {"  Hub " + pad_left(format_rate(number_of(peer, "origin_bytes_per_s")), 12), kPlain},
          {"  in " + pad_left(format_rate(number_of(peer, "download_bytes_per_s")), 12), kPlain},
          {"  out " + pad_left(format_rate(number_of(peer, "upload_bytes_per_s")), 12), kPlain}};
}

Line event_line(const Json& event) {
  const auto at = text_of(event, "at");
  const auto level = text_of(event, "level");
  std::string what = text_of(event, "repo");
  if (const auto path = text_of(event, "path"); !path.empty()) what += "/" + path;
  if (!what.empty()) what += ": ";
  return {{at.size() >= 19 ? printable_text(at.substr(11, 8)) : std::string(), kQuiet},
          {"  " + printable_text(text_of(event, "kind")), level == "error"     ? kBad
                                                          : level == "warning" ? kWarning
                                                                               : kPlain},
          {"  " + printable_text(what + text_of(event, "text")), kQuiet}};
}

}  // namespace

Line piece_line(const Json& files, std::size_t cells) {
  double total = 0;
  for (const Json& file : files) total += static_cast<double>(number_of(file, "size"));
  if (total < 1 || cells == 0) return {};
  Cells sums(cells, total);
  for (const Json& file : files) add_file(sums, file);
  Line line;
  for (std::size_t cell = 0; cell < cells; ++cell) {
    const PieceLook& look = sums.look(cell);
    if (line.empty() || line.back().sgr != look.sgr) line.push_back({"", look.sgr});
    line.back().text += look.cell;
  }
  return line;
}

std::vector<Line> watch_screen(const WatchFacts& facts, TerminalSize size) {
  static const Json kNoLoad = Json::object();
  const Json& progress = facts.progress;
  std::vector<Line> out{
      node_line(facts), rate_line(progress.contains("load") ? progress["load"] : kNoLoad), {}};
  const Json& pulls = rows_of(progress, "pulls");
  if (pulls.empty())
    out.push_back({{"nothing is being fetched; `shoal pull org/name` starts a pull", kQuiet}});
  for (std::size_t i = 0; i < pulls.size(); ++i) {
    if (i > 0) out.push_back({});
    add_pull(out, pulls[i], facts, size.columns);
  }
  const Json& peers = rows_of(progress, "peers");
  if (!peers.empty()) {
    out.push_back({});
    out.push_back({{"NEIGHBOURS", kQuiet}});
    for (const Json& peer : peers) out.push_back(peer_line(peer));
  }
  // The last line says how to leave; what does not fit above it goes.
  const std::size_t room = size.rows > 1 ? size.rows - 1 : 1;
  if (out.size() + 3 <= room && !facts.events.empty()) {
    out.push_back({});
    out.push_back({{"EVENTS", kQuiet}});
    const std::size_t fit = std::min(room - out.size(), facts.events.size());
    for (std::size_t i = facts.events.size() - fit; i < facts.events.size(); ++i) {
      out.push_back(event_line(facts.events[i]));
    }
  }
  if (out.size() > room) {
    out.resize(room);
    out.back() = {{"... the terminal is too low for more", kQuiet}};
  }
  while (out.size() < room) out.push_back({});
  if (size.rows > 1) out.push_back({{"q quits", kQuiet}});
  return out;
}

std::string paint(const std::vector<Line>& lines, TerminalSize size, bool colour) {
  std::string out = "\x1b[H";
  for (std::size_t i = 0; i < lines.size(); ++i) {
    std::size_t left = size.columns;
    for (const Span& span : lines[i]) {
      const std::string text = clip_end(span.text, left);
      left -= std::min(left, display_width(text));
      const bool styled = colour && *span.sgr != '\0';
      if (styled) out += "\x1b[" + std::string(span.sgr) + "m";
      out += text;
      if (styled) out += "\x1b[0m";
      if (left == 0) break;
    }
    // Without a line end after the last line, which would scroll.
    out += "\x1b[K";
    if (i + 1 < lines.size()) out += "\r\n";
  }
  return out + "\x1b[J";
}

}  // namespace shoal::cli
