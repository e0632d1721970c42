// Blobs that need no download: those of this disk, and those that came in a message.
#include "storage/blob_store_impl.h"
#include "storage/read_hash.h"

#include <cerrno>

#include <fcntl.h>

namespace shoal {
namespace {

// A file under a temporary name, removed unless it was renamed away.
struct TempName {
  FileSystem& files;
  std::string path;
  ~TempName() { files.unlink(path); }
};

// Shares the extents where the file system can, else lets the kernel copy, else copies by hand.
Result<void> copy_bytes(FileSystem& files, int from, int to, std::uint64_t size, const std::string& path) {
  if (files.clone(from, to) == 0) return {};
  std::uint64_t done = 0;
  while (done < size) {
    const ssize_t n = files.copy(from, to, done, size - done);
    if (n == -ENOSPC) return fail_errno(ENOSPC, "copy to", path);
    if (n <= 0) break;
    done += static_cast<std::uint64_t>(n);
  }
  std::vector<std::byte> buffer(kMiB);
  while (done < size) {
    const auto part = std::span(buffer).first(std::min<std::uint64_t>(buffer.size(), size - done));
    if (auto read = read_exactly(files, from, done, part, path); !read) return read;
    if (auto written = write_all(files, to, done, part, path); !written) return written;
    done += part.size();
  }
  return {};
}

}  // namespace

Result<std::uint64_t> BlobStoreImpl::materialize(const BlobId& id, const RepoRef& repo) {
  if (!is_valid_repo_name(repo.name))
    return fail(Code::invalid, "'" + repo.name + "' is not the name of a repo");
  if (find(id, repo)) return id.size;
  const std::string final_path = cache_.layout().blob(repo, id);
  // Someone else's download: believed once it was read.
  if (const auto stamp = stamp_of(files(), final_path); stamp && stamp->size == id.size) {
    const auto adopted = adopt_file(id, repo, final_path, stop_.get_token(), {});
    if (adopted) return id.size;
    if (adopted.error().code == Code::cancelled) return fail(adopted.error());
  }
  while (true) {
    const auto copy = intact_copy(id, std::nullopt);
    if (!copy) return fail(copy.error());
    if (!*copy) return fail(Code::not_found, id.text() + " is not on this machine");
    auto linked = link_copy(id, repo, **copy);
    if (linked) return id.size;
    // The copy changed under our hands; intact_copy() drops it and offers the next.
    if (linked.error().code != Code::changed) return fail(linked.error());
  }
}

Result<void> BlobStoreImpl::link_copy(const BlobId& id, const RepoRef& repo, const CopyRecord& from) {
  const HubCacheLayout& layout = cache_.layout();
  if (auto made = cache_.prepare_repo(repo); !made) return made;
  const std::string path = layout.blob(repo, id);
  const TempName temp{files(), layout.small_temp(repo, id, random_tag())};
  CopyRecord record{.repo = repo, .path = path, .stamp = {}, .source = "linked"};

  if (files().link(from.path, temp.path) == 0) {
    const auto stamp = stamp_of(files(), temp.path);
    if (!stamp) return fail(stamp.error());
    if (*stamp != from.stamp) return fail(Code::changed, from.path + " has just been replaced");
    record.stamp = *stamp;
  } else {
    const auto source = open_file(files(), from.path, O_RDONLY);
    if (!source) {
      return source.error().code == Code::not_found
                 ? fail(Code::changed, from.path + " has just been removed")
                 : fail(source.error());
    }
    if (auto space = check_space(id, id.size); !space) return space;
    const auto target = open_file(files(), temp.path, O_WRONLY | O_CREAT | O_EXCL);
    if (!target) return fail(target.error());
    auto done = copy_bytes(files(), source->get(), target->get(), id.size, temp.path);
    if (done) done = sync_file(files(), target->get(), temp.path);
    if (!done) return done;
    const auto before = stamp_of(files(), source->get(), from.path);
    if (!before || *before != from.stamp)
      return fail(Code::changed, from.path + " was changed while it was copied");
    const auto stamp = stamp_of(files(), target->get(), temp.path);
    if (!stamp) return fail(stamp.error());
    record.stamp = *stamp;
    record.source = "copied";
  }
  if (auto renamed = rename_file(files(), temp.path, path); !renamed) return renamed;
  if (auto synced = sync_dir(files(), layout.blobs_dir(repo)); !synced) return synced;
  return records_.add_copy(id, record, {});
}

Result<void> BlobStoreImpl::adopt_file(const BlobId& id, const RepoRef& repo, const std::string& path,
                                       const std::stop_token& stop,
                                       const std::function<void(std::uint64_t)>& on_bytes) {
  const auto fd = open_file(files(), path, O_RDONLY | O_NOFOLLOW);
  if (!fd) return fail(fd.error());
  const auto before = stamp_of(files(), fd->get(), path);
  if (!before) return fail(before.error());
  if (before->size != id.size) return fail(Code::changed, path + " changed while it was looked at");
  const auto hashes = read_and_hash(files(), fd->get(), id, path, on_bytes, stop);
  if (!hashes) return fail(hashes.error());
  const auto after = stamp_of(files(), path);
  if (!after || *after != *before) return fail(Code::changed, path + " changed while it was read");
  if (!hashes->whole.matches(id)) {
    return fail(Code::corrupt,
                path + " is not what its name says: its bytes have " + hashes->whole.digest().text());
  }
  return records_.add_copy(id, {.repo = repo, .path = path, .stamp = *before, .source = "adopted"},
                           hashes->segments);
}

Result<void> BlobStoreImpl::publish_small(const BlobId& id, const RepoRef& repo,
                                          std::span<const std::byte> bytes) {
  if (id.size > kSmallBlobMax || bytes.size() != id.size) {
    return fail(Code::invalid, id.text() + " came with " + std::to_string(bytes.size()) +
                                   " bytes instead of " + std::to_string(id.size));
  }
  BlobHasher whole(id);
  whole.update(bytes);
  if (!whole.matches(id))
    return fail(Code::corrupt, "the bytes that came for " + id.text() + " are not that blob");
  if (find(id, repo)) return {};
  if (auto made = cache_.prepare_repo(repo); !made) return made;
  if (auto space = check_space(id, id.size); !space) return space;

  const HubCacheLayout& layout = cache_.layout();
  const std::string path = layout.blob(repo, id);
  const TempName temp{files(), layout.small_temp(repo, id, random_tag())};
  const auto fd = open_file(files(), temp.path, O_WRONLY | O_CREAT | O_EXCL);
  if (!fd) return fail(fd.error());
  auto done = write_all(files(), fd->get(), 0, bytes, temp.path);
  if (done) done = sync_file(files(), fd->get(), temp.path);
  if (done) done = rename_file(files(), temp.path, path);
  if (done) done = sync_dir(files(), layout.blobs_dir(repo));
  if (!done) return done;
  const auto stamp = stamp_of(files(), fd->get(), path);
  if (!stamp) return fail(stamp.error());

  std::vector<SegmentRecord> segments;
  const Geometry geometry(id.size);
  for (std::uint32_t i = 0; i < geometry.segment_count(); ++i) {
    const auto segment = static_cast<SegmentIndex>(i);
    const PieceMask all = geometry.all_pieces(segment);
    // A small blob is one piece.
    segments.push_back({.index = segment,
                        .written = all,
                        .durable = all,
                        .hashes = {hash_piece(geometry, segment, PieceIndex{0}, bytes)}});
  }
  if (auto added =
          records_.add_copy(id, {.repo = repo, .path = path, .stamp = *stamp, .source = "fetched"}, segments);
      !added) {
    return added;
  }
  // Also asked for piece by piece: that file has no more use.
  return records_.partial(id).value_or(std::nullopt) ? discard(id) : Result<void>{};
}

}  // namespace shoal
