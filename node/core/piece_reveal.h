// Which of the peers of a holder is shown which piece, so that the holder sends each piece about once.
//
// A seed that shows all it has is asked by every peer for everything: with one seed and seven others it sent
// 1.8 copies while the line of the seed was what all waited for. So it says at first that it has nothing, and
// then shows each piece to one peer, which passes it on to the others. BitTorrent calls that super-seeding
// (BEP 16); libtorrent's own never begins in 2.0.8, since it wants to show the first pieces before the
// handshake has ended.
//
// - A peer is shown as many pieces as its neighbour's window has room for (reveal_window.h).
// - A piece that nobody was shown comes first, and only when there is none, one whose peer did not get it
//   within the window's patience: that peer is slow or gone. Why not sooner: the others get it from that
//   peer.
// - A peer that there was room for and that got nothing for as long, from anybody, is shown all: those that
//   should pass pieces on to it do not reach it.
//
// Arithmetic only; owned by one thread.
#pragma once

#include "node/core/geometry.h"
#include "node/core/reveal_window.h"
#include "node/core/time.h"

#include <array>
#include <map>
#include <memory>

namespace shoal {

class PieceReveal {
 public:
  using Peer = const void*;

  explicit PieceReveal(PieceMask all) : all_(all) {}
  ~PieceReveal();
  PieceReveal(const PieceReveal&) = delete;
  PieceReveal& operator=(const PieceReveal&) = delete;

  // It is shown pieces from now on. `window`: its neighbour's, not null.
  void on_peer(Peer peer, std::shared_ptr<RevealWindow> window, Time now);
  void on_gone(Peer peer);
  // Also of a peer that is not shown anything yet. Answers whether pieces that it was shown are among them:
  // its window has more room then.
  bool on_has(Peer peer, PieceMask pieces, Time now);
  // What the peer is to be shown now, beyond what it was.
  [[nodiscard]] PieceMask show(Peer peer, Time now);
  // All that it was shown.
  [[nodiscard]] PieceMask shown(Peer peer) const;

 private:
  struct View {
    std::shared_ptr<RevealWindow> window;  // null: it is shown nothing
    PieceMask has = 0;
    PieceMask shown = 0;
    PieceMask under_way = 0;  // what the window counts
    std::array<Time, kMaxPiecesPerSegment> shown_at{};
    Time moved;  // when it last got something, or had to wait for room
  };
  // Pieces that some peer has, or will have soon.
  [[nodiscard]] PieceMask on_the_way() const;
  static void give_up_late(View& view, Time now);

  PieceMask all_;
  std::map<Peer, View> peers_;
};

}  // namespace shoal
