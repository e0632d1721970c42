// Values by NodeId, for tables that are asked with every message: a look-up touches two places in memory
// however many nodes there are. The table keeps each id's hash, so that those on the way are passed by
// without looking at their entries.
//
// Why not a tree: with a thousand neighbours it walks ten levels, each a cache miss; that was a fifth of the
// time of a thousand schedulers.
//
// Walking visits the nodes in the order they came, except that the last takes the place of one that went: the
// same facts give the same order on every machine. Pointers to values hold until the next insertion or
// removal.
//
// A neighbour chooses its id, so look-ups can be made slow on purpose: as slow as walking over all
// neighbours, whose number is bounded.
#pragma once

#include "node/core/ids.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

namespace shoal {

template <typename T>
class NodeMap {
 public:
  using Entry = std::pair<NodeId, T>;  // the id is not to be changed

  [[nodiscard]] T* find(NodeId node) {
    const std::size_t slot = slot_of(node);
    return table_.empty() || table_[slot].place == 0 ? nullptr : &entries_[table_[slot].place - 1].second;
  }
  [[nodiscard]] const T* find(NodeId node) const { return const_cast<NodeMap*>(this)->find(node); }
  [[nodiscard]] bool contains(NodeId node) const { return find(node) != nullptr; }

  // Made of nothing if it was not there.
  T& operator[](NodeId node) {
    if (T* value = find(node)) return *value;
    if (2 * (entries_.size() + 1) > table_.size()) grow();
    entries_.emplace_back(node, T{});
    table_[slot_of(node)] = {static_cast<std::uint32_t>(entries_.size()), hash_of(node)};
    return entries_.back().second;
  }

  // Whether it was there.
  bool erase(NodeId node) {
    if (!contains(node)) return false;
    std::size_t hole = slot_of(node);
    const std::size_t place = table_[hole].place - 1;
    if (place + 1 != entries_.size()) {
      table_[slot_of(entries_.back().first)].place = static_cast<std::uint32_t>(place + 1);
      entries_[place] = std::move(entries_.back());
    }
    entries_.pop_back();
    table_[hole] = {};
    // Those behind it that had been pushed past the hole move up, so that a search may end at a free slot.
    const std::size_t mask = table_.size() - 1;
    for (std::size_t slot = (hole + 1) & mask; table_[slot].place != 0; slot = (slot + 1) & mask) {
      const std::size_t home = table_[slot].hash & mask;
      if (((slot - home) & mask) < ((slot - hole) & mask)) continue;
      table_[hole] = std::exchange(table_[slot], {});
      hole = slot;
    }
    return true;
  }

  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  [[nodiscard]] bool empty() const { return entries_.empty(); }
  [[nodiscard]] auto begin() { return entries_.begin(); }
  [[nodiscard]] auto end() { return entries_.end(); }
  [[nodiscard]] auto begin() const { return entries_.begin(); }
  [[nodiscard]] auto end() const { return entries_.end(); }

 private:
  struct Slot {
    std::uint32_t place = 0;  // in entries_ plus one, 0: free
    std::uint32_t hash = 0;
  };
  [[nodiscard]] static std::uint32_t hash_of(const NodeId& node) {
    std::uint64_t words[2];
    std::memcpy(words, node.bytes.data(), sizeof words);
    // 2^64 / golden ratio: the upper bits of the product depend on all of the id's.
    return static_cast<std::uint32_t>(((words[0] ^ (words[1] * 0x9e3779b97f4a7c15U)) * 0x9e3779b97f4a7c15U) >>
                                      32U);
  }
  // Where the node is, or would be put.
  [[nodiscard]] std::size_t slot_of(const NodeId& node) const {
    if (table_.empty()) return 0;
    const std::uint32_t hash = hash_of(node);
    const std::size_t mask = table_.size() - 1;
    std::size_t slot = hash & mask;
    while (table_[slot].place != 0 &&
           (table_[slot].hash != hash || entries_[table_[slot].place - 1].first != node)) {
      slot = (slot + 1) & mask;
    }
    return slot;
  }
  void grow() {
    table_.assign(table_.empty() ? 16 : 2 * table_.size(), {});
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      const NodeId& node = entries_[i].first;
      table_[slot_of(node)] = {static_cast<std::uint32_t>(i + 1), hash_of(node)};
    }
  }

  std::vector<Entry> entries_;
  std::vector<Slot> table_;  // a power of two, at most half full
};

}  // namespace shoal
