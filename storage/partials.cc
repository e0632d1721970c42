// Blobs that are coming in: begin, pieces, finish.
#include "storage/blob_store_impl.h"
#include "storage/read_hash.h"
#include "storage/slice_writer.h"

#include <algorithm>
#include <bit>

#include <fcntl.h>

namespace shoal {
PartialPtr BlobStoreImpl::live(const BlobId& id) const {
  const std::lock_guard lock(mutex_);
  const auto it = live_.find(id);
  auto file = it == live_.end() ? nullptr : it->second.lock();
  return file && !file->detached() && !file->published() ? file : nullptr;
}

std::shared_ptr<PartialBlob> BlobStoreImpl::partial(const BlobId& id) {
  return live(id);
}

Result<std::vector<BlobId>> BlobStoreImpl::partials() {
  const auto records = records_.partials();
  if (!records) return fail(records.error());
  std::vector<BlobId> out;
  for (const auto& record : *records) out.push_back(record.id);
  return out;
}

Result<void> BlobStoreImpl::flush() {
  return journal_->record_now(false);
}

Result<void> BlobStoreImpl::check_space(const BlobId& id, std::uint64_t more) {
  const std::string& root = cache_.layout().root();
  std::uint64_t free = 0;
  if (const int rc = files().free_space(root, free); rc < 0)
    return fail_errno(-rc, "ask for the free space of", root);
  std::uint64_t promised = 0;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [other, weak] : live_) {
      const auto file = other == id ? nullptr : weak.lock();
      if (file && !file->detached() && !file->published()) promised += other.size - file->bytes_have();
    }
  }
  if (free >= options_.free_space_floor && free - options_.free_space_floor >= promised &&
      free - options_.free_space_floor - promised >= more) {
    return {};
  }
  std::string text = human_size(more) + " are needed, but only " + human_size(free) + " are free in " + root;
  if (options_.free_space_floor > 0) {
    text += ", of which " + human_size(options_.free_space_floor) + " stay free";
  }
  if (promised > 0) text += " and " + human_size(promised) + " belong to downloads under way";
  return fail(Code::no_space, std::move(text));
}

// ---- begin ----

Result<void> BlobStoreImpl::recover_partials() {
  const auto records = records_.partials();
  if (!records) return fail(records.error());
  for (const auto& record : *records) {
    if (const auto stamp = stamp_of(files(), record.path); stamp || stamp.error().code == Code::io) continue;
    // The rename was the last step before the record: the same inode under the final name was verified.
    const std::string path = cache_.layout().blob(record.repo, record.id);
    const auto stamp = stamp_of(files(), path);
    const bool renamed = stamp && stamp->inode == record.inode && stamp->size == record.id.size;
    auto done =
        renamed ? records_.publish(record.id,
                                   {.repo = record.repo, .path = path, .stamp = *stamp, .source = "fetched"})
                : records_.drop_partial(record.id);
    if (!done) return done;
  }
  return {};
}

Result<std::shared_ptr<PartialBlob>> BlobStoreImpl::begin(const BlobId& id, const RepoRef& repo) {
  if (!is_valid_repo_name(repo.name))
    return fail(Code::invalid, "'" + repo.name + "' is not the name of a repo");
  if (id.size > kMaxBlobSize) return fail(Code::invalid, id.text() + " is said to be impossibly large");
  const std::lock_guard deciding(begin_mutex_);
  if (auto file = live(id)) return std::shared_ptr<PartialBlob>(std::move(file));
  if (const auto found = find(id, std::nullopt)) {
    return fail(Code::invalid, id.text() + " is complete already: " + found->path);
  }
  const auto former = records_.partial(id);
  if (!former) return fail(former.error());
  PartialRecord record{.id = id,
                       .repo = repo,
                       .path = cache_.layout().partial(repo, id),
                       .inode = 0,
                       .boot_id = options_.boot_id};
  bool resume = false;
  if (*former) {
    // A file in another cache, from before the cache was moved, is left to that one.
    resume = (*former)->path == cache_.layout().partial((*former)->repo, id) &&
             stamp_of(files(), (*former)->path).has_value();
    if (resume) {
      record = **former;
    } else if (auto dropped = records_.drop_partial(id); !dropped) {
      return fail(dropped.error());
    }
  }
  auto file = open_partial(record, resume);
  if (!file) return fail(file.error());
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(live_, [](const auto& entry) { return entry.second.expired(); });
    live_[id] = *file;
  }
  if ((*file)->can_hash()) workers_->offer(*file);
  return std::shared_ptr<PartialBlob>(std::move(*file));
}

Result<PartialPtr> BlobStoreImpl::open_partial(const PartialRecord& record, bool resume) {
  const BlobId& id = record.id;
  if (auto made = cache_.prepare_repo(record.repo); !made) return fail(made.error());
  auto lock = cache_.try_lock(record.repo, id);
  if (!lock) return fail(lock.error());
  if (!*lock) {
    return fail(Code::unavailable, "another program is downloading this file (it holds " +
                                       cache_.layout().lock(record.repo, id) + ")");
  }
  auto fd = open_file(files(), record.path, O_RDWR | O_CREAT);
  if (!fd) return fail(fd.error());
  auto stamp = stamp_of(files(), fd->get(), record.path);
  if (!stamp) return fail(stamp.error());

  std::vector<SegmentRecord> segments;
  std::vector<PrefixRecord> prefixes;
  bool rewrite = false;  // the records have to follow what was found
  if (resume) {
    auto masks = records_.masks(id);
    if (!masks) return fail(masks.error());
    segments = std::move(*masks);
    const bool same_file = stamp->inode == record.inode && stamp->size == id.size;
    if (same_file && record.boot_id != options_.boot_id) {
      if (auto done = records_.reboot_partial(id, options_.boot_id); !done) return fail(done.error());
      for (auto& segment : segments) segment.written = segment.durable;
    } else if (!same_file) {
      // Restored from a backup, or moved with its cache: believed as far as it hashes right.
      segments = recheck(fd->get(), record, segments);
      rewrite = true;
    }
    auto states = records_.prefixes(id);
    if (!states) return fail(states.error());
    prefixes = std::move(*states);
    // Hashes of segments in progress stay in memory; those of whole ones are read when someone asks.
    const Geometry geometry(id.size);
    for (auto& segment : segments) {
      if (segment.written == 0 || segment.written == geometry.all_pieces(segment.index)) continue;
      auto full = records_.segment({id, segment.index});
      if (!full) return fail(full.error());
      if (*full) segment.hashes = std::move((*full)->hashes);
      segment.hashes.resize(static_cast<std::size_t>(geometry.piece_count(segment.index)));
    }
  }

  auto file = std::make_shared<PartialFile>(PartialFile::Origin{.id = id,
                                                                .repo = record.repo,
                                                                .path = record.path,
                                                                .fd = std::move(*fd),
                                                                .lock = std::move(**lock),
                                                                .files = &files()});
  file->restore(segments, prefixes);
  if (auto space = check_space(id, id.size - file->bytes_have()); !space) {
    if (!resume) files().unlink(record.path);
    return fail(space.error());
  }
  // A new file is emptied first: what a lost database left there is known to nobody.
  Result<void> sized;
  if (!resume && stamp->size > 0) sized = resize_file(files(), file->fd(), 0, record.path);
  if (sized && (stamp->size != id.size || !resume))
    sized = resize_file(files(), file->fd(), id.size, record.path);
  // The name as well: what is durable in the file must be found again.
  if (sized && !resume) sized = sync_dir(files(), parent_of(record.path));
  if (!sized) {
    if (!resume) files().unlink(record.path);
    return fail(sized.error());
  }
  if (!resume || rewrite) {
    if (rewrite) {
      if (auto dropped = records_.drop_partial(id); !dropped) return fail(dropped.error());
    }
    PartialRecord current = record;
    current.inode = stamp->inode;
    current.boot_id = options_.boot_id;
    if (auto begun = records_.begin_partial(current); !begun) return fail(begun.error());
    if (rewrite) {
      auto done =
          records_.record({{.id = id, .segments = segments, .prefixes = {}, .prefix_back_to = {}}}, true);
      if (!done) return fail(done.error());
    }
  }
  if (auto changes = file->take_changes()) {
    // Midstates over pieces that a power loss took: void on the disk before those pieces are written anew.
    auto done = records_.record({*changes}, true);
    if (!done) return fail(done.error());
  }
  return file;
}

std::vector<SegmentRecord> BlobStoreImpl::recheck(int fd, const PartialRecord& record,
                                                  const std::vector<SegmentRecord>& segments) {
  const Geometry geometry(record.id.size);
  std::vector<SegmentRecord> out;
  std::vector<std::byte> buffer(kMiB);
  for (const auto& masks : segments) {
    auto full = records_.segment({record.id, masks.index});
    if (!full || !*full || to_int(masks.index) >= geometry.segment_count()) continue;
    SegmentRecord& segment = **full;
    PieceMask good = 0;
    for (PieceMask rest = segment.written & geometry.all_pieces(masks.index); rest != 0; rest &= rest - 1) {
      const auto piece = static_cast<PieceIndex>(std::countr_zero(rest));
      const auto slot = static_cast<std::size_t>(to_int(piece));
      PieceHasher hasher(geometry, masks.index, piece);
      Result<void> read;
      while (read && !hasher.whole()) {
        const auto part =
            std::span(buffer).first(std::min<std::size_t>(buffer.size(), hasher.length() - hasher.fed()));
        read = read_exactly(files(), fd, geometry.piece_offset(masks.index, piece) + hasher.fed(), part,
                            record.path);
        if (read) hasher.update(part);
      }
      if (read && slot < segment.hashes.size() && hasher.finish() == segment.hashes[slot])
        good |= mask_of(piece);
    }
    if (good == 0) continue;
    // What was just read may still be on its way to the disk.
    out.push_back({.index = masks.index, .written = good, .durable = 0, .hashes = std::move(segment.hashes)});
  }
  return out;
}

// ---- pieces ----

void BlobStoreImpl::after_piece(const PartialPtr& file, std::uint64_t bytes) {
  journal_->note(file, bytes);
  if (file->can_hash()) workers_->offer(file);
  if (file->bytes_hashed() == file->id().size && options_.on_hashed) options_.on_hashed(file->id());
}

std::shared_ptr<SliceSink> BlobStoreImpl::slice_sink(const std::shared_ptr<PartialBlob>& partial,
                                                     SegmentIndex segment, PieceIndex first, int count,
                                                     OnPiece on_piece) {
  // All partials are ours.
  auto file = std::static_pointer_cast<PartialFile>(partial);
  count = std::min(count, file->geometry().piece_count(segment) - to_int(first));
  return std::make_shared<SliceWriter>(
      file, segment, first, count,
      [this, on_piece = std::move(on_piece)](const PartialPtr& at, const SegmentKey& key, PieceIndex piece,
                                             const Hash256& hash) {
        after_piece(at, at->geometry().piece_length(key.index, piece));
        if (on_piece) on_piece(key, piece, hash);
      });
}

void BlobStoreImpl::note_piece(const SegmentKey& key, PieceIndex piece, const Hash256& hash) {
  const auto file = live(key.blob);
  if (!file || !file->add_piece(key.index, piece, hash)) return;
  after_piece(file, file->geometry().piece_length(key.index, piece));
}

Result<void> BlobStoreImpl::forget_pieces(const SegmentKey& key, PieceMask pieces) {
  const auto file = live(key.blob);
  if (!file) return fail(Code::not_found, key.blob.text() + " is not being fetched");
  file->forget(key.index, pieces);
  journal_->note(file, 0);
  return record_losses(file, {{key.index, pieces}});
}

Result<void> BlobStoreImpl::record_losses(const PartialPtr& file, const Losses& losses) {
  if (auto done = journal_->record_now(true); !done) return done;
  for (const auto& [segment, pieces] : losses) {
    std::vector<Hash256> hashes;
    const auto known = file->known(segment);
    if (known.have != 0 && !known.hashes) {
      auto record = records_.segment({file->id(), segment});
      if (!record) return fail(record.error());
      if (*record) hashes = std::move((*record)->hashes);
      hashes.resize(static_cast<std::size_t>(file->geometry().piece_count(segment)));
    }
    file->reopen(segment, pieces, std::move(hashes));
  }
  if (file->can_hash()) workers_->offer(file);
  return {};
}

void BlobStoreImpl::lose_unflushed(const PartialPtr& file, const Error& error) {
  const Losses lost = file->flush_failed();
  journal_->note(file, 0);
  if (auto done = record_losses(file, lost); !done) trouble(done.error());
  trouble(error);
  if (!options_.on_pieces_lost) return;
  for (const auto& [segment, pieces] : lost) options_.on_pieces_lost({file->id(), segment}, pieces, error);
}

// ---- finish ----

Result<void> BlobStoreImpl::finish(const std::shared_ptr<PartialBlob>& partial) {
  auto file = std::static_pointer_cast<PartialFile>(partial);
  if (file->published()) return {};
  if (file->detached()) return fail(Code::invalid, file->id().text() + " was discarded");
  if (auto checked = check_whole(file); !checked) return checked;
  return publish(file);
}

Result<void> BlobStoreImpl::check_whole(const PartialPtr& file) {
  const BlobId& id = file->id();
  while (true) {
    if (!file->all_here()) {
      return fail(Code::invalid,
                  human_size(id.size - file->bytes_have()) + " of " + id.text() + " are missing");
    }
    const std::uint64_t hashed = file->bytes_hashed();
    if (hashed == id.size) break;
    if (stop_.stop_requested()) return fail(Code::cancelled, "the node is stopping");
    const auto moved = file->hash_some(UINT64_MAX, stop_.get_token());
    if (!moved) return fail(moved.error());
    if (*moved) {
      journal_->note(file, 0);
    } else {
      file->wait_for_hash(hashed);
    }
  }
  if (file->hash_matches()) return {};
  return reread_whole(file);
}

// The bytes may have been hashed in memory, or by a former run, and be others on the disk: the disk decides.
Result<void> BlobStoreImpl::reread_whole(const PartialPtr& file) {
  const BlobId& id = file->id();
  const std::string path = file->path();
  const auto hashes = read_and_hash(files(), file->fd(), id, path, {}, stop_.get_token());
  if (!hashes) return fail(hashes.error());
  int bad = 0;
  for (const auto& found : hashes->segments) {
    const auto recorded = this->hashes({id, found.index});
    if (!recorded) return fail(recorded.error());
    PieceMask wrong = 0;
    for (std::size_t i = 0; i < found.hashes.size(); ++i) {
      if (found.hashes[i] != recorded->piece_hashes[i]) wrong |= mask_of(static_cast<PieceIndex>(i));
    }
    if (wrong == 0) continue;
    bad += std::popcount(wrong);
    if (auto forgotten = forget_pieces({id, found.index}, wrong); !forgotten) return forgotten;
  }
  if (bad > 0) {
    return fail(Code::corrupt, std::to_string(bad) + " pieces of " + path +
                                   " are no longer what was written; they have to be fetched again");
  }
  file->set_hash(hashes->whole);
  if (hashes->whole.matches(id)) return {};
  return fail(Code::corrupt, "the bytes that came for " + id.text() + " have " +
                                 hashes->whole.digest().text() + ": some piece hash was wrong");
}

Result<void> BlobStoreImpl::publish(const PartialPtr& file) {
  const BlobId& id = file->id();
  const std::string from = file->path();
  const std::string to = cache_.layout().blob(file->repo(), id);
  // The slow part first: others may begin meanwhile.
  if (auto flushed = journal_->flush_now(file); !flushed) {
    lose_unflushed(file, flushed.error());
    return flushed;
  }
  if (auto recorded = journal_->record_now(false); !recorded) return recorded;
  const std::lock_guard deciding(begin_mutex_);
  if (file->published()) return {};
  if (!file->all_here()) return fail(Code::invalid, "pieces of " + id.text() + " were taken back meanwhile");
  if (auto renamed = rename_file(files(), from, to); !renamed) {
    // A former try may have come as far as the rename.
    const auto mine = stamp_of(files(), file->fd(), from);
    const auto there = stamp_of(files(), to);
    if (!mine || !there || mine->inode != there->inode) return renamed;
  }
  if (auto synced = sync_dir(files(), parent_of(to)); !synced) return synced;
  const auto stamp = stamp_of(files(), file->fd(), to);
  if (!stamp) return fail(stamp.error());
  if (auto done =
          records_.publish(id, {.repo = file->repo(), .path = to, .stamp = *stamp, .source = "fetched"});
      !done) {
    return done;
  }
  file->set_published(to);
  journal_->forget(file);
  const std::lock_guard lock(mutex_);
  live_.erase(id);
  // Segments that are loaded keep the descriptor: open() gives the same one, and eviction does not take it
  // for another program's.
  open_[id] = file;
  return {};
}

Result<void> BlobStoreImpl::discard(const BlobId& id) {
  const std::lock_guard deciding(begin_mutex_);
  if (const auto file = live(id)) file->detach();
  {
    const std::lock_guard lock(mutex_);
    live_.erase(id);
  }
  const auto record = records_.partial(id);
  if (!record) return fail(record.error());
  if (!*record) return {};
  // Records first: a record without its file is dropped at the next start, a file without its record is
  // emptied.
  if (auto dropped = records_.drop_partial(id); !dropped) return dropped;
  return remove_file(files(), (*record)->path);
}

}  // namespace shoal
