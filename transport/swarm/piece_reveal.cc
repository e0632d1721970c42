#include "transport/swarm/piece_reveal.h"

#include <bit>

namespace shoal {
namespace {

PieceMask first_of(PieceMask pieces) {
  return pieces & (~pieces + 1);
}

}  // namespace

void PieceReveal::on_has(Peer peer, PieceMask pieces, Time now) {
  const auto it = peers_.find(peer);
  if (it == peers_.end() || (pieces & all_ & ~it->second.has) == 0) return;
  it->second.has |= pieces & all_;
  it->second.moved = now;
}

PieceMask PieceReveal::on_the_way(Time now) const {
  PieceMask pieces = 0;
  for (const auto& [peer, view] : peers_) {
    pieces |= view.has;
    for (PieceMask left = view.shown & ~view.has; left != 0; left &= left - 1) {
      if (now - view.shown_at[static_cast<std::size_t>(std::countr_zero(left))] < kPatience) {
        pieces |= first_of(left);
      }
    }
  }
  return pieces;
}

PieceMask PieceReveal::show(Peer peer, Time now) {
  const auto it = peers_.find(peer);
  if (it == peers_.end()) return 0;
  View& view = it->second;
  const PieceMask hidden = all_ & ~view.has & ~view.shown;
  PieceMask fresh = 0;
  if (now - view.moved >= kPatience) {
    fresh = hidden;
  } else {
    PieceMask choice = hidden & ~on_the_way(now);
    for (int room = kWindow - std::popcount(view.shown & ~view.has); room > 0 && choice != 0; --room) {
      fresh |= first_of(choice);
      choice &= ~fresh;
    }
  }
  for (PieceMask left = fresh; left != 0; left &= left - 1) {
    view.shown_at[static_cast<std::size_t>(std::countr_zero(left))] = now;
  }
  view.shown |= fresh;
  return fresh;
}

}  // namespace shoal
