#include "transport/swarm/segment_disk.h"

#include <cerrno>
#include <utility>
#include <vector>

namespace shoal {
namespace {

lt::storage_error to_storage_error(const std::optional<Error>& error, lt::operation_t operation) {
  if (!error) return {};
  if (error->code == Code::cancelled) {
    return {lt::error_code(boost::asio::error::operation_aborted), lt::file_index_t{0}, operation};
  }
  const int raw = error->code == Code::no_space ? ENOSPC : error->raw > 0 ? error->raw : EIO;
  return {lt::error_code(raw, lt::system_category()), lt::file_index_t{0}, operation};
}

lt::storage_error not_supported() {
  return lt::storage_error(
      lt::error_code(boost::system::errc::operation_not_supported, lt::generic_category()));
}

class SegmentDisk final : public lt::disk_interface {
 public:
  SegmentDisk(std::shared_ptr<DiskShared> shared, lt::io_context& context)
      : shared_(std::move(shared)), io_(shared_->io()) {
    io_.set_post([&context](std::shared_ptr<SegmentIo::Completions> done) {
      boost::asio::post(context, [done = std::move(done)] { done->run(); });
    });
  }

  lt::storage_holder new_torrent(const lt::storage_params& params, const std::shared_ptr<void>&) override {
    Torrent torrent;
    torrent.hash = params.info_hash;
    torrent.piece_size = static_cast<std::uint32_t>(params.files.piece_length());
    auto place = shared_->take_place(params.info_hash).value_or(SegmentPlace{});
    // Not total_size(): libtorrent 2.0.8 adds a padding file behind the one file of a torrent whose last
    // piece is short, and asks for the last block as if it were whole.
    torrent.length = static_cast<std::uint64_t>(params.files.file_size(lt::file_index_t{0}));
    torrent.id = io_.open(std::move(place.file), place.offset, torrent.length, torrent.piece_size);
    if (torrent.id >= torrents_.size()) torrents_.resize(torrent.id + 1);
    torrents_[torrent.id] = torrent;
    return {lt::storage_index_t{torrent.id}, *this};
  }

  void remove_torrent(lt::storage_index_t storage) override { io_.close(id_of(storage)); }

  void async_read(lt::storage_index_t storage, const lt::peer_request& r,
                  std::function<void(lt::disk_buffer_holder, const lt::storage_error&)> handler,
                  lt::disk_job_flags_t) override {
    const auto length = static_cast<std::uint32_t>(r.length);
    io_.read(id_of(storage), offset_of(storage, r.piece, r.start), length,
             [this, storage, length, handler = std::move(handler)](char* block,
                                                                   const std::optional<Error>& error) {
               note(storage, error);
               lt::disk_buffer_holder holder;
               if (block != nullptr) holder = {*shared_, block, static_cast<int>(length)};
               handler(std::move(holder), to_storage_error(error, lt::operation_t::file_read));
             });
  }

  bool async_write(lt::storage_index_t storage, const lt::peer_request& r, const char* buffer,
                   std::shared_ptr<lt::disk_observer> observer,
                   std::function<void(const lt::storage_error&)> handler, lt::disk_job_flags_t) override {
    return io_.write(
        id_of(storage), offset_of(storage, r.piece, r.start), {buffer, static_cast<std::size_t>(r.length)},
        [this, storage, handler = std::move(handler)](const std::optional<Error>& error) {
          note(storage, error);
          handler(to_storage_error(error, lt::operation_t::file_write));
        },
        [weak = std::weak_ptr(observer)] {
          if (const auto strong = weak.lock()) strong->on_disk();
        });
  }

  void async_hash(lt::storage_index_t storage, lt::piece_index_t piece, lt::span<lt::sha256_hash> v2,
                  lt::disk_job_flags_t,
                  std::function<void(lt::piece_index_t, const lt::sha1_hash&, const lt::storage_error&)>
                      handler) override {
    auto leaves = std::make_shared<std::vector<Hash256>>(static_cast<std::size_t>(v2.size()));
    const std::span<Hash256> out(*leaves);
    io_.hash_piece(id_of(storage), static_cast<int>(piece), out,
                   [this, storage, piece, v2, leaves = std::move(leaves),
                    handler = std::move(handler)](const std::optional<Error>& error) mutable {
                     note(storage, error);
                     for (std::size_t i = 0; i < leaves->size(); ++i) {
                       v2[static_cast<std::ptrdiff_t>(i)] =
                           lt::sha256_hash(reinterpret_cast<const char*>((*leaves)[i].bytes.data()));
                     }
                     // No v1 hash is ever asked for: all torrents are v2 only.
                     handler(piece, lt::sha1_hash(), to_storage_error(error, lt::operation_t::file_read));
                   });
  }

  // Asked when a peer wants hashes below the piece layer: a foreign client that resumes in the middle of a
  // piece.
  void async_hash2(lt::storage_index_t storage, lt::piece_index_t piece, int offset, lt::disk_job_flags_t,
                   std::function<void(lt::piece_index_t, const lt::sha256_hash&, const lt::storage_error&)>
                       handler) override {
    const auto begin = offset_of(storage, piece, offset);
    const auto length =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(kBlockSize, torrent(storage).length - begin));
    io_.read(id_of(storage), begin, length,
             [this, storage, piece, length, handler = std::move(handler)](char* block,
                                                                          const std::optional<Error>& error) {
               note(storage, error);
               lt::sha256_hash hash;
               if (block != nullptr) {
                 hash =
                     lt::hasher256(lt::span<const char>(block, static_cast<std::ptrdiff_t>(length))).final();
                 shared_->free_disk_buffer(block);
               }
               handler(piece, hash, to_storage_error(error, lt::operation_t::file_read));
             });
  }

  void async_release_files(lt::storage_index_t storage, std::function<void()> handler) override {
    if (handler) io_.when_idle(id_of(storage), std::move(handler));
  }
  void async_stop_torrent(lt::storage_index_t storage, std::function<void()> handler) override {
    if (handler) io_.when_idle(id_of(storage), std::move(handler));
  }
  void async_clear_piece(lt::storage_index_t storage, lt::piece_index_t piece,
                         std::function<void(lt::piece_index_t)> handler) override {
    io_.when_piece_idle(id_of(storage), static_cast<int>(piece),
                        [piece, handler = std::move(handler)] { handler(piece); });
  }

  // The journal is the truth and torrents are added with no_verify_files: there is nothing to check.
  void async_check_files(lt::storage_index_t, const lt::add_torrent_params*,
                         lt::aux::vector<std::string, lt::file_index_t>,
                         std::function<void(lt::status_t, const lt::storage_error&)> handler) override {
    io_.complete([handler = std::move(handler)] { handler(lt::status_t::no_error, lt::storage_error()); });
  }

  // Files are the store's business: none is ever moved, renamed or deleted from here.
  void async_move_storage(
      lt::storage_index_t, std::string path, lt::move_flags_t,
      std::function<void(lt::status_t, const std::string&, const lt::storage_error&)> handler) override {
    io_.complete([path = std::move(path), handler = std::move(handler)] {
      handler(lt::status_t::fatal_disk_error, path, not_supported());
    });
  }
  void async_rename_file(
      lt::storage_index_t, lt::file_index_t file, std::string name,
      std::function<void(const std::string&, lt::file_index_t, const lt::storage_error&)> handler) override {
    io_.complete([file, name = std::move(name), handler = std::move(handler)] {
      handler(name, file, not_supported());
    });
  }
  void async_delete_files(lt::storage_index_t, lt::remove_flags_t,
                          std::function<void(const lt::storage_error&)> handler) override {
    io_.complete([handler = std::move(handler)] { handler(not_supported()); });
  }
  void async_set_file_priority(lt::storage_index_t,
                               lt::aux::vector<lt::download_priority_t, lt::file_index_t> priorities,
                               std::function<void(const lt::storage_error&,
                                                  lt::aux::vector<lt::download_priority_t, lt::file_index_t>)>
                                   handler) override {
    io_.complete([priorities = std::move(priorities), handler = std::move(handler)] {
      handler(lt::storage_error(), priorities);
    });
  }

  void update_stats_counters(lt::counters&) const override {}
  std::vector<lt::open_file_state> get_status(lt::storage_index_t) const override { return {}; }
  // Blocks the network thread for what is queued, at most write_queue_bytes: the session is going down.
  void abort(bool) override { io_.close_all(); }
  void submit_jobs() override { io_.submit(); }
  void settings_updated() override {}

 private:
  struct Torrent {
    SegmentIo::StorageId id = 0;
    std::uint64_t length = 0;
    std::uint32_t piece_size = 0;
    lt::sha1_hash hash;
    bool failed = false;
  };

  static SegmentIo::StorageId id_of(lt::storage_index_t storage) {
    return static_cast<std::uint32_t>(storage);
  }
  Torrent& torrent(lt::storage_index_t storage) { return torrents_[id_of(storage)]; }
  std::uint64_t offset_of(lt::storage_index_t storage, lt::piece_index_t piece, int start) {
    return static_cast<std::uint64_t>(static_cast<int>(piece)) * torrent(storage).piece_size +
           static_cast<std::uint64_t>(start);
  }

  void note(lt::storage_index_t storage, const std::optional<Error>& error) {
    if (!error || error->code == Code::cancelled || torrent(storage).failed) return;
    torrent(storage).failed = true;
    shared_->report(torrent(storage).hash, *error);
  }

  const std::shared_ptr<DiskShared> shared_;
  SegmentIo& io_;
  std::vector<Torrent> torrents_;  // by storage id
};

}  // namespace

void DiskShared::place(const lt::sha1_hash& torrent, SegmentPlace where) {
  const std::lock_guard lock(mutex_);
  places_[torrent] = std::move(where);
}

std::optional<SegmentPlace> DiskShared::take_place(const lt::sha1_hash& torrent) {
  const std::lock_guard lock(mutex_);
  const auto found = places_.find(torrent);
  if (found == places_.end()) return std::nullopt;
  auto place = std::move(found->second);
  places_.erase(found);
  return place;
}

lt::disk_io_constructor_type disk_constructor(std::shared_ptr<DiskShared> shared) {
  return [shared = std::move(shared)](lt::io_context& context, const lt::settings_interface&, lt::counters&) {
    return std::make_unique<SegmentDisk>(shared, context);
  };
}

}  // namespace shoal
