#include "node/cli/live_display.h"

#include "node/cli/text.h"

#include <cerrno>
#include <cstdlib>
#include <string_view>

#include <sys/ioctl.h>
#include <unistd.h>

namespace shoal::cli {

bool is_live_terminal(int fd) {
  if (isatty(fd) == 0) return false;
  const char* term = std::getenv("TERM");
  return term != nullptr && *term != '\0' && std::string_view(term) != "dumb";
}

TerminalSize terminal_size(int fd) {
  winsize size{};
  TerminalSize out;
  if (ioctl(fd, TIOCGWINSZ, &size) == 0) {
    if (size.ws_col > 0) out.columns = size.ws_col;
    if (size.ws_row > 0) out.rows = size.ws_row;
  }
  return out;
}

std::string redraw(const std::vector<std::size_t>& old_widths, const std::vector<std::string>& lines,
                   std::size_t columns) {
  std::size_t rows = 0;
  for (const std::size_t width : old_widths) {
    rows += width == 0 || columns == 0 ? 1 : (width + columns - 1) / columns;
  }
  std::string out;
  if (rows > 0) out += "\x1b[" + std::to_string(rows) + "A";
  out += "\r\x1b[J";
  for (const std::string& line : lines) out += line + "\n";
  return out;
}

bool LiveDisplay::in_foreground() const {
  const pid_t group = tcgetpgrp(fd_);
  return group < 0 || group == getpgrp();
}

void LiveDisplay::write_all(const std::string& bytes) const {
  std::string_view rest = bytes;
  while (!rest.empty()) {
    const auto written = write(fd_, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;  // the terminal is gone; the pull matters more
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
}

void LiveDisplay::show(const std::vector<std::string>& lines) {
  if (!in_foreground()) return;
  write_all(redraw(widths_, lines, terminal_size(fd_).columns));
  widths_.clear();
  for (const std::string& line : lines) widths_.push_back(display_width(line));
}

void LiveDisplay::clear() {
  if (!widths_.empty()) write_all(redraw(widths_, {}, terminal_size(fd_).columns));
  widths_.clear();
}

}  // namespace shoal::cli
