// What shoal.db says of a download that was under way (storage/blob_records.h, partials.cc): rows with any
// numbers and midstates, over a file of zeros that has none of the bytes it is said to have.
//
// Input: one byte that chooses the blob; then rows, each a byte for its kind, numbers, and bytes.
#include "storage/blob_store.h"
#include "storage/hasher.h"
#include "storage/hub_cache_layout.h"
#include "storage/sqlite_connection.h"
#include "tests/fuzz/fuzz_target.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <memory>

#include <sys/stat.h>
#include <unistd.h>

using namespace shoal;

namespace {

namespace fs = std::filesystem;
const RepoRef kRepo{RepoType::model, "acme/tiny"};

// One database and cache for all inputs; gone with the process.
struct Place {
  fs::path root;
  std::unique_ptr<StateDb> db;
  Place() {
    // Where flushing costs nothing, if there is such a place.
    const bool shared_memory = ::access("/dev/shm", W_OK) == 0;
    std::string name =
        ((shared_memory ? fs::path("/dev/shm") : fs::temp_directory_path()) / "shoal-fuzz-XXXXXX").string();
    FUZZ_REQUIRE(::mkdtemp(name.data()) != nullptr);
    root = name;
    fs::create_directories(root / "hub");
    db = StateDb::open((root / "shoal.db").string()).value();
  }
  ~Place() {
    db.reset();
    std::error_code ignored;
    fs::remove_all(root, ignored);
  }
};

BlobId blob_of(std::uint8_t choice) {
  BlobId id;
  id.kind = (choice & 1U) != 0 ? BlobId::Kind::git_sha1 : BlobId::Kind::sha256;
  for (std::size_t i = 0; i < (id.kind == BlobId::Kind::sha256 ? 32U : 20U); ++i) id.digest[i] = 0x5a;
  // One piece, some pieces, and two segments.
  constexpr std::array<std::uint64_t, 4> kSizes{100, 700 * kKiB, kMiB, 16 * kMiB + 1};
  id.size = kSizes[(choice >> 1U) % 4U];
  return id;
}

void put_rows(SqliteConnection& db, fuzz::Input& fields, std::int64_t row) {
  for (int rows = 0; rows < 8 && !fields.empty(); ++rows) {
    const std::uint8_t kind = fields.u8();
    const auto first = static_cast<std::int64_t>(fields.u64());
    if (kind % 2 == 0) {
      auto insert =
          db.prepare("INSERT INTO segment (blob, idx, written, durable, hashes) VALUES (?, ?, ?, ?, ?)");
      insert.bind(row).bind(first).bind_u64(fields.u64()).bind_u64(fields.u64());
      insert.bind_blob(fields.take(fields.u8() * 8U));
      static_cast<void>(insert.run().has_value());
    } else {
      auto insert = db.prepare("INSERT INTO prefix_hash (blob, kind, position, state) VALUES (?, ?, ?, ?)");
      insert.bind(row).bind(std::int64_t{kind} >> 1U).bind(first).bind_blob(fields.take(fields.u8()));
      static_cast<void>(insert.run().has_value());
    }
  }
}

std::int64_t put_partial(SqliteConnection& db, const BlobId& id, const std::string& path,
                         std::uint64_t inode) {
  auto blob = db.prepare("INSERT INTO blob (blob_id, size) VALUES (?, ?)");
  FUZZ_REQUIRE(blob.bind(id.text()).bind_u64(id.size).run().has_value());
  const std::int64_t row = db.last_row_id();
  auto partial = db.prepare(
      "INSERT INTO partial (blob, type, repo, path, inode, boot_id, started_at) VALUES (?, ?, ?, ?, ?, ?, "
      "0)");
  partial.bind(row).bind("model").bind(kRepo.name).bind(path).bind_u64(inode).bind("this-boot");
  FUZZ_REQUIRE(partial.run().has_value());
  return row;
}

void check(BlobStore& store, const BlobId& id) {
  const auto partial = store.begin(id, kRepo);
  FUZZ_REQUIRE(partial.has_value());
  const Geometry& cut = (*partial)->geometry();
  std::uint64_t bytes = 0;
  for (std::uint32_t s = 0; s < cut.segment_count(); ++s) {
    const SegmentIndex segment{s};
    const PieceMask have = (*partial)->have(segment);
    FUZZ_REQUIRE((have & ~cut.all_pieces(segment)) == 0);
    bytes += cut.bytes_in(segment, have);
    const auto hashes = store.hashes({id, segment});
    if (hashes)
      FUZZ_REQUIRE(hashes->piece_hashes.size() == static_cast<std::size_t>(cut.piece_count(segment)));
  }
  FUZZ_REQUIRE((*partial)->bytes_have() == bytes && bytes <= id.size);
  FUZZ_REQUIRE((*partial)->bytes_hashed() <= id.size);
  // The file is all zeros: whatever the rows say, it is never published.
  FUZZ_REQUIRE(!store.finish(*partial));
  FUZZ_REQUIRE(!store.find(id));
}

void midstates(fuzz::Bytes saved) {
  for (const std::uint8_t choice : {0, 1, 6}) {
    const auto hasher = BlobHasher::restore(blob_of(choice), saved);
    if (hasher) FUZZ_REQUIRE(std::ranges::equal(hasher->save(), saved));
  }
}

}  // namespace

SHOAL_FUZZ_TARGET(resume, 40) {
  static const Place place;
  midstates(input);
  fuzz::Input fields(input);
  const BlobId id = blob_of(fields.u8());
  const HubCacheLayout layout((place.root / "hub").string());
  const std::string path = layout.partial(kRepo, id);
  fs::create_directories(layout.blobs_dir(kRepo));
  { const std::ofstream made(path); }
  fs::resize_file(path, id.size);
  struct stat stat {};
  FUZZ_REQUIRE(::stat(path.c_str(), &stat) == 0);
  {
    SqliteConnection& db = place.db->writer();
    const auto lock = db.lock();
    put_rows(db, fields, put_partial(db, id, path, stat.st_ino));
  }
  BlobStoreOptions options;
  options.cache_root = layout.root();
  options.free_space_floor = 0;
  options.boot_id = "this-boot";
  auto store = BlobStore::open(*place.db, options);
  FUZZ_REQUIRE(store.has_value());
  check(**store, id);
  FUZZ_REQUIRE((*store)->discard(id).has_value());
}
