#include "node/core/piece_reveal.h"

#include "node/core/piece_bits.h"

#include <bit>
#include <utility>

namespace shoal {
namespace {

PieceMask first_of(PieceMask pieces) {
  return pieces & (~pieces + 1);
}

}  // namespace

PieceReveal::~PieceReveal() {
  while (!peers_.empty()) on_gone(peers_.begin()->first);
}

void PieceReveal::on_peer(Peer peer, std::shared_ptr<RevealWindow> window, Time now) {
  View& view = peers_[peer];
  if (view.window) return;
  view.window = std::move(window);
  view.moved = now;
}

void PieceReveal::on_gone(Peer peer) {
  const auto it = peers_.find(peer);
  if (it == peers_.end()) return;
  if (it->second.window) it->second.window->on_gone(std::popcount(it->second.under_way));
  peers_.erase(it);
}

bool PieceReveal::on_has(Peer peer, PieceMask pieces, Time now) {
  View& view = peers_[peer];
  const PieceMask fresh = pieces & all_ & ~view.has;
  view.has |= fresh;
  if (fresh != 0) view.moved = now;
  const PieceMask came = view.under_way & fresh;
  for_each_piece(came, [&](PieceIndex piece) { view.window->on_got(now - view.shown_at[at(piece)]); });
  for_each_piece(view.shown & fresh & ~came,
                 [&](PieceIndex piece) { view.window->on_came_late(now - view.shown_at[at(piece)]); });
  view.under_way &= ~came;
  return came != 0;
}

void PieceReveal::give_up_late(View& view, Time now) {
  if (view.under_way == 0) return;
  const Duration patience = view.window->patience();
  PieceMask late = 0;
  for_each_piece(view.under_way, [&](PieceIndex piece) {
    if (now - view.shown_at[at(piece)] >= patience) late |= mask_of(piece);
  });
  view.under_way &= ~late;
  view.window->on_given_up(std::popcount(late));
}

PieceMask PieceReveal::on_the_way() const {
  PieceMask pieces = 0;
  for (const auto& [peer, view] : peers_) pieces |= view.has | view.under_way;
  return pieces;
}

PieceMask PieceReveal::show(Peer peer, Time now) {
  const auto it = peers_.find(peer);
  if (it == peers_.end() || !it->second.window) return 0;
  View& view = it->second;
  give_up_late(view, now);
  const PieceMask hidden = all_ & ~view.has & ~view.shown;
  if (hidden == 0) return 0;
  int room = view.window->room();
  if (room == 0) {
    view.moved = now;
    return 0;
  }
  for (auto& [other, others_view] : peers_) give_up_late(others_view, now);
  PieceMask fresh = 0;
  if (now - view.moved >= view.window->patience()) {
    fresh = hidden;
  } else {
    for (PieceMask choice = hidden & ~on_the_way(); room > 0 && choice != 0; --room) {
      fresh |= first_of(choice);
      choice &= ~fresh;
    }
  }
  for_each_piece(fresh, [&](PieceIndex piece) { view.shown_at[at(piece)] = now; });
  view.shown |= fresh;
  view.under_way |= fresh;
  view.window->on_shown(std::popcount(fresh));
  return fresh;
}

PieceMask PieceReveal::shown(Peer peer) const {
  const auto it = peers_.find(peer);
  return it == peers_.end() ? 0 : it->second.shown;
}

}  // namespace shoal
