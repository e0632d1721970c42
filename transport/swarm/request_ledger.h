// Which blocks the connections of a segment have asked for, and which requests wait because another
// connection has asked already.
//
// When all that a segment lacks has been asked for, libtorrent asks idle connections for blocks that are
// under way elsewhere (its "end game"), at once. With sixteen segments at a time there is always one near its
// end: 3.5 % of the payload of a warm site came twice, 6.4 % on links of 100 Mbit/s. So such a request waits
// here (kPatience); mostly the block comes meanwhile.
//
// A connection with a request in its queue is not asked for more, and libtorrent looks at a connection again
// only when something ends on it. So when the wait is over without the request, or the neighbour gets a piece
// that nobody was asked for, the neighbour is told to answer the request with a "reject" (BEP 6), which is
// such an end (docs/protocol.md).
//
// Arithmetic only; owned by one thread.
#pragma once

#include "node/core/geometry.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace shoal {

// A block of a segment: BEP 52's 16 KiB.
struct BlockPlace {
  int piece = 0;
  std::uint32_t start = 0;   // bytes into the piece
  std::uint32_t length = 0;  // bytes
  bool operator==(const BlockPlace&) const = default;
};

// Of one segment, over all its connections.
class AskedBlocks {
 public:
  explicit AskedBlocks(std::uint32_t piece_size)
      : blocks_per_piece_(std::max(1U, (piece_size + kBlockSize - 1) / kBlockSize)),
        asked_(std::size_t{blocks_per_piece_} * kMaxPiecesPerSegment) {}

  void add(const BlockPlace& block);
  void remove(const BlockPlace& block);
  [[nodiscard]] bool asked(const BlockPlace& block) const { return asked_[index(block)] > 0; }
  [[nodiscard]] bool asked(int piece) const { return pieces_[static_cast<std::size_t>(piece)] > 0; }
  // Whether it is one of the segment's. REQUIRED of the blocks above.
  [[nodiscard]] bool has_place(const BlockPlace& block) const {
    return block.piece >= 0 && block.piece < kMaxPiecesPerSegment &&
           block.start / kBlockSize < blocks_per_piece_;
  }

 private:
  [[nodiscard]] std::size_t index(const BlockPlace& block) const {
    return static_cast<std::size_t>(block.piece) * blocks_per_piece_ + block.start / kBlockSize;
  }

  const std::uint32_t blocks_per_piece_;
  std::vector<std::uint16_t> asked_;                          // connections that were asked for the block
  std::array<std::uint32_t, kMaxPiecesPerSegment> pieces_{};  // the same, summed over a piece's blocks
};

// Of one connection.
class RequestLedger {
 public:
  // How long a request waits for the block to come from elsewhere. A block waits some tenths of a second in
  // the line of a neighbour that is busy, as a piece does (RevealWindow::kLate). With 100 ms 5.1 % came twice
  // on links of 100 Mbit/s, with 200 ms 3.3 %, with this 1.6 %; the last node was done no sooner.
  static constexpr auto kPatience = std::chrono::milliseconds(500);

  explicit RequestLedger(std::shared_ptr<AskedBlocks> segment) : segment_(std::move(segment)) {}
  ~RequestLedger();
  RequestLedger(const RequestLedger&) = delete;
  RequestLedger& operator=(const RequestLedger&) = delete;

  // libtorrent wants to ask for it. True: it waits.
  [[nodiscard]] bool on_request(const BlockPlace& block, bool may_wait);
  // The neighbour sent it, or will not.
  void on_answer(const BlockPlace& block);
  // libtorrent needs it no more. True: the request was never sent; the neighbour has to be told to reject it.
  [[nodiscard]] bool on_cancel(const BlockPlace& block);
  // The neighbour has got a piece that is missing here. What it has to be told to reject, so that libtorrent
  // asks it for that piece; nullopt: nothing. `interesting`: it has other pieces that are missing here.
  [[nodiscard]] std::optional<BlockPlace> on_have(int piece, bool interesting);
  // The wait is over: what has to be asked for.
  [[nodiscard]] std::optional<BlockPlace> on_patience_over();
  [[nodiscard]] bool waits() const { return waiting_.has_value(); }

 private:
  void note_asked(const BlockPlace& block);

  std::shared_ptr<AskedBlocks> segment_;
  std::vector<BlockPlace> outstanding_;  // each once; libtorrent's max_out_request_queue, 256, at a time
  std::optional<BlockPlace> waiting_;
  std::optional<BlockPlace> last_;  // asked for
  bool woken_ = false;              // a reject is on its way
};

}  // namespace shoal
