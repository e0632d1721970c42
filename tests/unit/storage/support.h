// What the storage tests share: a folder of their own, bytes with known hashes, a store to try.
#pragma once

#include "node/core/geometry.h"
#include "storage/blob_store.h"
#include "storage/hasher.h"
#include "storage/state_db.h"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

namespace shoal::test {

namespace fs = std::filesystem;

// Removed with its owner.
class TempDir {
 public:
  TempDir() {
    // In memory where that is possible: hundreds of flushes of a real disk would take most of the tests'
    // time.
    const bool shm = ::access("/dev/shm", W_OK) == 0;
    std::string pattern =
        ((shm ? fs::path("/dev/shm") : fs::temp_directory_path()) / "shoal-storage-XXXXXX").string();
    path_ = fs::canonical(::mkdtemp(pattern.data()));
  }
  ~TempDir() {
    std::error_code ec;
    fs::remove_all(path_, ec);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  [[nodiscard]] std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  [[nodiscard]] std::string path() const { return path_.string(); }

 private:
  fs::path path_;
};

using Bytes = std::vector<std::byte>;

// Bytes that differ between blocks and pieces; `salt` makes another file.
inline Bytes pattern_bytes(std::uint64_t size, unsigned salt = 0) {
  Bytes out(size);
  for (std::uint64_t i = 0; i < size; ++i) {
    out[i] = static_cast<std::byte>(i * 131 + (i >> 8U) * 7 + (i >> 16U) * 13 + salt);
  }
  return out;
}

inline BlobId sha256_id(std::span<const std::byte> bytes) {
  BlobHasher hasher(BlobId{.kind = BlobId::Kind::sha256, .digest = {}, .size = bytes.size()});
  hasher.update(bytes);
  return hasher.digest();
}
inline BlobId git_id(std::span<const std::byte> bytes) {
  BlobHasher hasher(BlobId{.kind = BlobId::Kind::git_sha1, .digest = {}, .size = bytes.size()});
  hasher.update(bytes);
  return hasher.digest();
}

inline std::span<const std::byte> piece_of(const Bytes& bytes, SegmentIndex s, PieceIndex p) {
  const Geometry g(bytes.size());
  return std::span(bytes).subspan(g.piece_offset(s, p), g.piece_length(s, p));
}

inline Bytes text_bytes(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

inline void write_file(const std::string& path, std::span<const std::byte> bytes) {
  fs::create_directories(fs::path(path).parent_path());
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  ASSERT_TRUE(out.good()) << path;
}
inline Bytes read_file(const std::string& path) {
  std::error_code none;
  const auto size = fs::file_size(path, none);
  Bytes bytes(none ? 0 : size);
  std::ifstream in(path, std::ios::binary);
  in.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  return bytes;
}
inline std::string read_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

template <typename Predicate>
bool eventually(Predicate predicate, std::chrono::seconds limit = std::chrono::seconds(20)) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!predicate()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

#define ASSERT_OK(expression)                                    \
  do {                                                           \
    const auto& result_ = (expression);                          \
    ASSERT_TRUE(result_.has_value()) << result_.error().message; \
  } while (false)

// A disk whose flushes a test decides about.
class TestFiles final : public FileSystem {
 public:
  std::function<int()> sync_data;  // returns 0 or an errno; empty: the real one

  int sync(int fd, bool data_only) override {
    return data_only && sync_data ? -sync_data() : FileSystem::sync(fd, data_only);
  }
};

// A store over a cache and a database in one folder; reopen() is a restart.
struct Machine {
  TempDir dir;
  TestFiles files;
  BlobStoreOptions options;
  std::unique_ptr<StateDb> db;
  std::unique_ptr<BlobStore> store;
  RepoRef repo{RepoType::model, "acme/model"};

  Machine() {
    options.cache_root = dir / "hub";
    options.free_space_floor = 0;
    options.boot_id = "boot-1";
    options.files = &files;
    reopen();
  }
  void close() {
    store.reset();
    db.reset();
  }
  void reopen() {
    close();
    auto opened = StateDb::open(dir / "shoal.db");
    if (!opened) throw std::runtime_error(opened.error().message);
    db = std::move(*opened);
    auto made = BlobStore::open(*db, options);
    if (!made) throw std::runtime_error(made.error().message);
    store = std::move(*made);
  }
  [[nodiscard]] HubCacheLayout layout() const { return HubCacheLayout(dir / "hub"); }

  // Writes the pieces of a run through a slice sink, `step` bytes a call.
  Result<void> fetch(const std::shared_ptr<PartialBlob>& partial, const Bytes& bytes, SegmentIndex s,
                     int first, int count, std::size_t step = 100'000) const {
    const Geometry g(bytes.size());
    auto sink = store->slice_sink(partial, s, static_cast<PieceIndex>(first), count, {});
    std::uint64_t at = g.piece_offset(s, static_cast<PieceIndex>(first));
    const auto last = static_cast<PieceIndex>(first + count - 1);
    const std::uint64_t end = g.piece_offset(s, last) + g.piece_length(s, last);
    while (at < end) {
      const auto part = std::span(bytes).subspan(at, std::min<std::uint64_t>(step, end - at));
      if (auto done = sink->write(part); !done) return done;
      at += part.size();
    }
    return {};
  }
  Result<void> fetch_all(const std::shared_ptr<PartialBlob>& partial, const Bytes& bytes) const {
    const Geometry g(bytes.size());
    for (std::uint32_t i = 0; i < g.segment_count(); ++i) {
      const auto s = static_cast<SegmentIndex>(i);
      if (auto done = fetch(partial, bytes, s, 0, g.piece_count(s)); !done) return done;
    }
    return {};
  }
  // The whole way of a blob into the cache.
  Result<void> obtain(const BlobId& id, const Bytes& bytes) const {
    auto partial = store->begin(id, repo);
    if (!partial) return fail(partial.error());
    if (auto done = fetch_all(*partial, bytes); !done) return done;
    return store->finish(*partial);
  }
};

// Three segments, the last one a short piece: 64 + 64 + 1 pieces.
inline const Bytes& two_and_a_bit() {
  static const Bytes bytes = pattern_bytes(32 * kMiB + 100'000);
  return bytes;
}
inline const std::string kCommit(40, 'c');
inline constexpr SegmentIndex kFirst{0};
inline constexpr SegmentIndex kLast{2};

// A machine that has begun to fetch that blob.
struct Download : Machine {
  const Bytes& bytes = two_and_a_bit();
  BlobId id = sha256_id(two_and_a_bit());
  Result<std::shared_ptr<PartialBlob>> partial = store->begin(id, repo);
};

}  // namespace shoal::test
