#include "storage/slice_writer.h"

#include <algorithm>
#include <atomic>

namespace shoal {
namespace {

PartialFile::WriterId next_id() {
  static std::atomic<std::uint64_t> last{0};
  return PartialFile::WriterId{++last};
}

}  // namespace

SliceWriter::SliceWriter(std::shared_ptr<PartialFile> file, SegmentIndex segment, PieceIndex first, int count,
                         OnPiece on_piece)
    : file_(std::move(file)),
      segment_(segment),
      on_piece_(std::move(on_piece)),
      id_(next_id()),
      piece_(to_int(first)),
      end_(to_int(first) + count) {}

SliceWriter::~SliceWriter() {
  if (hasher_) file_->leave_piece(id_, segment_, static_cast<PieceIndex>(piece_));
}

Result<void> SliceWriter::write(std::span<const std::byte> bytes) {
  if (failed_) return fail(Code::invalid, "the slice failed before");
  while (!bytes.empty()) {
    if (piece_ == end_) {
      failed_ = true;
      return fail(Code::invalid, "more bytes came than the slice has");
    }
    if (!hasher_) start_piece();
    const auto length = file_->geometry().piece_length(segment_, static_cast<PieceIndex>(piece_));
    const auto part = bytes.first(std::min<std::size_t>(bytes.size(), length - taken_));
    bytes = bytes.subspan(part.size());
    auto done = take(part);
    taken_ += static_cast<std::uint32_t>(part.size());
    if (done && taken_ == length) done = end_piece();
    if (!done) {
      failed_ = true;
      return done;
    }
  }
  return {};
}

void SliceWriter::start_piece() {
  const auto piece = static_cast<PieceIndex>(piece_);
  hasher_.emplace(file_->geometry(), segment_, piece);
  start_ = file_->start_piece(id_, segment_, piece);
  taken_ = 0;
  written_ = file_->geometry().piece_offset(segment_, piece);
}

Result<void> SliceWriter::take(std::span<const std::byte> part) {
  if (!start_.wanted) return {};
  hasher_->update(part);
  if (start_.whole) start_.whole->update(part);
  if (buffer_.empty() && part.size() >= kBufferSize) return put(part);
  while (!part.empty()) {
    if (buffer_.capacity() == 0) buffer_.reserve(kBufferSize);
    const auto some = part.first(std::min(part.size(), kBufferSize - buffer_.size()));
    buffer_.insert(buffer_.end(), some.begin(), some.end());
    part = part.subspan(some.size());
    if (buffer_.size() == kBufferSize) {
      if (auto done = flush(); !done) return done;
    }
  }
  return {};
}

Result<void> SliceWriter::flush() {
  if (buffer_.empty()) return {};
  auto done = put(buffer_);
  buffer_.clear();
  return done;
}

Result<void> SliceWriter::put(std::span<const std::byte> bytes) {
  const auto written = file_->write_piece(id_, segment_, static_cast<PieceIndex>(piece_), written_, bytes);
  if (!written) return fail(written.error());
  // Someone else is in charge of the piece: the rest of it is dropped.
  if (!*written) start_.wanted = false;
  written_ += bytes.size();
  return {};
}

Result<void> SliceWriter::end_piece() {
  const auto piece = static_cast<PieceIndex>(piece_);
  if (auto done = flush(); !done) return done;
  if (start_.wanted) {
    const Hash256 hash = hasher_->finish();
    if (file_->end_piece(id_, segment_, piece, hash, start_)) {
      on_piece_(file_, {file_->id(), segment_}, piece, hash);
    }
  } else {
    file_->leave_piece(id_, segment_, piece);
  }
  hasher_.reset();
  ++piece_;
  return {};
}

}  // namespace shoal
