// Smooths a device's load, so that one odd second neither sends work away nor brings it back.
//
//   load  |        ______
//         |      /        \                A load that came is 70 % there after one second and 91 %
//         |____/            \ ..____       after two; of one that went a quarter is left after one
//         +---1--2--3---1--2--3----> s     and 6 % after two.
//
// Why: neighbours are to see either within 3 s, of which the measurement takes up to one.
//
// The busy mark and the rates pass as they are: a person or a program said so, or they are means already.
// Pure; owned by the loop thread.
#pragma once

#include "node/core/load.h"
#include "node/core/time.h"

#include <array>

namespace shoal {

class LoadFilter {
 public:
  [[nodiscard]] DeviceLoad add(const DeviceLoad& sample, Time now);

 private:
  std::array<double, 5> shown_{};  // permille, in the order of DeviceLoad's fields
  Time last_;
};

}  // namespace shoal
