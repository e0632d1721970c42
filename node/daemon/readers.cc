#include "node/daemon/readers.h"

#include "storage/blob_store.h"
#include "storage/partial_blob.h"

#include <algorithm>
#include <utility>

namespace shoal {

// What the API's thread holds of a reader.
class Readers::Stream final : public FileStream {
 public:
  Stream(Loop& loop, std::weak_ptr<Readers> readers, Id id, std::uint64_t length)
      : loop_(loop), readers_(std::move(readers)), id_(id), length_(length) {}
  ~Stream() override {
    loop_.post([readers = readers_, id = id_] {
      if (const auto alive = readers.lock()) alive->close(id);
    });
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  [[nodiscard]] std::uint64_t length() const override { return length_; }
  void next(Ready ready) override {
    loop_.post([readers = readers_, id = id_, ready = std::move(ready)] {
      if (const auto alive = readers.lock()) alive->next(id, ready);
    });
  }

 private:
  Loop& loop_;
  const std::weak_ptr<Readers> readers_;
  const Id id_;
  const std::uint64_t length_;
};

Readers::Readers(Loop& loop, BlobStore& store, EventLog& events, OnPositions on_positions,
                 std::function<bool(const BlobId&)> is_settled)
    : loop_(loop),
      store_(store),
      events_(events),
      on_positions_(std::move(on_positions)),
      is_settled_(std::move(is_settled)) {}

std::shared_ptr<FileStream> Readers::open(What what) {
  const auto id = static_cast<Id>(next_id_++);
  Reader reader;
  reader.at = what.offset;
  reader.end = what.offset + what.length;
  const std::uint64_t length = what.length;
  const BlobId blob = what.blob;
  reader.what = std::move(what);
  readers_.emplace(id, std::move(reader));
  by_blob_[blob].insert(id);
  tell_positions(blob);
  return std::make_shared<Stream>(loop_, weak_from_this(), id, length);
}

void Readers::next(Id id, FileStream::Ready ready) {
  const auto it = readers_.find(id);
  if (it == readers_.end()) return ready(shoal::fail(Code::cancelled, "the reader is gone"));
  it->second.waiting = std::move(ready);
  serve(it->second);
}

void Readers::close(Id id) {
  const auto it = readers_.find(id);
  if (it == readers_.end()) return;
  const BlobId blob = it->second.what.blob;
  readers_.erase(it);
  auto& ids = by_blob_[blob];
  ids.erase(id);
  if (ids.empty()) by_blob_.erase(blob);
  tell_positions(blob);
}

void Readers::serve(Reader& reader) {
  if (!reader.waiting) return;
  if (reader.broken) return break_off(reader, Error(*reader.broken));
  if (reader.whole) return give(reader, reader.whole, reader.end);
  auto partial = store_.partial(reader.what.blob);
  if (!partial) return;
  if (partial->published()) {
    reader.whole = std::move(partial);
    return give(reader, reader.whole, reader.end);
  }
  if (!is_settled_(reader.what.blob)) return;
  const std::uint64_t to = std::min(readable_end(*partial, reader.at), reader.end);
  if (to > reader.at) give(reader, std::move(partial), to);
}

void Readers::give(Reader& reader, std::shared_ptr<BlobFile> file, std::uint64_t to) {
  if (!reader.whole) given_.insert(reader.what.blob);
  FileRegion region{std::move(file), reader.at, to - reader.at};
  reader.at = to;
  reader.got_any = true;
  const auto ready = std::exchange(reader.waiting, {});
  tell_positions(reader.what.blob);
  ready(std::move(region));
}

void Readers::break_off(Reader& reader, const Error& error) {
  if (!reader.broken) {
    reader.broken = error;
    events_.add({{},
                 EventLevel::warning,
                 "stream_cut",
                 {},
                 reader.what.repo,
                 reader.what.path,
                 {},
                 "a program that read it through the endpoint was cut off after " +
                     std::to_string(reader.at - reader.what.offset) + " of " +
                     std::to_string(reader.what.length) + " bytes: " + error.message});
  }
  if (const auto ready = std::exchange(reader.waiting, {})) ready(shoal::fail(*reader.broken));
}

template <typename Do>
void Readers::each(const BlobId& blob, Do what) {
  const auto it = by_blob_.find(blob);
  if (it == by_blob_.end()) return;
  for (const Id id : std::vector(it->second.begin(), it->second.end())) {
    if (const auto reader = readers_.find(id); reader != readers_.end()) what(reader->second);
  }
}

void Readers::on_progress(const BlobId& blob) {
  each(blob, [this](Reader& reader) { serve(reader); });
}

void Readers::on_done(const BlobId& blob) {
  given_.erase(blob);
  if (!any(blob)) return;
  loop_.run([&store = store_, blob] { return store.open(blob); },
            [self = weak_from_this(), blob](const Result<std::shared_ptr<BlobFile>>& file) {
              const auto alive = self.lock();
              if (!alive) return;
              if (!file) return alive->on_failed(blob, file.error());
              alive->each(blob, [&](Reader& reader) {
                if (!reader.whole) reader.whole = *file;
                alive->serve(reader);
              });
            });
}

void Readers::on_failed(const BlobId& blob, const Error& error) {
  if (error.code == Code::corrupt) remember_wrong(blob);
  each(blob, [&](Reader& reader) { break_off(reader, error); });
}

void Readers::on_wrong(const BlobId& blob, const std::string& text) {
  remember_wrong(blob);
  each(blob, [&](Reader& reader) {
    if (reader.got_any && !reader.broken) break_off(reader, Error{Code::corrupt, text, 0});
  });
}

// Also when the reader that got them has left: it may come back for the rest.
void Readers::remember_wrong(const BlobId& blob) {
  if (given_.erase(blob) == 0) return;
  if (wrong_.size() >= kWrongKept && !wrong_.contains(blob)) {
    wrong_.erase(std::ranges::min_element(wrong_, {}, [](const auto& entry) { return entry.second; }));
  }
  wrong_[blob] = std::chrono::steady_clock::now();
}

std::optional<Time> Readers::wrong_since(const BlobId& blob) const {
  const auto it = wrong_.find(blob);
  return it == wrong_.end() ? std::nullopt : std::optional(it->second);
}

void Readers::tell_positions(const BlobId& blob) {
  std::vector<std::uint64_t> offsets;
  each(blob, [&](const Reader& reader) {
    if (!reader.broken && !reader.whole && reader.at < reader.end) offsets.push_back(reader.at);
  });
  std::ranges::sort(offsets);
  on_positions_(blob, offsets);
}

std::uint64_t readable_end(const PartialBlob& partial, std::uint64_t offset) {
  const Geometry& geometry = partial.geometry();
  const std::uint64_t size = geometry.blob_size();
  const std::uint32_t segments = geometry.segment_count();
  if (offset >= size) return offset;
  const auto last = static_cast<SegmentIndex>(segments - 1);
  const std::uint64_t held_back =
      geometry.piece_offset(last, static_cast<PieceIndex>(geometry.piece_count(last) - 1));
  std::uint64_t end = offset;
  for (auto s = static_cast<std::uint32_t>(offset / geometry.segment_size()); s < segments; ++s) {
    const auto index = static_cast<SegmentIndex>(s);
    const PieceMask have = partial.have(index);
    const int count = geometry.piece_count(index);
    int piece = static_cast<int>((end - geometry.segment_offset(index)) / geometry.piece_size());
    for (; piece < count; ++piece) {
      const auto p = static_cast<PieceIndex>(piece);
      if ((have & mask_of(p)) == 0) return std::min(end, std::max(held_back, offset));
      end = geometry.piece_offset(index, p) + geometry.piece_length(index, p);
      if (end > held_back) return std::max(held_back, offset);
    }
  }
  return std::min(end, std::max(held_back, offset));
}

}  // namespace shoal
