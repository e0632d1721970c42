#include "storage/partial_file.h"

#include <algorithm>
#include <bit>
#include <chrono>

namespace shoal {
namespace {

constexpr std::size_t kReadSize = kMiB;

}  // namespace

PartialFile::PartialFile(Origin origin)
    : id_(origin.id),
      geometry_(origin.id.size),
      repo_(std::move(origin.repo)),
      fd_(std::move(origin.fd)),
      files_(*origin.files),
      path_(std::move(origin.path)),
      lock_(std::move(origin.lock)),
      segments_(geometry_.segment_count()),
      hash_(id_) {}

// ---- BlobFile ----

Result<void> PartialFile::read_at(std::uint64_t offset, std::span<std::byte> out) {
  if (offset > id_.size || out.size() > id_.size - offset) {
    return fail(Code::invalid, "a read past the end of " + path());
  }
  return read_exactly(files_, fd_.get(), offset, out, path());
}

Result<void> PartialFile::write_at(std::uint64_t offset,
                                   std::span<const std::span<const std::byte>> buffers) {
  std::uint64_t length = 0;
  for (const auto& buffer : buffers) length += buffer.size();
  if (offset > id_.size || length > id_.size - offset) {
    return fail(Code::invalid, "a write past the end of " + path());
  }
  bool some_here = false;
  {
    const std::lock_guard lock(mutex_);
    if (published_ || detached_) return {};
    for (std::uint64_t at_byte = offset; at_byte < offset + length;) {
      const auto [s, p] = piece_at(at_byte);
      some_here = some_here || ((at(s).have | at(s).closed) & mask_of(p)) != 0;
      at_byte = geometry_.piece_offset(s, p) + geometry_.piece_length(s, p);
    }
  }
  if (!some_here) return write_all(files_, fd_.get(), offset, buffers, path());
  // Seldom: split at piece ends and leave out what is here.
  for (auto buffer : buffers) {
    while (!buffer.empty()) {
      const auto [s, p] = piece_at(offset);
      const std::uint64_t end = geometry_.piece_offset(s, p) + geometry_.piece_length(s, p);
      const auto part = buffer.first(std::min<std::uint64_t>(buffer.size(), end - offset));
      bool here = false;
      {
        const std::lock_guard lock(mutex_);
        here = ((at(s).have | at(s).closed) & mask_of(p)) != 0;
      }
      if (!here) {
        if (auto done = write_all(files_, fd_.get(), offset, part, path()); !done) return done;
      }
      offset += part.size();
      buffer = buffer.subspan(part.size());
    }
  }
  return {};
}

// ---- questions ----

PieceMask PartialFile::have(SegmentIndex segment) const {
  const std::lock_guard lock(mutex_);
  return to_int(segment) < segments_.size() ? at(segment).have : 0;
}

std::vector<PieceMask> PartialFile::have_all() const {
  const std::lock_guard lock(mutex_);
  std::vector<PieceMask> out;
  out.reserve(segments_.size());
  for (const auto& segment : segments_) out.push_back(segment.have);
  return out;
}

std::uint64_t PartialFile::bytes_have() const {
  const std::lock_guard lock(mutex_);
  return bytes_have_;
}
std::uint64_t PartialFile::bytes_hashed() const {
  const std::lock_guard lock(mutex_);
  return hash_.bytes();
}
bool PartialFile::all_here() const {
  return bytes_have() == id_.size;
}
bool PartialFile::published() const {
  const std::lock_guard lock(mutex_);
  return published_;
}
bool PartialFile::detached() const {
  const std::lock_guard lock(mutex_);
  return detached_;
}
std::string PartialFile::path() const {
  const std::lock_guard lock(mutex_);
  return path_;
}

PartialFile::Known PartialFile::known(SegmentIndex segment) const {
  const std::lock_guard lock(mutex_);
  if (to_int(segment) >= segments_.size()) return {};
  const Segment& s = at(segment);
  if (s.have == 0) {
    return {0, std::vector<Hash256>(static_cast<std::size_t>(geometry_.piece_count(segment)))};
  }
  if (s.hashes.empty()) return {s.have, std::nullopt};
  return {s.have, s.hashes};
}

PartialFile::PieceKey PartialFile::piece_at(std::uint64_t position) const {
  const auto s = static_cast<SegmentIndex>(position / geometry_.segment_size());
  const auto p = static_cast<PieceIndex>((position - geometry_.segment_offset(s)) / geometry_.piece_size());
  return {s, p};
}

// ---- restoring ----

void PartialFile::restore(const std::vector<SegmentRecord>& segments,
                          const std::vector<PrefixRecord>& prefixes) {
  const std::lock_guard lock(mutex_);
  for (const auto& record : segments) {
    if (to_int(record.index) >= segments_.size()) continue;
    Segment& s = at(record.index);
    const PieceMask all = geometry_.all_pieces(record.index);
    s.have = record.written & all;
    s.durable = record.durable & s.have;
    // A whole segment's hashes stay in the database until someone asks.
    if (s.have != 0 && s.have != all) s.hashes = record.hashes;
    bytes_have_ += geometry_.bytes_in(record.index, s.have);
    bytes_durable_ += geometry_.bytes_in(record.index, s.durable);
  }
  // How far the pieces reach without a gap; a midstate beyond that covers bytes which are not here.
  std::uint64_t reach = 0;
  while (reach < id_.size) {
    const auto [s, p] = piece_at(reach);
    if ((at(s).have & mask_of(p)) == 0) break;
    reach += geometry_.piece_length(s, p);
  }
  for (const auto& record : prefixes) {
    if (record.position > reach) {
      back_to_ = reach;
      continue;
    }
    const auto hasher = BlobHasher::restore(id_, record.state);
    if (!hasher || hasher->bytes() != record.position) continue;
    if (record.kind == PrefixRecord::Kind::boundary) boundaries_[record.position] = record.state;
    if (record.kind == PrefixRecord::Kind::durable) durable_hash_ = record;
    if (record.position >= hash_.bytes()) hash_ = *hasher;
  }
}

// ---- pieces arriving ----

PartialFile::PieceStart PartialFile::start_piece(WriterId writer, SegmentIndex segment, PieceIndex piece) {
  std::unique_lock lock(mutex_);
  const PieceKey key{segment, piece};
  changed_.wait(lock, [&] {
    const auto it = writers_.find(key);
    return it == writers_.end() || !it->second.writing;
  });
  if (published_ || detached_ || ((at(segment).have | at(segment).closed) & mask_of(piece)) != 0) return {};
  writers_[key] = {writer, false};
  PieceStart start{.wanted = true, .whole = std::nullopt, .forgets = forgets_};
  if (hash_.bytes() == geometry_.piece_offset(segment, piece)) start.whole = hash_;
  return start;
}

Result<bool> PartialFile::write_piece(WriterId writer, SegmentIndex segment, PieceIndex piece,
                                      std::uint64_t offset, std::span<const std::byte> bytes) {
  const PieceKey key{segment, piece};
  std::string path;
  {
    const std::lock_guard lock(mutex_);
    const auto it = writers_.find(key);
    if (it == writers_.end() || it->second.id != writer || published_ || detached_) return false;
    if (((at(segment).have | at(segment).closed) & mask_of(piece)) != 0) return false;
    it->second.writing = true;
    path = path_;
  }
  const auto written = write_all(files_, fd_.get(), offset, bytes, path);
  {
    const std::lock_guard lock(mutex_);
    if (const auto it = writers_.find(key); it != writers_.end()) it->second.writing = false;
    changed_.notify_all();
  }
  if (!written) return fail(written.error());
  return true;
}

bool PartialFile::end_piece(WriterId writer, SegmentIndex segment, PieceIndex piece, const Hash256& hash,
                            const PieceStart& start) {
  const std::lock_guard lock(mutex_);
  const auto it = writers_.find({segment, piece});
  if (it == writers_.end() || it->second.id != writer) return false;
  writers_.erase(it);
  if (published_ || detached_ || ((at(segment).have | at(segment).closed) & mask_of(piece)) != 0)
    return false;
  put_piece(segment, piece, hash);
  // Not if something before this piece was taken back and came again: `whole` would be of the former bytes.
  if (start.whole && start.forgets == forgets_ && hash_.bytes() == geometry_.piece_offset(segment, piece)) {
    move_hash(*start.whole);
  }
  return true;
}

void PartialFile::leave_piece(WriterId writer, SegmentIndex segment, PieceIndex piece) {
  const std::lock_guard lock(mutex_);
  const auto it = writers_.find({segment, piece});
  if (it != writers_.end() && it->second.id == writer) writers_.erase(it);
}

bool PartialFile::add_piece(SegmentIndex segment, PieceIndex piece, const Hash256& hash) {
  const std::lock_guard lock(mutex_);
  if (to_int(segment) >= segments_.size() || to_int(piece) >= geometry_.piece_count(segment)) return false;
  if (published_ || detached_ || ((at(segment).have | at(segment).closed) & mask_of(piece)) != 0)
    return false;
  put_piece(segment, piece, hash);
  return true;
}

void PartialFile::put_piece(SegmentIndex segment, PieceIndex piece, const Hash256& hash) {
  Segment& s = at(segment);
  if (s.hashes.empty()) s.hashes.resize(static_cast<std::size_t>(geometry_.piece_count(segment)));
  s.hashes[static_cast<std::size_t>(to_int(piece))] = hash;
  s.have |= mask_of(piece);
  s.masks_changed = s.hashes_changed = true;
  bytes_have_ += geometry_.piece_length(segment, piece);
  changed_.notify_all();
}

// ---- pieces lost ----

void PartialFile::drop_pieces(SegmentIndex segment, PieceMask pieces) {
  Segment& s = at(segment);
  pieces &= s.have;
  if (pieces == 0) return;
  bytes_have_ -= geometry_.bytes_in(segment, pieces);
  bytes_durable_ -= geometry_.bytes_in(segment, pieces & s.durable);
  s.have &= ~pieces;
  s.durable &= ~pieces;
  s.closed |= pieces;
  // Hashes of forgotten pieces are overwritten when the pieces come again; `have` says which ones count.
  s.masks_changed = true;
  ++forgets_;
  take_hash_back(geometry_.piece_offset(segment, static_cast<PieceIndex>(std::countr_zero(pieces))));
}

void PartialFile::take_hash_back(std::uint64_t position) {
  std::erase_if(boundaries_, [&](const auto& entry) { return entry.first > position; });
  std::erase_if(new_boundaries_, [&](std::uint64_t boundary) { return boundary > position; });
  if (durable_hash_ && durable_hash_->position > position) durable_hash_.reset();
  if (hash_.bytes() <= position) return;
  back_to_ = std::min(position, back_to_.value_or(position));
  BlobHasher best(id_);
  const auto consider = [&](const std::vector<std::uint8_t>& state) {
    const auto hasher = BlobHasher::restore(id_, state);
    if (hasher && hasher->bytes() > best.bytes()) best = *hasher;
  };
  if (!boundaries_.empty()) consider(boundaries_.rbegin()->second);
  if (durable_hash_) consider(durable_hash_->state);
  hash_ = best;
  hash_changed_ = true;
}

void PartialFile::forget(SegmentIndex segment, PieceMask pieces) {
  const std::lock_guard lock(mutex_);
  if (to_int(segment) < segments_.size() && !published_) drop_pieces(segment, pieces);
}

void PartialFile::reopen(SegmentIndex segment, PieceMask pieces, std::vector<Hash256> hashes) {
  const std::lock_guard lock(mutex_);
  if (to_int(segment) >= segments_.size()) return;
  Segment& s = at(segment);
  // Only a whole segment lets its hashes go, so until now all its missing pieces were closed.
  if (s.have != 0 && s.hashes.empty()) s.hashes = std::move(hashes);
  s.closed &= ~pieces;
}

// ---- recording ----

std::optional<PartialChanges> PartialFile::take_changes() {
  const std::lock_guard lock(mutex_);
  if (detached_ || published_) return std::nullopt;
  PartialChanges out;
  out.id = id_;
  for (std::size_t i = 0; i < segments_.size(); ++i) {
    Segment& s = segments_[i];
    if (!s.masks_changed && !s.hashes_changed) continue;
    out.segments.push_back({.index = static_cast<SegmentIndex>(i),
                            .written = s.have,
                            .durable = s.durable,
                            .hashes = s.hashes_changed ? s.hashes : std::vector<Hash256>{}});
    s.masks_changed = s.hashes_changed = false;
  }
  for (const std::uint64_t boundary : new_boundaries_) {
    out.prefixes.push_back({PrefixRecord::Kind::boundary, boundary, boundaries_[boundary]});
  }
  new_boundaries_.clear();
  if (hash_changed_) out.prefixes.push_back({PrefixRecord::Kind::latest, hash_.bytes(), hash_.save()});
  if (durable_hash_changed_ && durable_hash_) out.prefixes.push_back(*durable_hash_);
  hash_changed_ = durable_hash_changed_ = false;
  out.prefix_back_to = std::exchange(back_to_, std::nullopt);
  if (out.segments.empty() && out.prefixes.empty() && !out.prefix_back_to) return std::nullopt;
  return out;
}

void PartialFile::changes_recorded(const PartialChanges& changes, bool ok) {
  const std::lock_guard lock(mutex_);
  for (const auto& record : changes.segments) {
    Segment& s = at(record.index);
    if (!ok) {
      s.masks_changed = true;
      s.hashes_changed = s.hashes_changed || !record.hashes.empty();
    } else if (!s.hashes_changed && s.have == geometry_.all_pieces(record.index)) {
      s.hashes = {};
    }
  }
  if (ok) return;
  for (const auto& prefix : changes.prefixes) {
    if (prefix.kind == PrefixRecord::Kind::boundary && boundaries_.contains(prefix.position)) {
      new_boundaries_.push_back(prefix.position);
    }
  }
  hash_changed_ = true;
  durable_hash_changed_ = durable_hash_.has_value();
  if (changes.prefix_back_to) {
    back_to_ = std::min(*changes.prefix_back_to, back_to_.value_or(*changes.prefix_back_to));
  }
}

std::uint64_t PartialFile::bytes_undurable() const {
  const std::lock_guard lock(mutex_);
  return detached_ || published_ ? 0 : bytes_have_ - bytes_durable_;
}

PartialFile::Flush PartialFile::start_flush() {
  const std::lock_guard lock(mutex_);
  Flush flush;
  flush.forgets = forgets_;
  for (std::size_t i = 0; i < segments_.size(); ++i) {
    const PieceMask open = segments_[i].have & ~segments_[i].durable;
    if (open != 0) flush.pieces.emplace_back(static_cast<SegmentIndex>(i), open);
  }
  flush.prefix = {PrefixRecord::Kind::durable, hash_.bytes(), hash_.save()};
  return flush;
}

void PartialFile::flush_succeeded(const Flush& flush) {
  const std::lock_guard lock(mutex_);
  // A piece that was forgotten and came again meanwhile is not covered: leave all to the next flush.
  if (flush.forgets != forgets_) return;
  for (const auto& [index, pieces] : flush.pieces) {
    Segment& s = at(index);
    bytes_durable_ += geometry_.bytes_in(index, pieces & ~s.durable);
    s.durable |= pieces;
    s.masks_changed = true;
  }
  durable_hash_ = flush.prefix;
  durable_hash_changed_ = true;
}

std::vector<std::pair<SegmentIndex, PieceMask>> PartialFile::flush_failed() {
  const std::lock_guard lock(mutex_);
  std::vector<std::pair<SegmentIndex, PieceMask>> lost;
  for (std::size_t i = 0; i < segments_.size(); ++i) {
    const PieceMask open = segments_[i].have & ~segments_[i].durable;
    if (open == 0) continue;
    const auto index = static_cast<SegmentIndex>(i);
    lost.emplace_back(index, open);
    drop_pieces(index, open);
  }
  return lost;
}

// ---- the publisher's hash ----

void PartialFile::move_hash(const BlobHasher& hasher) {
  hash_ = hasher;
  hash_changed_ = true;
  if (hash_.bytes() % geometry_.segment_size() == 0 && hash_.bytes() > 0) {
    boundaries_[hash_.bytes()] = hash_.save();
    new_boundaries_.push_back(hash_.bytes());
  }
  changed_.notify_all();
}

bool PartialFile::can_hash_locked() const {
  if (hashing_ || detached_ || published_ || hash_.bytes() >= id_.size) return false;
  const auto [s, p] = piece_at(hash_.bytes());
  return (at(s).have & mask_of(p)) != 0;
}

bool PartialFile::can_hash() const {
  const std::lock_guard lock(mutex_);
  return can_hash_locked();
}

Result<bool> PartialFile::hash_some(std::uint64_t budget, const std::stop_token& stop) {
  std::vector<std::byte> buffer;
  std::unique_lock lock(mutex_);
  if (!can_hash_locked()) return false;
  bool moved = false;
  std::uint64_t hashed = 0;
  while (hashed < budget && can_hash_locked() && !stop.stop_requested()) {
    BlobHasher hasher = hash_;
    const std::uint64_t begin = hasher.bytes();
    const std::uint64_t forgets = forgets_;
    const auto [s, p] = piece_at(begin);
    const std::uint64_t end = begin + geometry_.piece_length(s, p);
    const std::string path = path_;
    hashing_ = true;
    lock.unlock();

    buffer.resize(std::min<std::uint64_t>(kReadSize, end - begin));
    Result<void> read;
    while (read && hasher.bytes() < end) {
      const auto part = std::span(buffer).first(std::min<std::uint64_t>(buffer.size(), end - hasher.bytes()));
      read = read_exactly(files_, fd_.get(), hasher.bytes(), part, path);
      if (read) hasher.update(part);
    }

    lock.lock();
    hashing_ = false;
    changed_.notify_all();
    if (!read) return fail(read.error());
    // Pieces that were taken back meanwhile may have been among what was just read.
    if (forgets == forgets_ && hash_.bytes() == begin) {
      move_hash(hasher);
      moved = true;
    }
    hashed += end - begin;
  }
  return moved;
}

void PartialFile::wait_for_hash(std::uint64_t from) const {
  std::unique_lock lock(mutex_);
  // The moment is for the caller, who looks whether the store is stopping.
  changed_.wait_for(lock, std::chrono::milliseconds(100),
                    [&] { return hash_.bytes() != from || can_hash_locked() || bytes_have_ < id_.size; });
}

bool PartialFile::hash_matches() const {
  const std::lock_guard lock(mutex_);
  return hash_.matches(id_);
}

void PartialFile::set_hash(const BlobHasher& hasher) {
  const std::lock_guard lock(mutex_);
  hash_ = hasher;
  hash_changed_ = true;
}

// ---- the end ----

void PartialFile::set_published(const std::string& path) {
  const std::lock_guard lock(mutex_);
  published_ = true;
  path_ = path;
  lock_.release();
  for (auto& segment : segments_) segment.hashes = {};
  boundaries_.clear();
}

void PartialFile::detach() {
  const std::lock_guard lock(mutex_);
  detached_ = true;
  lock_.release();
}

}  // namespace shoal
