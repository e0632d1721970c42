#include "node/core/reveal_window.h"

namespace shoal {

void RevealWindow::on_got(Duration waited) {
  constexpr int kMeanOf = 8;
  --under_way_;
  usual_ += (waited - usual_) / kMeanOf;
  if (waited < kSoon) size_ = std::min(size_ + 1, kMost);
  if (waited > kLate) size_ = std::max(size_ - 1, kLeast);
}

}  // namespace shoal
