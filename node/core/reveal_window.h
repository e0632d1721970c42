// How many pieces a holder lets one neighbour ask it for, over all segments that it serves it.
//
// Why not so many a segment: sixteen segments with four pieces each are 16 MiB a neighbour. On a line of
// 100 Mbit/s a piece of them waited for longer than PieceReveal waits for it, so that each was shown to
// others as well: 1.9 copies left the seed of the lab's warm site at a quarter of its rates.
//
// The pieces under way are what the holder's line takes in some tenths of a second, whatever its rate and
// however many neighbours share it: the window grows while pieces come sooner than that and shrinks when
// they come later (as RFC 6817 does with bytes).
//
// Arithmetic only.
#pragma once

#include "node/core/time.h"

#include <algorithm>
#include <chrono>

namespace shoal {

class RevealWindow {
 public:
  // One that arrives and one that is asked for beside it: a piece takes some ms to be hashed, recorded and
  // told.
  static constexpr int kLeast = 2;
  // 16 MiB of pieces of 256 KiB: 1 GB/s when a piece takes 17 ms (docs/benchmarks.md).
  static constexpr int kMost = 64;
  // Above what a piece waits for a processor where eight nodes share two cores: with 100 ms the window stayed
  // small there (decision 0022).
  static constexpr Duration kSoon = std::chrono::milliseconds(250);
  static constexpr Duration kLate = std::chrono::milliseconds(500);
  static constexpr Duration kPatience = std::chrono::milliseconds(1500);
  // Two pieces of 256 KiB for each of seven neighbours on a line of 10 Mbit/s take 3 s; so long is as long as
  // anybody waits for a piece.
  static constexpr Duration kPatienceMost = std::chrono::seconds(10);

  // How many more may be shown.
  [[nodiscard]] int room() const { return std::max(0, size_ - under_way_); }
  // A piece that did not come for so long is not waited for: its neighbour is slow or gone.
  [[nodiscard]] Duration patience() const {
    return std::clamp<Duration>(4 * usual_, kPatience, kPatienceMost);
  }

  void on_shown(int pieces) { under_way_ += pieces; }
  void on_got(Duration waited);
  // Pieces that are not waited for any more; and how long one of them took when it came after all: on a slow
  // line that is all there is to learn from.
  void on_given_up(int pieces);
  void on_came_late(Duration waited) { learn(waited); }
  // Of a connection that closed.
  void on_gone(int pieces) { under_way_ -= pieces; }

 private:
  void learn(Duration waited);

  int size_ = kLeast;
  int under_way_ = 0;  // shown and not got
  Duration usual_{};   // between the two, a moving mean
};

}  // namespace shoal
