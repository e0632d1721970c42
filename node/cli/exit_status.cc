#include "node/cli/exit_status.h"

#include <array>

namespace shoal::cli {

ExitStatus exit_status_of(Code code) {
  switch (code) {
    case Code::not_found:
      return exit_not_found;
    case Code::unauthorized:
    case Code::gated:
      return exit_not_allowed;
    case Code::corrupt:
      return exit_mismatch;
    case Code::no_space:
      return exit_no_space;
    case Code::invalid:
      return exit_usage;
    case Code::io:
    case Code::timeout:
    case Code::rate_limited:
    case Code::unavailable:
    case Code::cancelled:
    case Code::expired:
    case Code::changed:
      return exit_failed;
  }
  return exit_failed;
}

std::optional<Code> parse_code(std::string_view name) {
  static constexpr std::array kCodes{Code::not_found,   Code::unauthorized, Code::gated,   Code::corrupt,
                                     Code::no_space,    Code::io,           Code::timeout, Code::rate_limited,
                                     Code::unavailable, Code::cancelled,    Code::invalid, Code::expired,
                                     Code::changed};
  for (const Code code : kCodes) {
    if (to_string(code) == name) return code;
  }
  return std::nullopt;
}

ExitStatus exit_status_of(std::string_view code_name) {
  if (code_name == "foreign_host") return exit_not_allowed;
  const auto code = parse_code(code_name);
  return code ? exit_status_of(*code) : exit_failed;
}

ExitStatus exit_status_of_work(std::string_view code_name) {
  const ExitStatus status = exit_status_of(code_name);
  return status == exit_usage ? exit_failed : status;
}

}  // namespace shoal::cli
