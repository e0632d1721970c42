// How long to wait before trying again what failed: growing, with a ceiling, jittered.
//
// Pure: the caller brings the randomness and keeps the time.
#pragma once

#include <chrono>

namespace shoal {

struct BackoffOptions {
  std::chrono::milliseconds first{250};       // most failures are a cut connection: the next one works
  std::chrono::milliseconds ceiling{10'000};  // a server that comes back is noticed within this
};

// Pause after the given number of failures in a row (1: the first). Doubles each time up to the ceiling, then
// half of it is drawn by `random` in [0, 1). Why half and not all: a pause near zero would hammer a server in
// trouble; a fixed one would make all machines of a site come back in the same moment.
[[nodiscard]] std::chrono::milliseconds backoff_pause(int failures, double random,
                                                      const BackoffOptions& options = {});

}  // namespace shoal
