// Which of the peers of a holder is shown which piece, so that the holder sends each piece about once.
//
// A seed that shows all it has is asked by every peer for everything: with one seed and seven others it sent
// 1.8 copies while the line of the seed was what all waited for. So it says at first that it has nothing, and
// then shows each piece to one peer, which passes it on to the others. BitTorrent calls that super-seeding
// (BEP 16); libtorrent's own never begins in 2.0.8, since it wants to show the first pieces before the
// handshake has ended.
//
// - A peer has at most kWindow pieces that it was shown and has not got.
// - A piece that nobody was shown comes first, and only when there is none, one whose peer did not get it
//   within kPatience: that peer is slow or gone. Why not sooner: the others get it from that peer.
// - A peer that got nothing for kPatience, from anybody, is shown all: those that should pass pieces on to it
//   do not reach it.
//
// Arithmetic only; owned by the network thread.
#pragma once

#include "node/core/geometry.h"
#include "node/core/time.h"

#include <array>
#include <chrono>
#include <map>

namespace shoal {

class PieceReveal {
 public:
  using Peer = const void*;
  // Beside the piece that arrives the next ones are asked for: a piece takes some ms to be hashed, recorded
  // as here and told. More would only wait in the line of the holder.
  static constexpr int kWindow = 4;
  // Longer than pieces wait in a holder's line: 16 segments with three peers each that were shown four are
  // 48 MiB, a second at 400 Mbit/s.
  static constexpr Duration kPatience = std::chrono::milliseconds(1500);

  explicit PieceReveal(PieceMask all) : all_(all) {}

  void on_peer(Peer peer, Time now) { peers_.try_emplace(peer, View{.moved = now}); }
  void on_gone(Peer peer) { peers_.erase(peer); }
  void on_has(Peer peer, PieceMask pieces, Time now);
  // What the peer is to be shown now, beyond what it was.
  [[nodiscard]] PieceMask show(Peer peer, Time now);

 private:
  struct View {
    PieceMask has = 0;
    PieceMask shown = 0;
    std::array<Time, kMaxPiecesPerSegment> shown_at{};
    Time moved;  // when it last got something
  };
  // Pieces that some peer has, or will have soon.
  [[nodiscard]] PieceMask on_the_way(Time now) const;

  PieceMask all_;
  std::map<Peer, View> peers_;
};

}  // namespace shoal
