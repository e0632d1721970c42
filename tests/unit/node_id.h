// Node ids for tests: in the order of their numbers, and equal in every byte so that they are known in print.
#pragma once

#include "node/core/ids.h"

#include <cstdint>

namespace shoal {

inline NodeId node_id(int number) {
  NodeId id;
  id.bytes.fill(static_cast<std::uint8_t>(number));
  return id;
}

}  // namespace shoal
