// How fast segments move between two processes over loopback, with real files.
//
//   swarm_bench DIRECTORY [one|many|latency|one-tls|many-tls|latency-tls]...      default: the first three
//
// - one:     two segments of 1 GiB, one after the other: the torrent path without set-up cost.
// - many:    64 segments of 16 MiB, four in flight: as the daemon uses it for blobs below 2 GiB.
// - latency: one 16 MiB segment at a time, 20 times: from load() on the leech to its first and last piece.
//
// With -tls as in a closed cluster: both sides show a certificate, and everything is encrypted.
//
// DIRECTORY gets two files of up to 2 GiB, removed at the end. The figures it defends stand in
// docs/protocol.md.
#include "node/core/geometry.h"
#include "node/trust/certificates.h"
#include "transport/swarm/sha256.h"
#include "transport/swarm/swarm_session.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

namespace shoal {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// The simplest BlobFile there can be.
class PlainFile final : public BlobFile {
 public:
  PlainFile(BlobId id, const std::string& path)
      : id_(id), fd_(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
    if (fd_ < 0 || ftruncate(fd_, static_cast<off_t>(id.size)) != 0) std::perror(path.c_str());
  }
  ~PlainFile() override { ::close(fd_); }
  PlainFile(const PlainFile&) = delete;
  PlainFile& operator=(const PlainFile&) = delete;

  const BlobId& id() const override { return id_; }
  Result<void> read_at(std::uint64_t offset, std::span<std::byte> out) override {
    while (!out.empty()) {
      const auto n = pread(fd_, out.data(), out.size(), static_cast<off_t>(offset));
      if (n <= 0) return fail(Code::io, "pread", errno);
      offset += static_cast<std::uint64_t>(n);
      out = out.subspan(static_cast<std::size_t>(n));
    }
    return {};
  }
  Result<void> write_at(std::uint64_t offset, std::span<const std::span<const std::byte>> buffers) override {
    std::vector<iovec> parts;
    std::size_t total = 0;
    for (const auto& buffer : buffers) {
      parts.push_back(
          {const_cast<std::byte*>(buffer.data()), buffer.size()});  // NOLINT: iovec has no const form
      total += buffer.size();
    }
    const auto n = pwritev(fd_, parts.data(), static_cast<int>(parts.size()), static_cast<off_t>(offset));
    if (n != static_cast<ssize_t>(total)) return fail(Code::io, "pwritev", errno);
    return {};
  }

 private:
  const BlobId id_;
  const int fd_;
};

// A blob whose bytes both processes can compute, so that nothing but the swarm passes between them.
struct BenchBlob {
  BenchBlob(std::uint64_t size, std::uint32_t segments, std::string path_)
      : geometry(size), count(segments), path(std::move(path_)) {
    id.size = size;
    id.digest.fill(7);
  }

  // Writes the file and collects its hashes.
  void make() {
    PlainFile file(id, path);
    std::mt19937_64 rng(id.digest[0]);
    std::vector<std::byte> buffer(geometry.piece_size());
    hashes.resize(count);
    for (std::uint32_t s = 0; s < count; ++s) {
      const auto segment = static_cast<SegmentIndex>(s);
      for (int p = 0; p < geometry.piece_count(segment); ++p) {
        const auto piece = static_cast<PieceIndex>(p);
        const auto bytes = std::span(buffer).first(geometry.piece_length(segment, piece));
        for (std::size_t i = 0; i + 8 <= bytes.size(); i += 8) {
          const auto word = rng();
          std::memcpy(&bytes[i], &word, 8);
        }
        std::vector<Hash256> leaves;
        for (std::size_t at = 0; at < bytes.size(); at += kBlockSize) {
          leaves.push_back(sha256(bytes.subspan(at, std::min<std::size_t>(kBlockSize, bytes.size() - at))));
        }
        hashes[s].push_back(merkle_root(std::move(leaves), geometry.piece_size() / kBlockSize, Hash256{}));
        const std::span<const std::byte> one = bytes;
        (void)file.write_at(geometry.piece_offset(segment, piece), {&one, 1});
      }
    }
  }

  [[nodiscard]] SegmentSpec spec(std::uint32_t segment, bool have, std::shared_ptr<BlobFile> file) const {
    const auto index = static_cast<SegmentIndex>(segment);
    return {{id, index}, hashes[segment], have ? geometry.all_pieces(index) : 0, std::move(file)};
  }

  [[nodiscard]] std::uint64_t bytes() const { return count * geometry.segment_size(); }

  Geometry geometry;
  std::uint32_t count;  // segments that are used; the rest of the file is a hole
  std::string path;
  BlobId id;
  std::vector<std::vector<Hash256>> hashes;
};

struct Usage {
  double cpu_s = 0;
  double peak_mib = 0;
};
Usage usage_now() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto s = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return {s(usage.ru_utime) + s(usage.ru_stime), static_cast<double>(usage.ru_maxrss) / 1024};
}

// Of a closed cluster, made before the processes part. Errors end the program: there is nothing to measure.
template <typename T>
T need(Result<T> result) {
  if (result) return *std::move(result);
  std::fprintf(stderr, "%s\n", result.error().message.c_str());
  std::exit(1);
}
std::optional<Keyed> authority;

WallTime wall_now() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return {std::chrono::duration_cast<std::chrono::milliseconds>(now).count()};
}

SwarmOptions options_for(std::uint8_t n) {
  SwarmOptions options;
  if (authority) {
    NodeId node;
    node.bytes.fill(n);
    const auto key = need(make_key());
    const auto cert = need(issue_node(*authority, need(make_request(key, node)), node, "bench", wall_now()));
    options.trust = SwarmTrust{authority->cert_pem, cert, key, {}};
  }
  options.listen = {{"127.0.0.1", 0}};
  options.node.bytes.fill(n);
  options.name = n == 1 ? "seed" : "leech";
  options.lsd = false;
  return options;
}

// Answers SegmentOpen requests by loading; the loop of a very small daemon.
int run_seed(const BenchBlob& blob, int port_pipe, int stop_pipe) {
  const auto file = std::make_shared<PlainFile>(blob.id, blob.path);
  SwarmSession* session = nullptr;
  std::mutex ready;
  ready.lock();
  Swarm::Callbacks callbacks;
  callbacks.on_message = [&](NodeId from, const Message& message) {
    const std::lock_guard lock(ready);
    if (const auto* ask = std::get_if<msg::AskSegment>(&message)) {
      session->load(blob.spec(to_int(ask->segment), true, file), {});
      session->send(from, msg::SegmentOpen{ask->blob, ask->segment});
    } else if (const auto* done = std::get_if<msg::Claim>(&message)) {
      session->unload({done->blob, done->segment});
    }
  };
  auto started = SwarmSession::start(options_for(1), callbacks);
  if (!started) return 1;
  session = started->get();
  ready.unlock();
  const auto port = session->port();
  if (write(port_pipe, &port, sizeof port) != sizeof port) return 1;
  const auto before = usage_now();
  char byte = 0;
  if (read(stop_pipe, &byte, 1) < 0) return 1;
  const auto after = usage_now();
  const double gib = static_cast<double>(blob.bytes()) / static_cast<double>(kGiB);
  std::printf("    seed   %5.2f CPU s/GiB   %6.1f MiB peak\n", (after.cpu_s - before.cpu_s) / gib,
              after.peak_mib);
  std::fflush(stdout);
  return 0;
}

class Leech {
 public:
  explicit Leech(std::uint16_t port) {
    Swarm::Callbacks callbacks;
    callbacks.on_neighbour_up = [this](NodeId node, const Endpoint&, const msg::Hello&) {
      const std::lock_guard lock(mutex_);
      seed_ = node;
      changed_.notify_all();
    };
    callbacks.on_message = [this](NodeId, const Message& message) {
      const auto* open = std::get_if<msg::SegmentOpen>(&message);
      if (open != nullptr) session_->connect({open->blob, open->segment}, {seed_});
    };
    callbacks.on_piece = [this](const SegmentKey& key, PieceIndex piece, NodeId) {
      const std::lock_guard lock(mutex_);
      auto& state = states_[to_int(key.index)];
      if (state.mask == 0) state.first = Clock::now();
      state.mask |= mask_of(piece);
      state.last = Clock::now();
      changed_.notify_all();
    };
    callbacks.on_segment_failed = [](const SegmentKey&, const Error& error) {
      std::fprintf(stderr, "failed: %s\n", error.message.c_str());
    };
    session_ = *SwarmSession::start(options_for(2), callbacks);
    session_->add_peer("127.0.0.1:" + std::to_string(port));
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return seed_ != NodeId{}; });
  }

  // Fetches all segments, `in_flight` at once. As the daemon does it: ask the seed to load, load here
  // meanwhile.
  void fetch(const BenchBlob& blob, std::uint32_t in_flight, const std::shared_ptr<BlobFile>& file) {
    const auto count = blob.count;
    std::uint32_t next = 0;
    std::uint32_t done = 0;
    std::vector<std::uint32_t> running;
    while (done < count) {
      while (next < count && running.size() < in_flight) {
        start(blob, next, file);
        running.push_back(next++);
      }
      std::unique_lock lock(mutex_);
      const auto finished = [&](std::uint32_t s) {
        return states_[s].mask == blob.geometry.all_pieces(static_cast<SegmentIndex>(s));
      };
      changed_.wait(lock, [&] { return std::ranges::any_of(running, finished); });
      for (auto i = running.begin(); i != running.end();) {
        if (!finished(*i)) {
          ++i;
          continue;
        }
        const SegmentKey key{blob.id, static_cast<SegmentIndex>(*i)};
        session_->unload(key);
        session_->send(seed_, msg::Claim{blob.id, key.index, 0});
        i = running.erase(i);
        ++done;
      }
    }
  }

  void start(const BenchBlob& blob, std::uint32_t segment, const std::shared_ptr<BlobFile>& file) {
    {
      const std::lock_guard lock(mutex_);
      states_[segment] = {};
      states_[segment].start = Clock::now();
    }
    const auto index = static_cast<SegmentIndex>(segment);
    session_->send(seed_, msg::AskSegment{blob.id, index});
    session_->load(blob.spec(segment, false, file), {});
  }

  struct State {
    Clock::time_point start, first, last;
    PieceMask mask = 0;
  };
  [[nodiscard]] State state(std::uint32_t segment) {
    const std::lock_guard lock(mutex_);
    return states_[segment];
  }

 private:
  std::unique_ptr<SwarmSession> session_;
  std::mutex mutex_;
  std::condition_variable changed_;
  NodeId seed_;
  std::map<std::uint32_t, State> states_;
};

void report_latency(Leech& leech, const BenchBlob& blob) {
  std::vector<double> first;
  std::vector<double> last;
  for (std::uint32_t s = 0; s < blob.count; ++s) {
    const auto state = leech.state(s);
    first.push_back(std::chrono::duration<double, std::milli>(state.first - state.start).count());
    last.push_back(std::chrono::duration<double, std::milli>(state.last - state.start).count());
  }
  std::ranges::sort(first);
  std::ranges::sort(last);
  std::printf("    16 MiB: first piece %.1f ms, whole %.1f ms (median of %zu; worst %.1f ms)\n",
              first[first.size() / 2], last[last.size() / 2], last.size(), last.back());
}

// The target's pages are there before the clock runs: in a virtual machine the first touch of a page costs
// more than everything else, and says nothing about the swarm.
void fill(BlobId id, const std::string& path, std::uint64_t size) {
  PlainFile file(id, path);
  const std::vector<std::byte> zeros(kMiB);
  const std::span<const std::byte> one = zeros;
  for (std::uint64_t at = 0; at < size; at += kMiB) (void)file.write_at(at, {&one, 1});
}

bool same_files(const std::string& a, const std::string& b, std::uint64_t size) {
  BlobId id;
  id.size = size;
  PlainFile one(id, a);
  PlainFile two(id, b);
  std::vector<std::byte> x(kMiB);
  std::vector<std::byte> y(kMiB);
  for (std::uint64_t at = 0; at < size; at += x.size()) {
    const auto length = static_cast<std::size_t>(std::min<std::uint64_t>(kMiB, size - at));
    if (!one.read_at(at, std::span(x).first(length)) || !two.read_at(at, std::span(y).first(length)))
      return false;
    if (!std::equal(x.begin(), x.begin() + static_cast<std::ptrdiff_t>(length), y.begin())) return false;
  }
  return true;
}

int run(std::string mode, const std::string& directory) {
  const bool tls = mode.ends_with("-tls");
  if (tls) {
    mode.resize(mode.size() - 4);
    authority = need(make_authority("bench", wall_now()));
  } else {
    authority.reset();
  }
  // Segments of 1 GiB belong to a blob of 128 GiB: nearly all of it a hole.
  BenchBlob blob(mode == "one" ? 128 * kGiB : 2 * kGiB,
                 mode == "one"    ? 2
                 : mode == "many" ? 64
                                  : 20,
                 directory + "/bench-seed");
  blob.make();
  const std::string target = directory + "/bench-leech";
  fill(blob.id, target, blob.bytes());
  int port_pipe[2];
  int stop_pipe[2];
  if (pipe(port_pipe) != 0 || pipe(stop_pipe) != 0) return 1;
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) std::_Exit(run_seed(blob, port_pipe[1], stop_pipe[0]));
  std::uint16_t port = 0;
  if (read(port_pipe[0], &port, sizeof port) != sizeof port) return 1;
  {
    const auto file = std::make_shared<PlainFile>(blob.id, target);
    Leech leech(port);
    const auto before = usage_now();
    const auto start = Clock::now();
    std::printf("%s%s\n", mode.c_str(), tls ? " over TLS" : "");
    leech.fetch(blob, mode == "many" ? 4 : 1, file);
    const double wall = seconds_since(start);
    const auto after = usage_now();
    const double gib = static_cast<double>(blob.bytes()) / static_cast<double>(kGiB);
    std::printf("    %.2f GiB in %.2f s: %.0f MB/s\n", gib, wall,
                static_cast<double>(blob.bytes()) / 1e6 / wall);
    std::printf("    leech  %5.2f CPU s/GiB   %6.1f MiB peak\n", (after.cpu_s - before.cpu_s) / gib,
                after.peak_mib);
    if (mode == "latency") report_latency(leech, blob);
  }
  if (write(stop_pipe[1], "x", 1) != 1) return 1;
  int status = 0;
  waitpid(child, &status, 0);
  const bool same = same_files(blob.path, target, blob.bytes());
  if (!same) std::printf("    WRONG BYTES\n");
  unlink(blob.path.c_str());
  unlink(target.c_str());
  return same && status == 0 ? 0 : 1;
}

}  // namespace
}  // namespace shoal

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: swarm_bench DIRECTORY [one|many|latency]...\n");
    return 2;
  }
  std::vector<std::string> modes(argv + 2, argv + argc);
  if (modes.empty()) modes = {"latency", "many", "one"};
  for (const auto& mode : modes) {
    if (shoal::run(mode, argv[1]) != 0) return 1;
  }
  return 0;
}
