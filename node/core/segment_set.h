// A set of a blob's segments: one bit each.
//
// Why not a tree: a node of it costs as much memory as 300 segments, and an allocation whenever a segment is
// looked at again.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace shoal {

class SegmentSet {
 public:
  void insert(std::uint32_t segment) {
    if (word(segment) >= bits_.size()) bits_.resize(word(segment) + 1);
    bits_[word(segment)] |= bit(segment);
  }
  void erase(std::uint32_t segment) {
    if (word(segment) < bits_.size()) bits_[word(segment)] &= ~bit(segment);
  }
  [[nodiscard]] bool contains(std::uint32_t segment) const {
    return word(segment) < bits_.size() && (bits_[word(segment)] & bit(segment)) != 0;
  }
  [[nodiscard]] std::optional<std::uint32_t> first() const {
    const auto found = std::ranges::find_if(bits_, [](std::uint64_t bits) { return bits != 0; });
    if (found == bits_.end()) return std::nullopt;
    return static_cast<std::uint32_t>(64 * (found - bits_.begin()) + std::countr_zero(*found));
  }
  [[nodiscard]] bool empty() const { return !first(); }
  void clear() { std::vector<std::uint64_t>().swap(bits_); }  // gives its memory back
  // Calls `use(segment)` for each, ascending.
  template <typename Use>
  void for_each(Use use) const {
    for (std::size_t i = 0; i < bits_.size(); ++i) {
      for (std::uint64_t bits = bits_[i]; bits != 0; bits &= bits - 1)
        use(static_cast<std::uint32_t>(64 * i) + static_cast<std::uint32_t>(std::countr_zero(bits)));
    }
  }

 private:
  static std::size_t word(std::uint32_t segment) { return segment / 64; }
  static std::uint64_t bit(std::uint32_t segment) { return std::uint64_t{1} << segment % 64; }

  std::vector<std::uint64_t> bits_;
};

}  // namespace shoal
