#include "transport/swarm/request_ledger.h"

#include <utility>

namespace shoal {

void AskedBlocks::add(const BlockPlace& block) {
  ++asked_[index(block)];
  ++pieces_[static_cast<std::size_t>(block.piece)];
}

void AskedBlocks::remove(const BlockPlace& block) {
  --asked_[index(block)];
  --pieces_[static_cast<std::size_t>(block.piece)];
}

RequestLedger::~RequestLedger() {
  for (const auto& block : outstanding_) segment_->remove(block);
}

bool RequestLedger::on_request(const BlockPlace& block, bool may_wait) {
  if (!segment_->has_place(block)) return false;
  // It was given up without an answer (a foreign client that choked), and is asked for here once more.
  if (std::ranges::find(outstanding_, block) != outstanding_.end()) return false;
  if (may_wait && !waiting_ && segment_->asked(block)) {
    waiting_ = block;
    return true;
  }
  note_asked(block);
  return false;
}

void RequestLedger::on_answer(const BlockPlace& block) {
  woken_ = false;
  if (waiting_ == block) waiting_.reset();
  const auto found = std::ranges::find(outstanding_, block);
  if (found == outstanding_.end()) return;
  segment_->remove(block);
  outstanding_.erase(found);
}

bool RequestLedger::on_cancel(const BlockPlace& block) {
  if (waiting_ != block) return false;
  waiting_.reset();
  woken_ = true;
  return true;
}

std::optional<BlockPlace> RequestLedger::on_have(int piece, bool interesting) {
  if (woken_ || piece < 0 || piece >= kMaxPiecesPerSegment || segment_->asked(piece)) return std::nullopt;
  if (waiting_) {
    woken_ = true;
    return std::exchange(waiting_, std::nullopt);
  }
  if (!interesting || !outstanding_.empty() || !last_) return std::nullopt;
  woken_ = true;
  return last_;
}

std::optional<BlockPlace> RequestLedger::on_patience_over() {
  if (!waiting_) return std::nullopt;
  const auto block = *std::exchange(waiting_, std::nullopt);
  note_asked(block);
  return block;
}

void RequestLedger::note_asked(const BlockPlace& block) {
  segment_->add(block);
  outstanding_.push_back(block);
  last_ = block;
}

}  // namespace shoal
