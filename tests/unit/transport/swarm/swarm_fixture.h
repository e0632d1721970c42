// Real sessions on 127.0.0.1 with ports the system chose, blobs in memory, and a recorder of all that was
// told.
#pragma once

#include "node/core/geometry.h"
#include "node/trust/certificates.h"
#include "tests/unit/node_id.h"
#include "transport/swarm/sha256.h"
#include "transport/swarm/swarm_session.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace shoal {

inline constexpr SegmentIndex kFirst{0};
inline constexpr auto kDeadline =
    std::chrono::seconds(15);  // what a test may wait for; none should come near

// A blob in memory. Errors and delays on demand.
class MemoryBlob final : public BlobFile {
 public:
  MemoryBlob(BlobId id, std::vector<std::byte> bytes) : id_(id), bytes_(std::move(bytes)) {}

  const BlobId& id() const override { return id_; }
  Result<void> read_at(std::uint64_t offset, std::span<std::byte> out) override {
    const std::lock_guard lock(mutex_);
    if (fail_reads) return fail(*fail_reads);
    if (offset + out.size() > bytes_.size()) return fail(Code::invalid, "past the end");
    std::ranges::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(offset),
                        static_cast<std::ptrdiff_t>(out.size()), out.begin());
    return {};
  }
  Result<void> write_at(std::uint64_t offset, std::span<const std::span<const std::byte>> buffers) override {
    const std::lock_guard lock(mutex_);
    if (fail_writes) return fail(*fail_writes);
    for (const auto& buffer : buffers) {
      if (offset + buffer.size() > bytes_.size()) return fail(Code::invalid, "past the end");
      std::ranges::copy(buffer, bytes_.begin() + static_cast<std::ptrdiff_t>(offset));
      first_written_ = std::min(first_written_, offset);
      offset += buffer.size();
    }
    return {};
  }

  [[nodiscard]] std::vector<std::byte> bytes() const {
    const std::lock_guard lock(mutex_);
    return bytes_;
  }
  // The lowest offset that was written.
  [[nodiscard]] std::uint64_t first_written() const {
    const std::lock_guard lock(mutex_);
    return first_written_;
  }

  std::optional<Error> fail_reads;  // set before use
  std::optional<Error> fail_writes;

 private:
  const BlobId id_;
  mutable std::mutex mutex_;
  std::vector<std::byte> bytes_;
  std::uint64_t first_written_ = ~std::uint64_t{0};
};

// Deterministic bytes of one blob and everything derived from them.
struct TestBlob {
  explicit TestBlob(std::uint64_t size, std::uint32_t rng_seed = 1) : geometry(size), bytes(size) {
    std::mt19937_64 rng(rng_seed);
    for (std::size_t i = 0; i + 8 <= bytes.size(); i += 8) {
      const auto word = rng();
      std::memcpy(&bytes[i], &word, 8);
    }
    id.size = size;
    id.digest = sha256(bytes).bytes;
  }

  [[nodiscard]] Hash256 piece_hash(SegmentIndex segment, PieceIndex piece) const {
    const auto length = geometry.piece_length(segment, piece);
    const auto all =
        std::span(bytes).subspan(static_cast<std::size_t>(geometry.piece_offset(segment, piece)), length);
    std::vector<Hash256> leaves;
    for (std::size_t at = 0; at < all.size(); at += kBlockSize) {
      leaves.push_back(sha256(all.subspan(at, std::min<std::size_t>(kBlockSize, all.size() - at))));
    }
    const std::size_t width = geometry.piece_count(segment) == 1 ? std::bit_ceil(leaves.size())
                                                                 : geometry.piece_size() / kBlockSize;
    return merkle_root(leaves, width, Hash256{});
  }

  [[nodiscard]] SegmentSpec spec(SegmentIndex segment, PieceMask have, std::shared_ptr<BlobFile> file) const {
    SegmentSpec out;
    out.key = {id, segment};
    for (int i = 0; i < geometry.piece_count(segment); ++i) {
      out.piece_hashes.push_back(piece_hash(segment, static_cast<PieceIndex>(i)));
    }
    out.have = have;
    out.file = std::move(file);
    return out;
  }
  [[nodiscard]] PieceMask all(SegmentIndex segment = SegmentIndex{0}) const {
    return geometry.all_pieces(segment);
  }

  [[nodiscard]] std::shared_ptr<MemoryBlob> full() const { return std::make_shared<MemoryBlob>(id, bytes); }
  // Only the pieces in the mask (of segment 0) have their bytes.
  [[nodiscard]] std::shared_ptr<MemoryBlob> part(PieceMask have) const {
    std::vector<std::byte> some(bytes.size());
    for (int i = 0; i < geometry.piece_count(SegmentIndex{0}); ++i) {
      if ((have >> i & 1U) == 0) continue;
      const auto piece = static_cast<PieceIndex>(i);
      const auto at = static_cast<std::ptrdiff_t>(geometry.piece_offset(SegmentIndex{0}, piece));
      std::copy_n(bytes.begin() + at, geometry.piece_length(SegmentIndex{0}, piece), some.begin() + at);
    }
    return std::make_shared<MemoryBlob>(id, std::move(some));
  }

  Geometry geometry;
  std::vector<std::byte> bytes;
  BlobId id;
};

// A closed cluster's authority, and what it gives a node.
class TestAuthority {
 public:
  TestAuthority() : keyed_(value(make_authority("test", now()))) {}
  [[nodiscard]] SwarmTrust let_in(NodeId node) const {
    SwarmTrust out;
    out.authority_pem = keyed_.cert_pem;
    out.key_pem = value(make_key());
    out.cert_pem = value(issue_node(keyed_, value(make_request(out.key_pem, node)), node, "test", now()));
    return out;
  }
  [[nodiscard]] static CertSerial serial(const SwarmTrust& trust) {
    return value(describe_certificate(trust.cert_pem)).serial;
  }

 private:
  static WallTime now() { return {static_cast<std::int64_t>(std::time(nullptr)) * 1000}; }
  template <typename T>
  static T value(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().message);
    return *std::move(result);
  }
  const Keyed keyed_;
};

// SHOAL_SWARM_TLS=1: every node of every test is a member of one closed cluster, so that all that holds in
// clear text is seen to hold over TLS.
inline std::optional<SwarmTrust> trust_of_this_run(NodeId node) {
  if (std::getenv("SHOAL_SWARM_TLS") == nullptr) return std::nullopt;
  static const TestAuthority authority;
  return authority.let_in(node);
}

// One node: a session and what it told.
class TestNode {
 public:
  struct Told {
    std::map<NodeId, msg::Hello> up;
    std::map<NodeId, Endpoint> endpoints;
    int ups = 0;
    int downs = 0;
    std::vector<std::pair<NodeId, Message>> messages;
    std::map<SegmentKey, std::map<PieceIndex, NodeId>> pieces;
    int repeated_pieces = 0;
    std::vector<std::pair<PieceIndex, std::vector<NodeId>>> bad_pieces;
    std::vector<std::pair<SegmentKey, Error>> failures;
    std::map<NodeId, std::pair<std::uint64_t, std::uint64_t>> traffic;
    std::vector<std::string> log;

    [[nodiscard]] PieceMask mask(const SegmentKey& key) const {
      PieceMask out = 0;
      if (const auto found = pieces.find(key); found != pieces.end()) {
        for (const auto& [piece, from] : found->second) out |= mask_of(piece);
      }
      return out;
    }
  };

  explicit TestNode(int n, std::function<void(SwarmOptions&)> change = {}) : id(node_id(n)) {
    SwarmOptions options;
    options.listen = {{"127.0.0.1", 0}};
    options.node = id;
    options.name = "node-" + std::to_string(n);
    options.version = "test";
    options.lsd = false;
    options.trust = trust_of_this_run(id);
    options.on_log = [this](const std::string& line) {
      record([&](Told& told) { told.log.push_back(line); });
    };
    if (change) change(options);
    auto started = SwarmSession::start(std::move(options), callbacks());
    if (!started) throw std::runtime_error(started.error().message);
    session = *std::move(started);
  }
  // Before what its callbacks write to goes away.
  ~TestNode() { session.reset(); }
  TestNode(const TestNode&) = delete;
  TestNode& operator=(const TestNode&) = delete;

  // Waits until the condition holds for what was told; false at the deadline.
  template <typename Condition>
  [[nodiscard]] bool wait(Condition condition, std::chrono::milliseconds at_most = kDeadline) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, at_most, [&] { return condition(told_); });
  }
  [[nodiscard]] Told told() const {
    const std::lock_guard lock(mutex_);
    return told_;
  }

  [[nodiscard]] bool wait_up(const TestNode& other) {
    return wait([&](const Told& told) { return told.up.contains(other.id); });
  }
  [[nodiscard]] bool wait_pieces(const SegmentKey& key, PieceMask pieces) {
    return wait([&](const Told& told) { return (told.mask(key) & pieces) == pieces; });
  }
  void peer_with(const TestNode& other) {
    session->add_peer("127.0.0.1:" + std::to_string(other.session->port()));
  }

  const NodeId id;
  std::unique_ptr<SwarmSession> session;

 private:
  template <typename F>
  void record(F f) {
    const std::lock_guard lock(mutex_);
    f(told_);
    changed_.notify_all();
  }

  Swarm::Callbacks callbacks() {
    Swarm::Callbacks c;
    c.on_neighbour_up = [this](NodeId node, Endpoint endpoint, msg::Hello hello) {
      record([&](Told& told) {
        EXPECT_FALSE(told.up.contains(node)) << "up twice without down";
        told.up[node] = hello;
        told.endpoints[node] = endpoint;
        ++told.ups;
      });
    };
    c.on_neighbour_down = [this](NodeId node, std::string) {
      record([&](Told& told) {
        EXPECT_TRUE(told.up.contains(node)) << "down without up";
        told.up.erase(node);
        ++told.downs;
      });
    };
    c.on_message = [this](NodeId node, Message message) {
      record([&](Told& told) {
        EXPECT_TRUE(told.up.contains(node)) << "message from a node that is not up";
        told.messages.emplace_back(node, std::move(message));
      });
    };
    c.on_piece = [this](SegmentKey key, PieceIndex piece, NodeId from) {
      record([&](Told& told) {
        if (!told.pieces[key].emplace(piece, from).second) ++told.repeated_pieces;
      });
    };
    c.on_bad_piece = [this](SegmentKey, PieceIndex piece, std::vector<NodeId> from) {
      record([&](Told& told) { told.bad_pieces.emplace_back(piece, std::move(from)); });
    };
    c.on_segment_failed = [this](SegmentKey key, Error error) {
      record([&](Told& told) { told.failures.emplace_back(key, std::move(error)); });
    };
    c.on_traffic = [this](NodeId node, std::uint64_t received, std::uint64_t sent) {
      record([&](Told& told) {
        told.traffic[node].first += received;
        told.traffic[node].second += sent;
      });
    };
    return c;
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Told told_;
};

}  // namespace shoal
