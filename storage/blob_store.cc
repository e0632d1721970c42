#include "storage/blob_store.h"

#include "storage/blob_store_impl.h"

#include <chrono>
#include <filesystem>

#include <fcntl.h>

namespace shoal {
namespace {

constexpr const char* kBootIdFile = "/proc/sys/kernel/random/boot_id";

class CompleteFile final : public BlobFile {
 public:
  CompleteFile(FileSystem& files, BlobId id, std::string path, UniqueFd fd)
      : files_(files), id_(id), path_(std::move(path)), fd_(std::move(fd)) {}
  [[nodiscard]] const BlobId& id() const override { return id_; }
  [[nodiscard]] int descriptor() const override { return fd_.get(); }
  Result<void> read_at(std::uint64_t offset, std::span<std::byte> out) override {
    if (offset > id_.size || out.size() > id_.size - offset) {
      return fail(Code::invalid, "a read past the end of " + path_);
    }
    return read_exactly(files_, fd_.get(), offset, out, path_);
  }
  Result<void> write_at(std::uint64_t, std::span<const std::span<const std::byte>>) override {
    return fail(Code::invalid, path_ + " is complete and not written to");
  }

 private:
  FileSystem& files_;
  const BlobId id_;
  const std::string path_;
  const UniqueFd fd_;
};

}  // namespace

Result<std::unique_ptr<BlobStore>> BlobStore::open(StateDb& db, BlobStoreOptions options) {
  auto store = std::make_unique<BlobStoreImpl>(db, std::move(options));
  if (auto started = store->start(); !started) return fail(started.error());
  return std::unique_ptr<BlobStore>(std::move(store));
}

BlobStoreImpl::BlobStoreImpl(StateDb& db, BlobStoreOptions options)
    : db_(db), records_(db), options_(std::move(options)), cache_("") {}

BlobStoreImpl::~BlobStoreImpl() {
  stop_.request_stop();
  // Hashing first: what it still moved is recorded by the journal's end. Both are there until their threads
  // and callbacks have ended, since these use them.
  if (workers_) workers_->stop();
  if (journal_) journal_->stop();
}

Result<void> BlobStoreImpl::start() {
  if (auto made = make_dirs(files(), options_.cache_root); !made) return made;
  // One spelling of the root, whatever links lead to it: recorded paths are compared as text.
  std::error_code ec;
  const auto root = std::filesystem::canonical(options_.cache_root, ec);
  if (ec) return fail_errno(ec.value(), "find", options_.cache_root);
  cache_ = HubCache(root.string(), files());
  if (auto ready = cache_.prepare(); !ready) return ready;
  if (options_.boot_id.empty()) {
    // Unreadable (not Linux as we know it): a value that no run shares, so that only durable pieces count.
    const auto boot = read_small_file(files(), kBootIdFile, 64);
    options_.boot_id = boot ? *boot : "unknown-" + random_tag();
    while (!options_.boot_id.empty() && options_.boot_id.back() == '\n') options_.boot_id.pop_back();
  }
  if (auto swept = cache_.sweep(options_.leftover_age); !swept) return swept;
  if (auto recovered = recover_partials(); !recovered) return recovered;

  const auto on_trouble = [this](const Error& error) { trouble(error); };
  journal_ = std::make_unique<Journal>(
      db_, Journal::Options{.record_delay = options_.record_delay,
                            .record_bytes = options_.record_bytes,
                            .sync_interval = options_.sync_interval,
                            .sync_bytes = options_.sync_bytes,
                            .files = &files(),
                            .on_flush_failed = [this](const PartialPtr& file,
                                                      const Error& error) { lose_unflushed(file, error); },
                            .on_trouble = on_trouble});
  workers_ = std::make_unique<HashWorkers>(
      options_.hash_threads,
      HashWorkers::Callbacks{.on_moved = [this](const PartialPtr& file) { journal_->note(file, 0); },
                             .on_hashed =
                                 [this](const PartialPtr& file) {
                                   if (options_.on_hashed) options_.on_hashed(file->id());
                                 },
                             .on_trouble = on_trouble});
  return {};
}

void BlobStoreImpl::trouble(const Error& error) {
  using namespace std::chrono;
  if (!options_.on_trouble) return;
  {
    const std::lock_guard lock(mutex_);
    const auto now = duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
    if (last_trouble_ms_ != 0 && now - last_trouble_ms_ < 1000) return;
    last_trouble_ms_ = now;
  }
  options_.on_trouble(error);
}

Result<std::optional<CopyRecord>> BlobStoreImpl::intact_copy(const BlobId& id,
                                                             const std::optional<RepoRef>& repo) {
  auto copies = records_.copies(id);
  if (!copies) return fail(copies.error());
  for (auto& copy : *copies) {
    if (repo && copy.repo != *repo) continue;
    const auto stamp = stamp_of(files(), copy.path);
    if (stamp && *stamp == copy.stamp) return std::optional(std::move(copy));
    // A folder that cannot be read right now is no proof that the file is gone.
    if (!stamp && stamp.error().code == Code::io) continue;
    if (auto dropped = records_.drop_copy(id, copy.path); !dropped) return fail(dropped.error());
  }
  return std::optional<CopyRecord>{};
}

std::optional<FoundPath> BlobStoreImpl::find(const BlobId& id, const std::optional<RepoRef>& repo) {
  auto copy = intact_copy(id, repo);
  if (!copy) {
    trouble(copy.error());
    return std::nullopt;
  }
  if (!*copy) return std::nullopt;
  return FoundPath{std::move((*copy)->path), std::move((*copy)->repo)};
}

Result<std::vector<BlobId>> BlobStoreImpl::held() {
  return records_.held();
}

Result<std::shared_ptr<BlobFile>> BlobStoreImpl::open(const BlobId& id) {
  const auto copy = intact_copy(id, std::nullopt);
  if (!copy) return fail(copy.error());
  if (!*copy) {
    if (auto file = live(id)) return std::shared_ptr<BlobFile>(std::move(file));
    return fail(Code::not_found, id.text() + " is not on this machine");
  }
  const std::lock_guard lock(mutex_);
  if (auto file = open_[id].lock()) return file;
  std::erase_if(open_, [](const auto& entry) { return entry.second.expired(); });
  const std::string& path = (*copy)->path;
  auto fd = open_file(files(), path, O_RDONLY);
  if (!fd) return fail(fd.error());
  const auto stamp = stamp_of(files(), fd->get(), path);
  if (!stamp) return fail(stamp.error());
  if (*stamp != (*copy)->stamp) return fail(Code::not_found, path + " has just been replaced");
  auto file = std::make_shared<CompleteFile>(files(), id, path, std::move(*fd));
  open_[id] = file;
  return std::shared_ptr<BlobFile>(std::move(file));
}

Result<SegmentHashes> BlobStoreImpl::hashes(const SegmentKey& key) {
  const Geometry geometry(key.blob.size);
  if (to_int(key.index) >= geometry.segment_count()) {
    return fail(Code::not_found, key.blob.text() + " has no segment " + std::to_string(to_int(key.index)));
  }
  const auto count = static_cast<std::size_t>(geometry.piece_count(key.index));
  std::optional<PieceMask> live_have;
  if (const auto file = live(key.blob)) {
    auto known = file->known(key.index);
    if (known.hashes) {
      // Slots of missing pieces may hold the hash of bytes that were taken back.
      for (std::size_t i = 0; i < count; ++i) {
        if ((known.have & mask_of(static_cast<PieceIndex>(i))) == 0) (*known.hashes)[i] = {};
      }
      return SegmentHashes{known.have, std::move(*known.hashes)};
    }
    live_have = known.have;
  } else {
    const auto copies = records_.copies(key.blob);
    if (!copies) return fail(copies.error());
    if (copies->empty()) return fail(Code::not_found, key.blob.text() + " is not on this machine");
  }
  auto record = records_.segment(key);
  if (!record) return fail(record.error());
  if (!*record || (*record)->hashes.size() != count) {
    return fail(Code::corrupt, "the database lacks the hashes of a segment of " + key.blob.text());
  }
  return SegmentHashes{live_have.value_or((*record)->written), std::move((*record)->hashes)};
}

}  // namespace shoal
