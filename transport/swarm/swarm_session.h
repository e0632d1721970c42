// The neighbours of this node: one libtorrent session that carries control messages and segments.
//
// What it is: the real `Swarm` of node/core/ports.h. It finds neighbours (explicit peers, local service
// discovery, addresses that neighbours tell), keeps one logical connection to each, carries `Message`s over
// it, and moves segments as BitTorrent v2 torrents straight into and out of BlobFiles. What it is not: it
// decides nothing. Which segments are loaded, who is asked, who is banned is the node's business. It keeps no
// state on disk and never makes a blob's file durable.
//
// Threads: start() and the destructor block, the latter for some 100 ms. All other methods may be called from
// any one thread (the loop) and return at once. All callbacks come on one thread that belongs to the session,
// one at a time, in the order in which things happened; a callback must only post. After the destructor began
// no callback comes any more. libtorrent's network thread, two disk threads and the session's own thread are
// all the threads there are.
//
// Order: on_neighbour_up comes before that node's first on_message, on_neighbour_down after its last. A node
// that restarts gives down, then up. on_piece comes at most once per piece and load.
//
// The life of a segment: load() -> on_piece for each piece that arrives -> unload(). A segment stays loaded,
// and is served to whoever connects, until unload() or on_segment_failed, after which it is gone. A segment
// whose bytes equal those of another loaded one (same pieces root, hence the same torrent) shares its torrent
// when the new one is complete; when it is not, on_segment_failed says `unavailable`: wait for the other and
// copy.
//
// The hash of the only piece of a one-piece segment is the BEP 52 root of a tree as wide as the next power of
// two of its blocks, as storage/hasher.h makes it.
//
// A foreign BitTorrent v2 client may connect to a loaded segment: what it sends is attributed to NodeId{}.
#pragma once

#include "node/core/admission.h"
#include "node/core/ports.h"
#include "transport/swarm/whole_file.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace shoal {

// Of a closed cluster. Every connection is TLS in which both sides show a certificate of the authority.
struct SwarmTrust {
  std::string authority_pem;
  std::string cert_pem;  // this node's; its common name is the node id
  std::string key_pem;
  RevocationList revoked;
};

struct SwarmOptions {
  // Where connections are accepted. 0.0.0.0 and :: stand for all addresses of this machine, followed as they
  // come and go (every listen_refresh). Port 0 lets the system choose: for tests, with one numeric address.
  std::vector<Endpoint> listen{{"0.0.0.0", 8421}};

  // Nodes of another cluster name never meet. 1 to 64 bytes.
  std::string cluster = "shoal";

  // Set: a closed cluster. It listens for TLS only, and neighbours are who their certificates say.
  std::optional<SwarmTrust> trust;

  NodeId node;            // this node's id; not zero
  std::string name;       // for people; cut to 64 bytes
  std::string version;    // of the program; cut to 32 bytes
  std::uint64_t run = 0;  // random per process start; 0: drawn here

  // `--peer HOST:PORT`, "[v6]:PORT" too. Names are resolved again and again, in the background.
  std::vector<std::string> peers;
  // How often names are resolved again and unreachable known neighbours are given another try.
  std::chrono::milliseconds peer_retry{5000};

  // Local service discovery: multicast announcements of the cluster on each listening interface.
  bool lsd = true;
  // The session announces at start, after 2 s and after 6 s, then at this interval. One packet of 150 bytes
  // per interface: cheap enough to be heard soon by a node whose first packets were lost.
  std::chrono::seconds lsd_interval{20};

  // How often the addresses of this machine are looked at: a service may start before the network does.
  std::chrono::seconds listen_refresh{5};

  // Only private, loopback and link-local addresses may connect (address_rules.h). Off only for tests.
  bool local_addresses_only = true;

  // More neighbours than the largest site (200 machines), and a bound for a flood of invented NodeIds.
  int max_neighbours = 256;
  // Sockets of all torrents together: neighbours, and a few segments in flight with several peers each.
  int max_connections = 2000;

  // What one neighbour may send: long-term rate, and four seconds' worth at once. A busy honest neighbour
  // sends some 50 messages and 100 KiB a second; small blobs (256 KiB each) are the reason for the byte rate.
  int messages_per_s = 2000;
  std::size_t message_bytes_per_s = 32 * kMiB;
  // Waiting to be sent to one neighbour. It is dropped when it does not drain: memory per neighbour is
  // bounded.
  std::size_t send_queue_bytes = 8 * kMiB;

  int disk_threads = 2;
  // Received and not yet written. Above it peers are not read from until half is written.
  std::size_t write_queue_bytes = 16 * kMiB;
  // Read and not yet sent, over all peers. Further reads wait.
  std::size_t read_buffer_bytes = 64 * kMiB;

  // Lines for the log; called on the session's thread. May be empty.
  std::function<void(std::string)> on_log;
};

class SwarmSession final : public Swarm {
 public:
  // Errors: invalid (options), unavailable (cannot listen, the sentence names address and port).
  [[nodiscard]] static Result<std::unique_ptr<SwarmSession>> start(SwarmOptions options, Callbacks callbacks);
  ~SwarmSession() override;
  SwarmSession(const SwarmSession&) = delete;
  SwarmSession& operator=(const SwarmSession&) = delete;

  // The port it really listens on.
  [[nodiscard]] std::uint16_t port() const;

  void send(NodeId to, Message message) override;
  void load(SegmentSpec spec, std::vector<NodeId> connect_to) override;
  void connect(const SegmentKey& key, std::vector<NodeId> to) override;
  void unload(const SegmentKey& key) override;
  void ban(NodeId node, std::chrono::seconds duration) override;

  // Payload of segments since the start, up to this moment; on_traffic tells the same once a second and by
  // neighbour. Any thread.
  struct Payload {
    std::uint64_t received = 0;
    std::uint64_t sent = 0;
  };
  [[nodiscard]] Payload payload() const;

  // Payload sent to all neighbours together, bytes per second; 0: no limit. Messages are not held back. Any
  // thread.
  void limit_uploads(std::uint64_t bytes_per_s);
  // So many of the disk_threads, which also hash, work; at least one. Any thread.
  void limit_disk_threads(int threads);

  // Seeds a whole file to any v2 client (whole_file.h) until stop_whole() is called with its info-hash. Of an
  // open cluster only. Text that makes no torrent is logged; whole_file_torrent() tells beforehand.
  void seed_whole(WholeFileSpec spec);
  void stop_whole(const Hash256& info_hash);

  // Of a closed cluster: from now on nobody on this list is let in; who is connected is hung up on.
  void set_revoked(RevocationList revoked);

  // Another explicit peer, "HOST:PORT". Text that is no such thing is logged and ignored.
  void add_peer(std::string host_and_port);

  // Sends Bye to all neighbours and waits until it is out or the time is over. Called once, before
  // destruction.
  void say_bye(std::chrono::milliseconds at_most);

 private:
  class Impl;
  explicit SwarmSession(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace shoal
