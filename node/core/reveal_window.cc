#include "node/core/reveal_window.h"

namespace shoal {

void RevealWindow::learn(Duration waited) {
  constexpr int kMeanOf = 8;
  usual_ += (std::min(waited, kPatienceMost) - usual_) / kMeanOf;
}

void RevealWindow::on_given_up(int pieces) {
  under_way_ -= pieces;
  size_ = std::max(size_ - pieces, kLeast);
}

void RevealWindow::on_got(Duration waited) {
  --under_way_;
  learn(waited);
  if (waited < kSoon) size_ = std::min(size_ + 1, kMost);
  if (waited > kLate) size_ = std::max(size_ - 1, kLeast);
}

}  // namespace shoal
