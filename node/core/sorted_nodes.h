// Sets of NodeIds that are small and walked far more often than changed.
#pragma once

#include "node/core/ids.h"

#include <algorithm>
#include <cstddef>
#include <vector>

namespace shoal {

// Ascending lists without repetition, used as sets: a few dozen nodes, walked far more often than changed.
using SortedNodes = std::vector<NodeId>;

// Whether it was not there.
inline bool insert_sorted(SortedNodes& nodes, NodeId node) {
  const auto at = std::ranges::lower_bound(nodes, node);
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
  const auto at = std::ranges::lower_bound(nodes, node);
  if (at != nodes.end() && *at == node) nodes.erase(at);
}
[[nodiscard]] inline bool contains_sorted(const SortedNodes& nodes, NodeId node) {
  return std::ranges::binary_search(nodes, node);
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
