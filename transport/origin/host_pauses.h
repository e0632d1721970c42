// Which hosts asked to be left alone, and until when. Pure bookkeeping; `now` comes in.
#pragma once

#include "node/core/time.h"

#include <cstddef>
#include <map>
#include <string>

namespace shoal {

class HostPauses {
 public:
  // A shorter pause than the running one changes nothing; true if the pause grew.
  bool pause(const std::string& host, Time until, Time now);
  // When the host may be asked again; a time in the past: at once.
  [[nodiscard]] Time free_at(const std::string& host) const;

 private:
  // A site talks to the Hub and a handful of CDN hosts; a Hub that redirects to thousands is in trouble
  // anyway.
  static constexpr std::size_t kHostsMax = 256;

  std::map<std::string, Time> until_;
};

}  // namespace shoal
