// How deep a JSON text nests, told before anything builds it. Pure.
//
// The JSON library reads any depth but writes by recursion, so a few hundred kilobytes of brackets from a Hub
// or a neighbour would end the process by a stack overflow.
#pragma once

#include <string_view>

namespace shoal {

// The Hub's answers have 6 levels; the metadata of a model's card, which its author writes, some more.
inline constexpr int kJsonNestingMax = 64;

// Whether more than `most` objects and arrays are open at once somewhere. Right for every text that is JSON;
// for others it says something, and the parser refuses them.
[[nodiscard]] bool nests_deeper_than(std::string_view json, int most);

}  // namespace shoal
