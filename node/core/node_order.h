// NodeIds in their own order, compared as two numbers: several times quicker than byte by byte, which is felt
// where a thousand neighbours are looked up with every message.
#pragma once

#include "node/core/ids.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace shoal {

struct NodeOrder {
  bool operator()(const NodeId& a, const NodeId& b) const {
    const std::uint64_t a0 = word(a, 0);
    const std::uint64_t b0 = word(b, 0);
    return a0 != b0 ? a0 < b0 : word(a, 8) < word(b, 8);
  }

 private:
  static std::uint64_t word(const NodeId& node, std::size_t from) {
    std::uint64_t big_endian = 0;
    for (std::size_t i = 0; i < 8; ++i)
      big_endian = big_endian << 8U | node.bytes[from + i];  // one instruction
    return big_endian;
  }
};

// Ascending lists without repetition, used as sets: a few dozen nodes, walked far more often than changed.
using SortedNodes = std::vector<NodeId>;

// Whether it was not there.
inline bool insert_sorted(SortedNodes& nodes, NodeId node) {
  const auto at = std::ranges::lower_bound(nodes, node, NodeOrder{});
  if (at != nodes.end() && *at == node) return false;
  if (nodes.empty()) {
    nodes.reserve(16);  // the mates of a site of ten thousand
    nodes.push_back(node);
    return true;
  }
  nodes.insert(at, node);
  return true;
}
inline void erase_sorted(SortedNodes& nodes, NodeId node) {
  const auto at = std::ranges::lower_bound(nodes, node, NodeOrder{});
  if (at != nodes.end() && *at == node) nodes.erase(at);
}
[[nodiscard]] inline bool contains_sorted(const SortedNodes& nodes, NodeId node) {
  return std::ranges::binary_search(nodes, node, NodeOrder{});
}

// The same as a set of its own.
class NodeSet {
 public:
  // Whether it was not there.
  bool insert(NodeId node) { return insert_sorted(nodes_, node); }
  // Whether it was there.
  bool erase(NodeId node) {
    const std::size_t before = nodes_.size();
    erase_sorted(nodes_, node);
    return nodes_.size() != before;
  }
  void clear() { SortedNodes().swap(nodes_); }  // gives its memory back
  [[nodiscard]] bool contains(NodeId node) const { return contains_sorted(nodes_, node); }
  [[nodiscard]] std::size_t size() const { return nodes_.size(); }
  [[nodiscard]] bool empty() const { return nodes_.empty(); }
  [[nodiscard]] auto begin() const { return nodes_.begin(); }
  [[nodiscard]] auto end() const { return nodes_.end(); }

 private:
  SortedNodes nodes_;
};

}  // namespace shoal
