// A process that is killed between any two writes. The child is forked before any thread exists in it, writes
// through the real store, reports each piece through a pipe once it knows it to be recorded, and is shot.
#include "storage/blob_store.h"
#include "tests/unit/storage/support.h"

#include <set>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

namespace shoal {
namespace {

using test::Bytes;
using test::pattern_bytes;

const Bytes& blob() {
  static const Bytes bytes = pattern_bytes(40 * kMiB);  // three segments, 160 pieces
  return bytes;
}

struct Piece {
  std::uint32_t segment;
  std::uint32_t piece;
};

Result<std::unique_ptr<BlobStore>> open_store(StateDb& db, const test::TempDir& dir) {
  BlobStoreOptions options;
  options.cache_root = dir / "hub";
  options.free_space_floor = 0;
  options.boot_id = "the-same-boot";
  return BlobStore::open(db, options);
}

// Never returns. Fetches what is missing, two runs in turn so that there are gaps; every 4th piece it waits
// for the record and then tells the parent of all pieces so far.
[[noreturn]] void child(const test::TempDir& dir, const BlobId& id, const RepoRef& repo, int pipe_fd) {
  auto db = StateDb::open(dir / "shoal.db");
  if (!db) ::_exit(10);
  auto store = open_store(**db, dir);
  if (!store) ::_exit(11);
  auto partial = (*store)->begin(id, repo);
  if (!partial) ::_exit(12);
  const Geometry g(id.size);
  std::vector<Piece> waiting;
  for (int turn = 0; turn < 2; ++turn) {
    for (std::uint32_t s = 0; s < g.segment_count(); ++s) {
      const auto segment = static_cast<SegmentIndex>(s);
      for (int p = 0; p < g.piece_count(segment); ++p) {
        const auto piece = static_cast<PieceIndex>(p);
        if ((p / 3) % 2 != turn || ((*partial)->have(segment) & mask_of(piece)) != 0) continue;
        auto sink = (*store)->slice_sink(*partial, segment, piece, 1, {});
        if (!sink->write(test::piece_of(blob(), segment, piece))) ::_exit(13);
        waiting.push_back({s, static_cast<std::uint32_t>(p)});
        if (waiting.size() < 4) continue;
        if (!(*store)->flush()) ::_exit(14);
        const auto size = static_cast<ssize_t>(waiting.size() * sizeof(Piece));
        if (::write(pipe_fd, waiting.data(), waiting.size() * sizeof(Piece)) != size) ::_exit(15);
        waiting.clear();
      }
    }
  }
  while (true) ::pause();
}

TEST(Crash, NothingThatWasRecordedIsLostByAKill) {
  test::TempDir dir;
  const RepoRef repo{RepoType::model, "acme/model"};
  const BlobId id = test::sha256_id(blob());
  const Geometry g(id.size);
  std::set<std::pair<std::uint32_t, std::uint32_t>> told;
  for (const std::size_t more : {16U, 4U, 40U, 24U, 32U}) {
    int fds[2];
    ASSERT_EQ(::pipe(fds), 0);
    const pid_t pid = ::fork();
    ASSERT_GE(pid, 0);
    if (pid == 0) {
      ::close(fds[0]);
      child(dir, id, repo, fds[1]);
    }
    ::close(fds[1]);
    const std::size_t enough = told.size() + more;
    Piece piece{};
    while (told.size() < enough && ::read(fds[0], &piece, sizeof piece) == ssize_t{sizeof piece}) {
      EXPECT_TRUE(told.insert({piece.segment, piece.piece}).second) << "fetched twice";
    }
    ::kill(pid, SIGKILL);
    while (::read(fds[0], &piece, sizeof piece) == ssize_t{sizeof piece})
      told.insert({piece.segment, piece.piece});
    int status = 0;
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself: " << WEXITSTATUS(status);
    ::close(fds[0]);
    EXPECT_GE(told.size(), enough);

    auto db = StateDb::open(dir / "shoal.db");
    ASSERT_OK(db);
    auto store = open_store(**db, dir);
    ASSERT_OK(store);
    auto partial = (*store)->begin(id, repo);
    ASSERT_OK(partial);
    std::size_t have = 0;
    for (std::uint32_t s = 0; s < g.segment_count(); ++s) {
      const auto segment = static_cast<SegmentIndex>(s);
      const auto known = (*store)->hashes({id, segment});
      ASSERT_OK(known);
      EXPECT_EQ(known->have, (*partial)->have(segment));
      for (int p = 0; p < g.piece_count(segment); ++p) {
        const auto index = static_cast<PieceIndex>(p);
        if ((known->have & mask_of(index)) == 0) continue;
        ++have;
        // What is trusted is there.
        Bytes there(g.piece_length(segment, index));
        ASSERT_OK((*partial)->read_at(g.piece_offset(segment, index), there));
        ASSERT_TRUE(std::ranges::equal(there, test::piece_of(blob(), segment, index)));
        ASSERT_EQ(known->piece_hashes[static_cast<std::size_t>(p)], hash_piece(g, segment, index, there));
      }
    }
    for (const auto& [s, p] : told) {
      EXPECT_NE((*partial)->have(static_cast<SegmentIndex>(s)) & mask_of(static_cast<PieceIndex>(p)), 0U)
          << "segment " << s << " piece " << p << " was recorded and is gone";
    }
    EXPECT_GE(have, told.size());
    told.clear();
    for (std::uint32_t s = 0; s < g.segment_count(); ++s) {
      for (std::uint32_t p = 0; p < 64; ++p) {
        if (((*partial)->have(static_cast<SegmentIndex>(s)) & mask_of(static_cast<PieceIndex>(p))) != 0) {
          told.insert({s, p});
        }
      }
    }
  }

  // And the rest gives the right file.
  auto db = StateDb::open(dir / "shoal.db");
  ASSERT_OK(db);
  auto store = open_store(**db, dir);
  ASSERT_OK(store);
  auto partial = (*store)->begin(id, repo);
  ASSERT_OK(partial);
  for (std::uint32_t s = 0; s < g.segment_count(); ++s) {
    const auto segment = static_cast<SegmentIndex>(s);
    auto sink = (*store)->slice_sink(*partial, segment, PieceIndex{0}, g.piece_count(segment), {});
    ASSERT_OK(sink->write(std::span(blob()).subspan(g.segment_offset(segment), g.segment_length(segment))));
  }
  ASSERT_OK((*store)->finish(*partial));
  EXPECT_EQ(test::read_file((*store)->find(id)->path), blob());
}

TEST(Crash, AKillBetweenTheRenameAndItsRecordIsFinishedAtTheNextStart) {
  test::Machine m;
  const Bytes bytes = pattern_bytes(3 * kMiB);
  const BlobId id = test::sha256_id(bytes);
  {
    auto partial = m.store->begin(id, m.repo);
    ASSERT_OK(partial);
    ASSERT_OK(m.fetch_all(*partial, bytes));
  }
  m.close();
  std::filesystem::rename(m.layout().partial(m.repo, id), m.layout().blob(m.repo, id));
  m.reopen();
  EXPECT_TRUE(m.store->partials()->empty());
  ASSERT_TRUE(m.store->find(id, m.repo).has_value());
  EXPECT_EQ(m.store->hashes({id, SegmentIndex{0}})->have, mask_of_run(0, 12));
}

TEST(Crash, AnotherFileUnderTheFinalNameIsNotTakenForThePublishedOne) {
  test::Machine m;
  const Bytes bytes = pattern_bytes(3 * kMiB);
  const BlobId id = test::sha256_id(bytes);
  {
    auto partial = m.store->begin(id, m.repo);
    ASSERT_OK(partial);
    ASSERT_OK(m.fetch_all(*partial, bytes));
  }
  m.close();
  test::write_file(m.layout().blob(m.repo, id), pattern_bytes(3 * kMiB, 1));
  std::filesystem::remove(m.layout().partial(m.repo, id));
  m.reopen();
  EXPECT_EQ(m.store->find(id), std::nullopt);
}

}  // namespace
}  // namespace shoal
