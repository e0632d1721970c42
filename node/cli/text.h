// Text for a terminal: harmless, and as wide as it looks.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace shoal::cli {

// Control characters, broken UTF-8 and marks that change the direction of writing become '?': names come from
// the Hub and from neighbours, and must not move the cursor or disguise themselves.
[[nodiscard]] std::string printable_text(std::string_view text);

// Columns on a terminal: 2 for the wide characters of East Asia and emoji, 0 for combining marks.
[[nodiscard]] std::size_t display_width(std::string_view printable);

// At most `width` columns; what is cut from the end becomes "..".
[[nodiscard]] std::string clip_end(std::string_view printable, std::size_t width);
// The same from the middle: the ends of a file name tell more.
[[nodiscard]] std::string clip_middle(std::string_view printable, std::size_t width);

[[nodiscard]] std::string pad_right(std::string text, std::size_t width);
[[nodiscard]] std::string pad_left(std::string text, std::size_t width);

enum class Align { left, right };

// Rows under a heading, columns two blanks apart. `width` of 0 is unlimited; otherwise lines are cut to it.
class Table {
 public:
  struct Column {
    std::string heading;
    Align align = Align::left;
  };
  explicit Table(std::vector<Column> columns);
  void add(std::vector<std::string> cells);  // as many as there are columns; made printable here
  [[nodiscard]] bool empty() const { return rows_.empty(); }
  [[nodiscard]] std::string text(std::size_t width) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace shoal::cli
