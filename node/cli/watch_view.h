// What `shoal status --watch` shows on a terminal, as a pure function of the API's answers and the size.
#pragma once

#include "node/cli/live_display.h"

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace shoal::cli {

using Json = nlohmann::ordered_json;

// A line in parts of one colour each; cut to the terminal before the colours go in.
struct Span {
  std::string text;      // printable
  const char* sgr = "";  // parameters of "select graphic rendition" (ECMA-48), e.g. "1;36"; empty: plain
};
using Line = std::vector<Span>;

struct WatchFacts {
  Json node;                             // GET /shoal/v1/node
  Json progress;                         // GET /shoal/v1/progress
  std::map<std::uint64_t, Json> pieces;  // GET /shoal/v1/pulls/{id}/pieces, by pull
  Json events = Json::array();           // rows, the newest last
};

// The piece map of a pull in `cells` characters.
[[nodiscard]] Line piece_line(const Json& files, std::size_t cells);

// At most size.rows lines of at most size.columns columns: the node, its pulls, its neighbours, and events as
// far as there is room.
[[nodiscard]] std::vector<Line> watch_screen(const WatchFacts& facts, TerminalSize size);

// Bytes for a terminal: from the top of the screen, each line cleared to its end, the rest below.
[[nodiscard]] std::string paint(const std::vector<Line>& lines, TerminalSize size, bool colour);

}  // namespace shoal::cli
