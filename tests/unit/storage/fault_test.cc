// Every call that storage/ makes on a disk, failed once each: by the store itself and by SQLite.
//
// One script goes the whole way: a state is made, blobs arrive, are recorded, published, linked, named by a
// ref, adopted, taken over into another repo, removed. First it runs undisturbed and the calls are counted.
// Then it runs once per call, and that call fails: with an error, after half a write, or because the process
// ends there. Each time the process then dies, by kill -9 (what was written stays) or with the power (what
// was not flushed is gone), and a new one looks at what is left and goes on.
//
// It has to hold: nothing that was promised is lost, no file under blobs/ has other bytes than its name says,
// the script comes to its end, nothing of ours is left lying about. A row per kind of fault is printed:
//
//   storage_test --gtest_filter='Faults.*'
//
// SHOAL_FULL=1 tries both ways to die for each error; by default they take turns. SHOAL_FAULT=212 tries that
// call only, and both ways.
#include "storage/blob_store.h"
#include "storage/hub_cache.h"
#include "storage/state_db.h"
#include "tests/fake/faulty_disk.h"
#include "tests/unit/storage/support.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <map>
#include <set>

#include <sqlite3.h>

namespace shoal {
namespace {

namespace fs = std::filesystem;
using test::Bytes;
using test::FaultyDisk;

enum class Death { killed, power };

const RepoRef kRepo{RepoType::model, "acme/model"};
const RepoRef kCopyRepo{RepoType::model, "acme/copy"};
const RepoRef kOther{RepoType::model, "acme/other"};
constexpr std::chrono::seconds kHang{30};

struct Blob {
  Bytes bytes;
  BlobId id;
};
Blob make_blob(std::uint64_t size, unsigned salt) {
  Blob blob{test::pattern_bytes(size, salt), {}};
  blob.id = test::sha256_id(blob.bytes);
  return blob;
}
const Blob& shard() {
  static const Blob blob = make_blob(5 * 256 * kKiB + 1000, 1);  // six pieces
  return blob;
}
const Blob& config() {
  static const Blob blob = make_blob(700, 2);
  return blob;
}
const Blob& dropped() {
  static const Blob blob = make_blob(300 * kKiB, 3);
  return blob;
}
const Blob& foreign() {
  static const Blob blob = make_blob(400 * kKiB, 4);
  return blob;
}
const Blob* blob_named(const std::string& etag) {
  for (const Blob* blob : {&shard(), &config(), &dropped(), &foreign()}) {
    if (blob->id.etag() == etag) return blob;
  }
  return nullptr;
}

// What the store has said yes to, and so has to keep.
struct Promised {
  PieceMask recorded = 0;  // of the shard: survives a kill
  PieceMask durable = 0;   // survives all
  std::map<RepoRef, std::set<BlobId>> published;
  bool ref = false;
};

struct Outcome {
  std::uint64_t lost_bytes = 0;
  int wrong_files = 0;
  std::vector<std::string> problems;
  void problem(std::string text) { problems.push_back(std::move(text)); }
};

class World {
 public:
  World() {
    const HubCacheLayout other(dir_ / "elsewhere");
    test::write_file(other.blob(kOther, foreign().id), foreign().bytes);
    fs::create_directories(dir_ / "state");
  }
  ~World() { close(); }
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  FaultyDisk& disk() { return disk_; }

  // What a node does in its life. A step that failed is tried once more, as a node does; what fails twice is
  // left.
  void run(Promised& promised) {
    if (!open()) return;
    step([&] { return store_->publish_small(config().id, kRepo, config().bytes); },
         [&] { promised.published[kRepo].insert(config().id); });
    std::shared_ptr<PartialBlob> partial = begin(shard());
    if (partial) fetch(partial, shard(), 0, 4);
    step([&] { return store_->flush(); },
         [&] {
           if (partial) promised.recorded = partial->have(SegmentIndex{0});
         });
    const PieceMask before_end = partial ? partial->have(SegmentIndex{0}) : 0;
    partial.reset();
    if (close()) promised.durable = before_end;
    promised.recorded &= ~lost_;

    if (!open()) return;
    if (store_->materialize(shard().id, kRepo)) {
      promised.published[kRepo].insert(shard().id);
    } else if (partial = begin(shard()); partial) {
      // Once more when a failed flush took pieces back.
      for (int tries = 0; tries < 2 && !partial->published(); ++tries) {
        fetch(partial, shard(), 0, 6);
        step([&] { return store_->finish(partial); }, [&] { promised.published[kRepo].insert(shard().id); });
      }
    }
    promised.recorded &= ~lost_;
    if (promised.published[kRepo].contains(shard().id)) {
      bool linked = true;
      linked &= step(
          [&] { return store_->cache().link_snapshot(kRepo, test::kCommit, "config.json", config().id); });
      linked &=
          step([&] { return store_->cache().link_snapshot(kRepo, test::kCommit, "a/b/shard", shard().id); });
      if (linked) {
        step([&] { return store_->cache().write_ref(kRepo, "main", test::kCommit); },
             [&] { promised.ref = true; });
      }
      step([&] { return drop_value(store_->materialize(shard().id, kCopyRepo)); },
           [&] { promised.published[kCopyRepo].insert(shard().id); });
    }
    step([&] { return drop_value(store_->adopt(dir_ / "elsewhere", {}, {})); });
    if (auto other = begin(dropped())) {
      fetch(other, dropped(), 0, 1);
      step([&] { return store_->discard(dropped().id); });
    }
    promised.published.erase(kCopyRepo);
    step([&] { return drop_value(store_->remove(kCopyRepo)); });
  }

  // The process is gone, and perhaps the power.
  void die(Death death) {
    disk_.stop();
    close();
    if (death == Death::power) {
      disk_.lose_unflushed();
      boot_ = "boot-2";
    }
    fs::remove(dir_ / "state/shoal.db-shm");  // memory
    disk_.start();
  }

  // The next process looks at what was left, and goes on.
  Outcome recover(const Promised& promised, Death death) {
    Outcome out;
    check_files(out);
    if (!open(&out)) return out;
    check_database(out);
    for (const auto& [repo, blobs] : promised.published) {
      for (const BlobId& id : blobs) {
        const bool there = store_->materialize(id, repo).has_value();
        if (!there) {
          out.lost_bytes += id.size;
          out.problem(id.text() + " was published and is gone");
        }
      }
    }
    const PieceMask kept = death == Death::killed ? promised.recorded | promised.durable : promised.durable;
    if (!store_->find(shard().id)) check_partial(kept, out);
    if (promised.ref) check_ref(out);
    Promised again;
    close();
    run(again);
    close();
    if (!open(&out)) return out;
    if (!again.ref || again.published[kRepo].size() != 2) out.problem("the script did not come to its end");
    check_files(out);
    check_ref(out);
    check_database(out);
    check_leftovers(out);
    close();
    return out;
  }

 private:
  template <typename T>
  static Result<void> drop_value(const Result<T>& result) {
    return result ? Result<void>{} : fail(result.error());
  }
  template <typename Do>
  static bool step(Do call) {
    return call().has_value() || call().has_value();
  }
  template <typename Do, typename Then>
  static void step(Do call, Then then) {
    if (step(call)) then();
  }

  bool open(Outcome* out = nullptr) {
    trouble_ = false;
    BlobStoreOptions options;
    options.cache_root = dir_ / "hub";
    options.free_space_floor = 0;
    options.boot_id = boot_;
    options.leftover_age = std::chrono::seconds(-10);  // this test is faster than a second
    options.files = &disk_;
    // Nothing happens by itself, so that each run makes the same calls.
    options.record_delay = options.sync_interval = std::chrono::hours(1);
    options.record_bytes = options.sync_bytes = kGiB;
    options.on_pieces_lost = [this](const SegmentKey&, PieceMask pieces, const Error&) {
      // A dead process takes nothing back.
      if (!disk_.stopped()) lost_ |= pieces;
    };
    options.on_trouble = [this](const Error&) { trouble_ = true; };
    for (int tries = 0; tries < 2; ++tries) {
      auto db = StateDb::open(dir_ / "state/shoal.db", {.files = &disk_, .sqlite_vfs = disk_.sqlite_vfs()});
      if (!db) {
        if (out != nullptr) out->problem("the database does not open: " + db.error().message);
        continue;
      }
      db_ = std::move(*db);
      auto store = BlobStore::open(*db_, options);
      if (store) {
        store_ = std::move(*store);
        return true;
      }
      if (out != nullptr) out->problem("the store does not open: " + store.error().message);
      db_.reset();
    }
    return false;
  }
  // True: without any trouble, so what was there is durable.
  bool close() {
    if (!store_) return false;
    store_.reset();
    db_.reset();
    return !trouble_;
  }

  std::shared_ptr<PartialBlob> begin(const Blob& blob) {
    for (int tries = 0; tries < 2; ++tries) {
      auto partial = store_->begin(blob.id, kRepo);
      if (partial) return std::move(*partial);
    }
    return nullptr;
  }
  void fetch(const std::shared_ptr<PartialBlob>& partial, const Blob& blob, int first, int end) {
    const Geometry g(blob.id.size);
    for (int p = first; p < std::min(end, g.piece_count(SegmentIndex{0})); ++p) {
      const auto piece = static_cast<PieceIndex>(p);
      for (int tries = 0; tries < 2 && (partial->have(SegmentIndex{0}) & mask_of(piece)) == 0; ++tries) {
        auto sink = store_->slice_sink(partial, SegmentIndex{0}, piece, 1, {});
        static_cast<void>(sink->write(test::piece_of(blob.bytes, SegmentIndex{0}, piece)));
      }
    }
  }

  // No name under blobs/ may have other bytes.
  void check_files(Outcome& out) {
    for (const RepoRef& repo : {kRepo, kCopyRepo, kOther}) {
      for (const std::string& root : {dir_ / "hub", dir_ / "elsewhere"}) {
        const fs::path blobs = HubCacheLayout(root).blobs_dir(repo);
        if (!fs::exists(blobs)) continue;
        for (const auto& entry : fs::directory_iterator(blobs)) {
          const std::string name = entry.path().filename().string();
          if (!is_blob_name(name)) continue;
          const Blob* blob = blob_named(name);
          if (blob != nullptr && test::read_file(entry.path().string()) == blob->bytes) continue;
          ++out.wrong_files;
          out.problem(entry.path().string() + " is wrong");
        }
      }
    }
    if (test::read_file(HubCacheLayout(dir_ / "elsewhere").blob(kOther, foreign().id)) != foreign().bytes) {
      out.problem("an adopted file was touched");
    }
  }

  void check_partial(PieceMask promised, Outcome& out) {
    const auto partial = store_->begin(shard().id, kRepo);
    if (!partial) {
      out.problem("the partial does not open: " + partial.error().message);
      return;
    }
    const Geometry g(shard().id.size);
    const PieceMask have = (*partial)->have(SegmentIndex{0});
    if ((promised & ~have) != 0) {
      out.lost_bytes += g.bytes_in(SegmentIndex{0}, promised & ~have);
      out.problem(std::to_string(std::popcount(promised & ~have)) + " recorded pieces are gone");
    }
    for (int p = 0; p < g.piece_count(SegmentIndex{0}); ++p) {
      const auto piece = static_cast<PieceIndex>(p);
      if ((have & mask_of(piece)) == 0) continue;
      Bytes there(g.piece_length(SegmentIndex{0}, piece));
      const auto read = (*partial)->read_at(g.piece_offset(SegmentIndex{0}, piece), there);
      if (read && std::ranges::equal(there, test::piece_of(shard().bytes, SegmentIndex{0}, piece))) continue;
      ++out.wrong_files;
      out.problem("piece " + std::to_string(p) + " is believed and not there");
    }
  }

  void check_ref(Outcome& out) {
    const HubCacheLayout layout(dir_ / "hub");
    if (test::read_text(layout.ref(kRepo, "main")) != test::kCommit) out.problem("the ref is gone");
    if (test::read_file(layout.snapshot_entry(kRepo, test::kCommit, "a/b/shard")) != shard().bytes ||
        test::read_file(layout.snapshot_entry(kRepo, test::kCommit, "config.json")) != config().bytes) {
      out.problem("the ref names a snapshot that is not whole");
    }
  }

  void check_database(Outcome& out) {
    sqlite3* db = nullptr;
    std::string answer;
    sqlite3_open((dir_ / "state/shoal.db").c_str(), &db);
    sqlite3_exec(
        db, "PRAGMA integrity_check",
        [](void* text, int, char** values, char**) {
          *static_cast<std::string*>(text) += values[0];
          return 0;
        },
        &answer, nullptr);
    sqlite3_close(db);
    if (answer != "ok") out.problem("integrity_check: " + answer);
  }

  // Of ours in the cache: the tag, locks, right blobs, links and refs.
  void check_leftovers(Outcome& out) {
    for (const auto& entry : fs::recursive_directory_iterator(dir_ / "hub")) {
      const std::string path = entry.path().string();
      const std::string name = entry.path().filename().string();
      if (entry.is_directory() || entry.is_symlink() || is_blob_name(name) || name == "CACHEDIR.TAG" ||
          name == "main" || path.find("/.locks/") != std::string::npos) {
        continue;
      }
      out.problem("left over: " + path);
    }
  }

  test::TempDir dir_;
  FaultyDisk disk_{dir_ / "stash"};
  std::string boot_ = "boot-1";
  std::atomic<bool> trouble_{false};
  std::atomic<PieceMask> lost_{0};  // taken back by a failed flush, as it has to be
  std::unique_ptr<StateDb> db_;
  std::unique_ptr<BlobStore> store_;
};

const std::vector<std::string>& calls_of_the_script() {
  static const std::vector<std::string> calls = [] {
    World world;
    Promised promised;
    world.disk().plan({});
    world.run(promised);
    EXPECT_TRUE(promised.ref);
    return world.disk().trace();
  }();
  return calls;
}

class Faults : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    std::printf("%-28s %8s %12s %12s %8s\n", "fault", "tried", "lost bytes", "wrong files", "hangs");
  }

  // `applies`: to which calls.
  template <typename Applies>
  void try_each(const char* what, FaultyDisk::Fault fault, const std::vector<Death>& deaths,
                Applies applies) {
    const auto& calls = calls_of_the_script();
    const char* one = std::getenv("SHOAL_FAULT");
    const std::size_t only = one == nullptr ? 0 : std::strtoull(one, nullptr, 10);
    int tried = 0;
    std::uint64_t lost = 0;
    int wrong = 0;
    for (std::size_t i = 0; i < calls.size(); ++i) {
      if (!applies(calls[i]) || (only != 0 && i + 1 != only)) continue;
      fault.at = i + 1;
      std::vector<Death> ways = deaths;
      if (ways.size() > 1 && only == 0 && std::getenv("SHOAL_FULL") == nullptr)
        ways = {deaths[static_cast<std::size_t>(tried) % 2]};
      for (const Death death : ways) {
        ++tried;
        std::string hit;
        auto run = std::async(std::launch::async, [&] {
          World world;
          Promised promised;
          world.disk().plan(fault);
          world.run(promised);
          hit = world.disk().hit();
          world.die(death);
          return world.recover(promised, death);
        });
        if (run.wait_for(kHang) != std::future_status::ready) {
          std::printf("%s: call %zu (%s): hangs\n", what, i + 1, calls[i].c_str());
          std::fflush(stdout);
          std::abort();  // the thread cannot be ended
        }
        const Outcome outcome = run.get();
        lost += outcome.lost_bytes;
        wrong += outcome.wrong_files;
        for (const std::string& problem : outcome.problems) {
          ADD_FAILURE() << what << ", call " << i + 1 << " (" << hit << "), "
                        << (death == Death::killed ? "killed" : "power lost") << ": " << problem;
        }
      }
    }
    std::printf("%-28s %8d %12llu %12d %8d\n", what, tried, static_cast<unsigned long long>(lost), wrong, 0);
    EXPECT_EQ(lost, 0U);
    EXPECT_EQ(wrong, 0);
    EXPECT_GT(tried, 0);
  }
};

bool any_call(const std::string&) {
  return true;
}
bool takes_space(const std::string& call) {
  return call.find("write") != std::string::npos || call == "resize" || call == "mkdir" || call == "open" ||
         call == "rename" || call == "link" || call == "symlink" || call == "sync";
}
bool writes(const std::string& call) {
  return call.find("write") != std::string::npos;
}

TEST_F(Faults, AnIoErrorInAnyCall) {
  try_each("EIO", {.error = EIO}, {Death::killed, Death::power}, any_call);
}
TEST_F(Faults, NoSpaceInAnyCallThatTakesSome) {
  try_each("ENOSPC", {.error = ENOSPC}, {Death::killed, Death::power}, takes_space);
}
TEST_F(Faults, HalfAWrite) {
  try_each("short write", {.error = ENOSPC, .short_write = true}, {Death::killed, Death::power}, writes);
}
TEST_F(Faults, KilledBeforeAnyCall) {
  try_each("kill -9", {.crash = true}, {Death::killed}, any_call);
}
TEST_F(Faults, PowerLostBeforeAnyCall) {
  try_each("power lost", {.crash = true}, {Death::power}, any_call);
}

}  // namespace
}  // namespace shoal
