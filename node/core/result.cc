#include "node/core/result.h"

namespace shoal {

std::string_view to_string(Code code) {
  switch (code) {
    case Code::not_found:
      return "not_found";
    case Code::unauthorized:
      return "unauthorized";
    case Code::gated:
      return "gated";
    case Code::corrupt:
      return "corrupt";
    case Code::no_space:
      return "no_space";
    case Code::io:
      return "io";
    case Code::timeout:
      return "timeout";
    case Code::rate_limited:
      return "rate_limited";
    case Code::unavailable:
      return "unavailable";
    case Code::cancelled:
      return "cancelled";
    case Code::invalid:
      return "invalid";
    case Code::expired:
      return "expired";
    case Code::changed:
      return "changed";
  }
  return "unknown";
}

}  // namespace shoal
