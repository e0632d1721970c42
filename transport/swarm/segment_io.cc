#include "transport/swarm/segment_io.h"

#include "transport/swarm/sha256.h"

#include <algorithm>
#include <cassert>
#include <chrono>
#include <cstring>
#include <iterator>
#include <list>
#include <utility>

#include <pthread.h>

namespace shoal {
namespace {

using Clock = std::chrono::steady_clock;

Error cancelled() {
  return {Code::cancelled, "the swarm is stopping", 0};
}

}  // namespace

struct SegmentIo::ReadJob {
  std::uint64_t offset = 0;
  std::uint32_t length = 0;
  std::uint32_t inside = 0;  // of the length, the rest is past the end
  OnRead done;
  char* block = nullptr;
  std::optional<Error> error;
};

struct SegmentIo::WriteJob {
  std::uint64_t offset = 0;
  std::uint32_t length = 0;
  OnWritten done;
  char* block = nullptr;
  std::optional<Error> error;
  Hash256 leaf;
};

struct SegmentIo::HashJob {
  int piece = 0;
  std::span<Hash256> leaves;
  OnHashed done;
  std::vector<bool> known;  // leaves that need not be read back; empty: none is known
  std::optional<Error> error;
};

// Finished work on its way to the thread that asked for it.
struct SegmentIo::Done final : Completions {
  explicit Done(SegmentIo& owner) : io(&owner) {}
  Done(Done&&) = default;
  Done& operator=(Done&&) = delete;
  ~Done() override {
    for (auto& read : reads) {
      if (read.block != nullptr) io->free_block(read.block);
    }
  }

  void run() override {
    for (auto& read : reads) read.done(std::exchange(read.block, nullptr), read.error);
    for (auto& [done, error] : writes) done(error);
    for (auto& hash : hashes) hash.done(hash.error);
    for (auto& other : others) other();
  }
  [[nodiscard]] bool empty() const {
    return reads.empty() && writes.empty() && hashes.empty() && others.empty();
  }

  SegmentIo* io;
  std::vector<ReadJob> reads;
  std::vector<std::pair<OnWritten, std::optional<Error>>> writes;
  std::vector<HashJob> hashes;
  std::vector<std::function<void()>> others;
};

// Blocks that wait for the others of their run, so that a run is written by one call. Guarded by the owner's
// mutex_.
struct SegmentIo::Held {
  using Key = std::pair<StorageId, std::uint64_t>;  // with the run's number in the segment
  struct Run {
    std::vector<WriteJob> blocks;
    std::list<Key>::iterator age;
  };
  std::map<Key, Run> runs;
  std::list<Key> by_age;  // front: begun first
  std::size_t bytes = 0;
};

// All fields but the constant ones are guarded by the owner's mutex_.
struct SegmentIo::Storage {
  // A piece that is being received.
  struct Piece {
    int writes = 0;               // queued or in flight
    std::vector<Hash256> leaves;  // empty: no table, read back
    std::vector<bool> known;
    std::optional<HashJob> hash;  // waits for the writes
    std::vector<std::function<void()>> when_idle;

    [[nodiscard]] bool waited_for() const { return hash || !when_idle.empty(); }
  };

  // Constant.
  std::shared_ptr<BlobFile> file;
  std::uint64_t base = 0;
  std::uint64_t length = 0;
  std::uint32_t piece_size = 0;
  std::uint64_t run_size = 0;

  std::size_t held = 0;  // blocks in runs that are not complete
  std::deque<ReadJob> reads;
  std::deque<WriteJob> writes;
  std::deque<HashJob> hashes;
  std::map<int, Piece> pieces;
  std::vector<std::function<void()>> when_idle;
  int in_flight = 0;   // batches with workers
  bool ready = false;  // is in ready_ or starved_

  // How many of the bytes are not past the end.
  [[nodiscard]] std::uint32_t inside(std::uint64_t offset, std::uint32_t bytes) const {
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(bytes, length - std::min(offset, length)));
  }
  [[nodiscard]] bool has_work() const { return !reads.empty() || !writes.empty() || !hashes.empty(); }
  [[nodiscard]] bool idle() const { return in_flight == 0 && held == 0 && !has_work(); }
  [[nodiscard]] int piece_of(std::uint64_t offset) const { return static_cast<int>(offset / piece_size); }
  [[nodiscard]] std::size_t leaf_in_piece(std::uint64_t offset) const {
    return offset % piece_size / kBlockSize;
  }
  [[nodiscard]] std::uint64_t piece_begin(int piece) const {
    return static_cast<std::uint64_t>(piece) * piece_size;
  }
  [[nodiscard]] std::size_t blocks_in(int piece) const { return blocks_at(piece_begin(piece), piece_size); }
  [[nodiscard]] std::size_t blocks_at(std::uint64_t offset, std::uint64_t bytes) const {
    return static_cast<std::size_t>((std::min(bytes, length - offset) + kBlockSize - 1) / kBlockSize);
  }
};

struct SegmentIo::Batch {
  std::vector<ReadJob> reads;
  std::vector<WriteJob> writes;
  std::optional<HashJob> hash;
};

SegmentIo::SegmentIo(Options options)
    : options_(options), held_(std::make_unique<Held>()), working_most_(options.threads) {
  workers_.reserve(static_cast<std::size_t>(options_.threads));
  for (int i = 0; i < options_.threads; ++i) {
    workers_.emplace_back([this] {
      pthread_setname_np(pthread_self(), "swarm-disk");
      worker();
    });
  }
}

SegmentIo::~SegmentIo() {
  close_all();
}

void SegmentIo::set_post(Post post) {
  const std::lock_guard lock(mutex_);
  post_ = std::move(post);
}

SegmentIo::StorageId SegmentIo::open(std::shared_ptr<BlobFile> file, std::uint64_t offset,
                                     std::uint64_t length, std::uint32_t piece_size) {
  auto storage = std::make_shared<Storage>();
  storage->file = std::move(file);
  storage->base = offset;
  storage->length = length;
  storage->piece_size = piece_size;
  storage->run_size = std::min<std::uint64_t>(piece_size, kRunBytes);
  const std::lock_guard lock(mutex_);
  const auto free = std::ranges::find(storages_, nullptr);
  const auto id = static_cast<StorageId>(free - storages_.begin());
  if (free == storages_.end()) {
    storages_.push_back(std::move(storage));
  } else {
    *free = std::move(storage);
  }
  return id;
}

void SegmentIo::close(StorageId id) {
  StoragePtr last;  // the BlobFile may do work when it dies: not under the lock
  const std::lock_guard lock(mutex_);
  last = std::exchange(storages_[id], nullptr);
  for (auto& [piece, state] : last->pieces) leaf_table_bytes_ -= state.leaves.size() * sizeof(Hash256);
}

void SegmentIo::read(StorageId id, std::uint64_t offset, std::uint32_t length, OnRead done) {
  ReadJob job{offset, length, 0, std::move(done), nullptr, std::nullopt};
  const std::lock_guard lock(mutex_);
  job.inside = storages_[id]->inside(offset, length);
  if (stop_) {
    job.error = cancelled();
    Done batch(*this);
    batch.reads.push_back(std::move(job));
    return send(std::move(batch));
  }
  const auto& storage = storages_[id];
  storage->reads.push_back(std::move(job));
  make_ready(storage);
}

bool SegmentIo::write(StorageId id, std::uint64_t offset, std::span<const char> bytes, OnWritten done,
                      std::function<void()> on_room) {
  assert(bytes.size() <= kBlockSize);
  {
    const std::lock_guard lock(mutex_);
    bytes = bytes.first(storages_[id]->inside(offset, static_cast<std::uint32_t>(bytes.size())));
  }
  if (bytes.empty()) {
    complete([done = std::move(done)] { done(std::nullopt); });
    return false;
  }
  char* block = pool_.allocate();
  std::memcpy(block, bytes.data(), bytes.size());

  const std::lock_guard lock(mutex_);
  if (stop_) {
    pool_.free(block);
    Done batch(*this);
    batch.writes.emplace_back(std::move(done), cancelled());
    send(std::move(batch));
    return false;
  }
  const auto& storage = storages_[id];
  WriteJob job{offset,   static_cast<std::uint32_t>(bytes.size()), std::move(done), block, std::nullopt,
               Hash256{}};
  const int index = storage->piece_of(offset);
  auto [piece, fresh] = storage->pieces.try_emplace(index);
  ++piece->second.writes;
  const auto table_bytes = storage->blocks_in(index) * sizeof(Hash256);
  if (fresh && leaf_table_bytes_ + table_bytes <= kLeafTableBytesMax) {
    leaf_table_bytes_ += table_bytes;
    piece->second.leaves.resize(storage->blocks_in(index));
    piece->second.known.resize(storage->blocks_in(index));
  }
  queued_write_bytes_ += kBlockSize;
  hold(id, std::move(job));
  if (queued_write_bytes_ <= options_.write_queue_bytes) return false;
  waiting_for_room_.push_back(std::move(on_room));
  while (!held_->by_age.empty()) let_go(held_->by_age.front());
  return true;
}

// Until its run is complete, somebody waits for it, or too much is held.
void SegmentIo::hold(StorageId id, WriteJob job) {
  Storage& storage = *storages_[id];
  const Held::Key key{id, job.offset / storage.run_size};
  auto [run, fresh] = held_->runs.try_emplace(key);
  if (fresh) run->second.age = held_->by_age.insert(held_->by_age.end(), key);
  run->second.blocks.push_back(std::move(job));
  ++storage.held;
  held_->bytes += kBlockSize;
  // A piece that is hashed already gets its last blocks, or all waits for room.
  const auto piece = storage.pieces.find(storage.piece_of(key.second * storage.run_size));
  const bool waited_for = (piece != storage.pieces.end() && piece->second.waited_for()) ||
                          !storage.when_idle.empty() || !waiting_for_room_.empty();
  if (waited_for ||
      run->second.blocks.size() >= storage.blocks_at(key.second * storage.run_size, storage.run_size)) {
    let_go(key);
  } else if (held_->bytes > options_.write_queue_bytes / 2) {
    let_go(held_->by_age.front());
  }
}

void SegmentIo::let_go(Held::Key key) {
  const auto run = held_->runs.find(key);
  if (run == held_->runs.end()) return;
  const auto& storage = storages_[key.first];
  auto& blocks = run->second.blocks;
  storage->held -= blocks.size();
  held_->bytes -= blocks.size() * kBlockSize;
  std::ranges::move(blocks, std::back_inserter(storage->writes));
  held_->by_age.erase(run->second.age);
  held_->runs.erase(run);
  make_ready(storage);
  wake_starved(storage);
}

// Those that begin from one offset of the segment to another.
void SegmentIo::let_go(StorageId id, std::uint64_t from, std::uint64_t to) {
  Storage& storage = *storages_[id];
  if (storage.held == 0) return;
  auto run = held_->runs.lower_bound({id, from / storage.run_size});
  while (run != held_->runs.end() && run->first.first == id && run->first.second * storage.run_size < to) {
    let_go((run++)->first);
  }
}

void SegmentIo::let_go_piece(StorageId id, int piece) {
  const auto begin = storages_[id]->piece_begin(piece);
  let_go(id, begin, begin + storages_[id]->piece_size);
}

void SegmentIo::hash_piece(StorageId id, int index, std::span<Hash256> leaves, OnHashed done) {
  HashJob job{index, leaves, std::move(done), {}, std::nullopt};
  const std::lock_guard lock(mutex_);
  const auto& storage = storages_[id];
  const auto piece = storage->pieces.find(index);
  if (piece != storage->pieces.end() && piece->second.writes > 0) {
    piece->second.hash = std::move(job);
    let_go_piece(id, index);
    return;
  }
  if (!answer_from_memory(*storage, job) && !stop_) {
    storage->hashes.push_back(std::move(job));
    make_ready(storage);
    wake_starved(storage);
    return;
  }
  if (stop_) job.error = cancelled();
  Done batch(*this);
  batch.hashes.push_back(std::move(job));
  send(std::move(batch));
}

// Copies the leaf hashes that are known and forgets the table. True when none is missing.
bool SegmentIo::answer_from_memory(Storage& storage, HashJob& job) {
  if (storage.file == nullptr) return true;
  const auto piece = storage.pieces.find(job.piece);
  if (piece == storage.pieces.end()) return false;
  const auto& leaves = piece->second.leaves;
  std::copy_n(leaves.begin(), std::min(job.leaves.size(), leaves.size()), job.leaves.begin());
  job.known = std::move(piece->second.known);
  drop_leaves(storage, job.piece);
  return job.known.size() >= job.leaves.size() && std::ranges::all_of(job.known, std::identity{});
}

void SegmentIo::drop_leaves(Storage& storage, int index) {
  const auto piece = storage.pieces.find(index);
  if (piece == storage.pieces.end()) return;
  leaf_table_bytes_ -= piece->second.leaves.size() * sizeof(Hash256);
  storage.pieces.erase(piece);
}

void SegmentIo::when_piece_idle(StorageId id, int index, std::function<void()> done) {
  {
    const std::lock_guard lock(mutex_);
    auto& storage = *storages_[id];
    const auto piece = storage.pieces.find(index);
    if (piece != storage.pieces.end() && piece->second.writes > 0) {
      piece->second.when_idle.push_back(std::move(done));
      let_go_piece(id, index);
      work_.notify_one();
      return;
    }
    drop_leaves(storage, index);
  }
  complete(std::move(done));
}

void SegmentIo::when_idle(StorageId id, std::function<void()> done) {
  {
    const std::lock_guard lock(mutex_);
    const auto& storage = storages_[id];
    if (!storage->idle()) {
      storage->when_idle.push_back(std::move(done));
      let_go(id, 0, storage->length);
      wake_starved(storage);
      work_.notify_one();
      return;
    }
  }
  complete(std::move(done));
}

void SegmentIo::complete(std::function<void()> done) {
  Done batch(*this);
  batch.others.push_back(std::move(done));
  send(std::move(batch));
}

void SegmentIo::limit_reads(std::uint64_t bytes_per_s) {
  const std::lock_guard lock(mutex_);
  read_pace_.set_rate(bytes_per_s, Clock::now());
  unstarve();
  work_.notify_all();
}

void SegmentIo::limit_threads(int threads) {
  const std::lock_guard lock(mutex_);
  working_most_ = std::max(threads, 1);
  work_.notify_all();
}

void SegmentIo::submit() {
  const std::lock_guard lock(mutex_);
  if (ready_.empty()) return;
  if (ready_.size() == 1) {
    work_.notify_one();
  } else {
    work_.notify_all();
  }
}

void SegmentIo::free_block(char* block) {
  pool_.free(block);
  const std::lock_guard lock(mutex_);
  read_bytes_out_ -= kBlockSize;
  unstarve();
}

// An eighth of the room must be back before reads go on, so that they go on in batches.
void SegmentIo::unstarve() {
  if (starved_.empty()) return;
  if (!stop_ && read_bytes_out_ > options_.read_buffer_bytes / 8 * 7) return;
  if (!stop_ && read_pace_.limited() && Clock::now() < read_pace_.full_at()) return;
  for (auto& storage : starved_) ready_.push_back(std::move(storage));
  starved_.clear();
  work_.notify_all();
}

void SegmentIo::close_all() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
    while (!held_->by_age.empty()) let_go(held_->by_age.front());
    unstarve();
    work_.notify_all();
  }
  for (auto& worker : workers_) {
    if (worker.joinable()) worker.join();
  }
}

SegmentIo::Counters SegmentIo::counters() const {
  const std::lock_guard lock(mutex_);
  auto counters = counters_;
  counters.queued_write_bytes = queued_write_bytes_;
  counters.read_bytes_out = read_bytes_out_;
  return counters;
}

// ---------------------------------------------------------------- workers

void SegmentIo::make_ready(const StoragePtr& storage) {
  if (storage->ready) return;
  storage->ready = true;
  ready_.push_back(storage);
}

// It has more to do than reads.
void SegmentIo::wake_starved(const StoragePtr& storage) {
  const auto starved = std::ranges::find(starved_, storage);
  if (starved == starved_.end()) return;
  starved_.erase(starved);
  ready_.push_back(storage);
}

// Blocks that may be read in this turn.
std::size_t SegmentIo::reads_to_take(const Storage& storage) {
  if (stop_) return storage.reads.size();
  const std::size_t room = options_.read_buffer_bytes - std::min(options_.read_buffer_bytes, read_bytes_out_);
  std::size_t blocks = std::min({kBatchBlocks, room / kBlockSize, storage.reads.size()});
  // Somebody waits for the storage to close: what is left was asked for by connections that are gone.
  if (!storage.when_idle.empty()) return blocks;
  blocks = std::min(blocks, read_pace_.allowed(Clock::now()) / kBlockSize);
  read_pace_.took(blocks * kBlockSize);
  return blocks;
}

// Until something is ready; reads that wait for their pace become so by time.
void SegmentIo::wait_for_work(std::unique_lock<std::mutex>& lock) {
  --working_;
  while ((ready_.empty() || working_ >= working_most_) && !stop_) {
    if (starved_.empty() || !read_pace_.limited()) {
      work_.wait(lock);
    } else {
      work_.wait_until(lock, std::max(read_pace_.full_at(), Clock::now() + std::chrono::milliseconds(10)));
      unstarve();
    }
  }
  ++working_;
}

SegmentIo::Batch SegmentIo::take_batch(Storage& storage) {
  Batch batch;
  const auto take = [](auto& from, auto& to, std::size_t count) {
    const auto end = from.begin() + static_cast<std::ptrdiff_t>(std::min(count, from.size()));
    to.assign(std::make_move_iterator(from.begin()), std::make_move_iterator(end));
    from.erase(from.begin(), end);
  };
  take(storage.writes, batch.writes, kBatchBlocks);
  take(storage.reads, batch.reads, reads_to_take(storage));
  read_bytes_out_ += batch.reads.size() * kBlockSize;
  for (auto& job : batch.reads) {
    if (stop_) job.error = cancelled();
  }
  if (!storage.hashes.empty()) {
    batch.hash = std::move(storage.hashes.front());
    storage.hashes.pop_front();
  }
  return batch;
}

void SegmentIo::worker() {
  std::unique_lock lock(mutex_);
  ++working_;
  while (true) {
    wait_for_work(lock);
    if (ready_.empty()) return;
    const StoragePtr storage = std::move(ready_.front());
    ready_.pop_front();

    auto batch = take_batch(*storage);
    ++storage->in_flight;
    storage->ready = storage->has_work();
    if (storage->ready && batch.reads.empty() && storage->writes.empty() && storage->hashes.empty()) {
      starved_.push_back(storage);  // only reads are left, and no memory for them
    } else if (storage->ready) {
      ready_.push_back(storage);
      work_.notify_one();
    }

    lock.unlock();
    perform(*storage, batch);
    Done done(*this);
    lock.lock();
    settle(storage, batch, done);
    lock.unlock();
    send(std::move(done));
    lock.lock();
  }
}

void SegmentIo::perform(Storage& storage, Batch& batch) {
  const int calls = perform_writes(storage, batch);
  for (auto& job : batch.reads) {
    if (job.error) continue;
    if (storage.file == nullptr) {
      job.error = Error{Code::not_found, "this torrent has no bytes", 0};
      continue;
    }
    job.block = pool_.allocate();
    const auto bytes = std::as_writable_bytes(std::span(job.block, job.inside));
    std::memset(job.block + job.inside, 0, job.length - job.inside);
    if (auto result = storage.file->read_at(storage.base + job.offset, bytes); !result) {
      job.error = std::move(result).error();
    }
  }
  const int read_back = batch.hash ? perform_hash(storage, *batch.hash) : 0;
  const std::lock_guard lock(mutex_);
  counters_.write_calls += static_cast<std::uint64_t>(calls);
  counters_.blocks_read_back += static_cast<std::uint64_t>(read_back);
}

// Answers how many calls to the file it took.
int SegmentIo::perform_writes(Storage& storage, Batch& batch) {
  if (storage.file == nullptr) return 0;
  auto& jobs = batch.writes;
  // Blocks of several peers come interleaved; sorted they make long runs.
  std::ranges::sort(jobs, {}, &WriteJob::offset);
  for (auto& job : jobs) job.leaf = sha256(std::as_bytes(std::span(job.block, job.length)));
  int calls = 0;
  std::vector<std::span<const std::byte>> run;
  for (std::size_t begin = 0, end = 0; begin < jobs.size(); begin = end) {
    run.clear();
    for (std::uint64_t next = jobs[begin].offset; end < jobs.size() && jobs[end].offset == next; ++end) {
      run.push_back(std::as_bytes(std::span(jobs[end].block, jobs[end].length)));
      next += jobs[end].length;
    }
    ++calls;
    const auto result = storage.file->write_at(storage.base + jobs[begin].offset, run);
    if (result) continue;
    for (std::size_t i = begin; i < end; ++i) jobs[i].error = result.error();
  }
  return calls;
}

// Reads back the blocks whose hash is not known; answers how many.
int SegmentIo::perform_hash(Storage& storage, HashJob& job) {
  int read_back = 0;
  char* block = pool_.allocate();
  const auto begin = storage.piece_begin(job.piece);
  for (std::size_t i = 0; i < job.leaves.size() && !job.error; ++i) {
    const auto offset = begin + i * kBlockSize;
    if (offset >= storage.length) break;
    if (i < job.known.size() && job.known[i]) continue;
    const auto length =
        static_cast<std::size_t>(std::min<std::uint64_t>(kBlockSize, storage.length - offset));
    const auto bytes = std::as_writable_bytes(std::span(block, length));
    if (auto result = storage.file->read_at(storage.base + offset, bytes); !result) {
      job.error = std::move(result).error();
    } else {
      job.leaves[i] = sha256(bytes);
      ++read_back;
    }
  }
  pool_.free(block);
  return read_back;
}

// Under the lock: what the finished batch sets free.
void SegmentIo::settle(const StoragePtr& storage, Batch& batch, Done& done) {
  --storage->in_flight;
  for (auto& job : batch.reads) {
    if (job.error) {
      if (job.block != nullptr) pool_.free(std::exchange(job.block, nullptr));
      read_bytes_out_ -= kBlockSize;
    }
    done.reads.push_back(std::move(job));
  }
  unstarve();

  for (auto& job : batch.writes) settle_write(*storage, job, done);
  counters_.blocks_written += batch.writes.size();
  queued_write_bytes_ -= batch.writes.size() * kBlockSize;
  if (queued_write_bytes_ <= options_.write_queue_bytes / 2) {
    std::ranges::move(waiting_for_room_, std::back_inserter(done.others));
    waiting_for_room_.clear();
  }

  if (batch.hash) done.hashes.push_back(std::move(*batch.hash));
  // A hash may have waited for these writes.
  if (!storage->hashes.empty()) wake_starved(storage);
  if (storage->has_work() && !storage->ready) {
    make_ready(storage);
    work_.notify_one();
  }
  if (storage->idle()) {
    std::ranges::move(storage->when_idle, std::back_inserter(done.others));
    storage->when_idle.clear();
  }
}

void SegmentIo::settle_write(Storage& storage, WriteJob& job, Done& done) {
  pool_.free(job.block);
  const int index = storage.piece_of(job.offset);
  auto& piece = storage.pieces[index];
  if (!job.error && !piece.leaves.empty()) {
    piece.leaves[storage.leaf_in_piece(job.offset)] = job.leaf;
    piece.known[storage.leaf_in_piece(job.offset)] = true;
  }
  done.writes.emplace_back(std::move(job.done), std::move(job.error));
  if (--piece.writes > 0) return;

  auto idle = std::exchange(piece.when_idle, {});
  auto hash = std::exchange(piece.hash, std::nullopt);
  if (hash && answer_from_memory(storage, *hash)) {
    done.hashes.push_back(std::move(*hash));
  } else if (hash) {
    storage.hashes.push_back(std::move(*hash));
  } else if (!idle.empty()) {
    drop_leaves(storage, index);
  }
  std::ranges::move(idle, std::back_inserter(done.others));
}

void SegmentIo::send(Done done) {
  if (!done.empty()) post_(std::make_shared<Done>(std::move(done)));
}

}  // namespace shoal
