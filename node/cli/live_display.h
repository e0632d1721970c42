// A few lines at the bottom of a terminal that are written over again and again.
//
// Uses only "cursor up", "carriage return" and "clear to the end": no mode of the terminal is changed, so
// there is nothing to restore however the program ends.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace shoal::cli {

struct TerminalSize {
  std::size_t columns = 80;
  std::size_t rows = 24;
};

// Whether the descriptor is a terminal that understands more than plain text.
[[nodiscard]] bool is_live_terminal(int fd);
[[nodiscard]] TerminalSize terminal_size(int fd);

// What has to be written to replace lines of these widths by new ones on a terminal of `columns`: a line
// wider than the terminal became since takes several rows.
[[nodiscard]] std::string redraw(const std::vector<std::size_t>& old_widths,
                                 const std::vector<std::string>& lines, std::size_t columns);

class LiveDisplay {
 public:
  explicit LiveDisplay(int fd) : fd_(fd) {}
  // Replaces what show() wrote before. Nothing happens while the program runs in the background.
  void show(const std::vector<std::string>& lines);
  // Removes the live lines.
  void clear();
  // After a stop and continue the shell has written below: begin anew there.
  void forget() { widths_.clear(); }

 private:
  void write_all(const std::string& bytes) const;
  [[nodiscard]] bool in_foreground() const;

  int fd_;
  std::vector<std::size_t> widths_;  // of the live lines on the terminal
};

}  // namespace shoal::cli
