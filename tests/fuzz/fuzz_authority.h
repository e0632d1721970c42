// The certificate authority that the fuzz targets of closed clusters sign with.
#pragma once

#include "node/trust/certificates.h"

#include <cstdint>
#include <ctime>

namespace shoal::fuzz {

inline WallTime now() {
  return {static_cast<std::int64_t>(std::time(nullptr)) * 1000};
}

inline const Keyed& authority() {
  static const Keyed made = make_authority("fuzz", now()).value();
  return made;
}

}  // namespace shoal::fuzz
