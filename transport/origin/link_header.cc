#include "transport/origin/link_header.h"

#include "transport/origin/text.h"

#include <cstddef>

namespace shoal {
namespace {

// Takes one parameter off the front of `rest`, up to its `;` or `,`, which stay.
std::string_view take_parameter(std::string_view& rest) {
  bool quoted = false;
  std::size_t i = 0;
  for (; i < rest.size(); ++i) {
    if (rest[i] == '"') quoted = !quoted;
    if (quoted && rest[i] == '\\') ++i;
    if (!quoted && (rest[i] == ';' || rest[i] == ',')) break;
  }
  if (i > rest.size()) i = rest.size();
  const std::string_view parameter = rest.substr(0, i);
  rest.remove_prefix(i);
  return trim_blanks(parameter);
}

bool says_next(std::string_view parameter) {
  const std::size_t equals = parameter.find('=');
  if (equals == std::string_view::npos) return false;
  if (!equals_ignoring_case(trim_blanks(parameter.substr(0, equals)), "rel")) return false;
  std::string_view value = trim_blanks(parameter.substr(equals + 1));
  if (value.size() >= 2 && value.front() == '"' && value.back() == '"')
    value = value.substr(1, value.size() - 2);
  while (!value.empty()) {
    const std::string_view word = value.substr(0, value.find(' '));
    if (equals_ignoring_case(word, "next")) return true;
    value.remove_prefix(word.size() < value.size() ? word.size() + 1 : value.size());
  }
  return false;
}

}  // namespace

std::optional<std::string> parse_link_next(std::string_view header) {
  std::string_view rest = header;
  while (true) {
    while (!rest.empty() && (is_blank(rest.front()) || rest.front() == ',')) rest.remove_prefix(1);
    if (rest.empty() || rest.front() != '<') return std::nullopt;
    const std::size_t close = rest.find('>');
    if (close == std::string_view::npos) return std::nullopt;
    const std::string_view target = rest.substr(1, close - 1);
    rest.remove_prefix(close + 1);
    bool next = false;
    while (true) {
      while (!rest.empty() && is_blank(rest.front())) rest.remove_prefix(1);
      if (rest.empty() || rest.front() != ';') break;
      rest.remove_prefix(1);
      next = says_next(take_parameter(rest)) || next;
    }
    if (next) return std::string(target);
    if (!rest.empty() && rest.front() != ',') return std::nullopt;
  }
}

}  // namespace shoal
