// The libtorrent session and everything that lives on its network thread: sockets, torrents, our plugins.
//
// It decides nothing about neighbours and segments; it does what it is told and tells what happened. Public
// methods may be called from any thread and only post, unless said otherwise. NetEvents are called on the
// network thread and must only copy and post.
#pragma once

#include "node/core/reveal_window.h"
#include "transport/swarm/libtorrent_all.h"
#include "transport/swarm/neighbour_table.h"
#include "transport/swarm/segment_disk.h"
#include "transport/swarm/swarm_session.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

namespace shoal {

using LoadId = std::uint64_t;  // one loading of one segment; never used again

struct Traffic {
  std::uint64_t received = 0;
  std::uint64_t sent = 0;
};

class NetEvents {
 public:
  virtual ~NetEvents() = default;
  virtual void on_identified(Connection connection) = 0;
  virtual void on_closed(ConnId connection, std::string why) = 0;
  // One whole message, not yet decoded. The receiver gives the bytes back with NetPlane::inbox_done().
  virtual void on_bytes(ConnId connection, std::vector<std::byte> bytes) = 0;
  // Local discovery found an endpoint; or we reached ourselves at one.
  virtual void on_heard(Endpoint endpoint) = 0;
  virtual void on_self(Endpoint endpoint) = 0;
  virtual void on_piece_here(LoadId load, PieceIndex piece, NodeId from) = 0;
  virtual void on_piece_bad(LoadId load, PieceIndex piece, std::vector<NodeId> from) = 0;
  virtual void on_load_failed(LoadId load, Error error) = 0;
  virtual void on_traffic_moved(std::vector<std::pair<NodeId, Traffic>> traffic) = 0;
  virtual void on_log(std::string line) = 0;
};

class ClusterPeer;
class ClusterPlugin;
class SegmentPeer;
class SegmentPlugin;

class NetPlane {
 public:
  NetPlane(const SwarmOptions& options, NetEvents& events);
  ~NetPlane();
  NetPlane(const NetPlane&) = delete;
  NetPlane& operator=(const NetPlane&) = delete;

  // Blocks until it listens. The port. Errors: unavailable.
  [[nodiscard]] Result<std::uint16_t> start(const std::string& listen_interfaces);
  // Blocks until the network thread has ended. No event comes afterwards. May be called twice.
  void stop();

  void listen(std::string listen_interfaces);
  void announce();
  void dial(Endpoint endpoint);

  void send(ConnId connection, std::vector<std::byte> message);
  void close(ConnId connection, std::string why);
  void refuse_duplicate(ConnId connection);
  // The connection is the link of a neighbour: from now on segment connections of its address may carry its
  // name.
  void set_link(ConnId connection);
  void inbox_done(std::size_t bytes) { inbox_bytes_ -= bytes; }
  // All payload so far, up to this moment. Any thread.
  [[nodiscard]] Traffic traffic() const { return {received_, sent_}; }
  // Calls back, on the network thread, once all send buffers of neighbours are empty or the time is over.
  void when_drained(std::chrono::milliseconds at_most, std::function<void()> done);

  void load(LoadId load, lt::add_torrent_params params, SegmentPlace place, PieceMask have,
            std::vector<Endpoint> peers);
  void connect(LoadId load, std::vector<Endpoint> peers);
  void unload(LoadId load);

  // Payload sent to all neighbours together, bytes per second; 0: no limit. Any thread.
  void limit_uploads(std::uint64_t bytes_per_s) { disk_->io().limit_reads(bytes_per_s); }
  void limit_disk_threads(int threads) { disk_->io().limit_threads(threads); }

  // A whole file, seeded to any client that asks.
  void seed_whole(Hash256 info_hash, lt::add_torrent_params params, SegmentPlace place);
  void stop_whole(Hash256 info_hash);

  void ban(NodeId node);
  void unban(NodeId node);
  // Closed clusters: hangs up on who is on the list.
  void set_revoked(RevocationList revoked);

  // ---- For the plugins, on the network thread.

  [[nodiscard]] NetEvents& events() { return events_; }
  [[nodiscard]] const SwarmOptions& options() const { return options_; }
  [[nodiscard]] lt::io_context& context() { return context_; }
  // Our id in an extension handshake, and what the other side said there.
  void add_identity(lt::entry& handshake) const;
  struct Identity {
    NodeId node;
    std::uint64_t run = 0;
    int message_id = 0;    // what our messages must be marked with; 0: it takes none
    bool rejects = false;  // it rejects requests when told to (request_ledger.h)
  };
  [[nodiscard]] static std::optional<Identity> read_identity(const lt::bdecode_node& handshake);
  // Whether the other side of a connection may stay. Always, in an open cluster.
  [[nodiscard]] Admission admission_of(const std::optional<Credential>& shown, NodeId claimed) const {
    return options_.trust ? admit(shown, claimed, revoked_) : Admission::admitted;
  }
  [[nodiscard]] bool closed_cluster() const { return options_.trust.has_value(); }
  [[nodiscard]] bool is_banned(NodeId node) const { return banned_.contains(node); }
  // The node that a segment connection claims to be, if a neighbour of that name is linked from the same
  // address.
  [[nodiscard]] NodeId attributed(NodeId claimed, const lt::address& from) const;
  // Payload that moved over a segment connection.
  void count_received(NodeId node, std::uint64_t bytes) {
    traffic_[node].received += bytes;
    received_ += bytes;
  }
  void count_sent(NodeId node, std::uint64_t bytes) {
    traffic_[node].sent += bytes;
    sent_ += bytes;
  }
  [[nodiscard]] ConnId next_connection() { return ++last_connection_; }
  void add_peer(ConnId id, ClusterPeer* peer) { cluster_peers_[id] = peer; }
  void remove_peer(ConnId id);
  void add_peer(SegmentPeer* peer) { segment_peers_.insert(peer); }
  void remove_peer(SegmentPeer* peer) { segment_peers_.erase(peer); }
  // What a neighbour may be shown at a time, over all its connections; a stranger's connection (NodeId{}) has
  // its own.
  [[nodiscard]] std::shared_ptr<RevealWindow> reveal_window(NodeId node);
  // The neighbour's window has room: each of its connections takes what it needs, the oldest segment's first.
  void show_pieces_to(NodeId node);
  // False when the owner is so far behind that no more may be handed to it.
  [[nodiscard]] bool inbox_add(std::size_t bytes);

 private:
  struct Load {
    lt::torrent_handle torrent;
    std::shared_ptr<SegmentPlugin> plugin;
  };
  template <typename F>
  void post(F f) {
    boost::asio::post(context_, std::move(f));
  }
  void run();
  void add_cluster_torrent();
  // A torrent of a closed cluster accepts and makes no connection before it has this node's certificate.
  void show_certificate(lt::torrent_handle& torrent) const;
  void dial_on(const lt::torrent_handle& torrent, bool& swallow_pause, const std::vector<Endpoint>& peers);
  void pop_alerts();
  void tick();
  void check_drained(Time deadline, std::function<void()> done);

  const SwarmOptions options_;
  NetEvents& events_;
  lt::io_context context_{1};
  std::shared_ptr<DiskShared> disk_;
  std::atomic<std::size_t> inbox_bytes_{0};
  std::atomic<std::uint64_t> received_{0};
  std::atomic<std::uint64_t> sent_{0};

  // Network thread only, once started.
  std::unique_ptr<lt::session> session_;
  lt::torrent_handle cluster_;
  std::shared_ptr<ClusterPlugin> cluster_plugin_;
  boost::asio::steady_timer timer_{context_};
  bool stopping_ = false;
  ConnId last_connection_ = 0;
  std::unordered_map<ConnId, ClusterPeer*> cluster_peers_;
  std::set<SegmentPeer*> segment_peers_;
  std::map<NodeId, std::pair<ConnId, lt::address>> links_;
  std::map<NodeId, std::weak_ptr<RevealWindow>> reveal_windows_;  // while it has a connection
  std::map<NodeId, Traffic> traffic_;
  std::set<NodeId> banned_;
  RevocationList revoked_;
  std::unordered_map<LoadId, Load> loads_;
  std::map<lt::sha1_hash, LoadId> load_of_torrent_;
  std::map<Hash256, lt::torrent_handle> whole_files_;

  std::optional<lt::session_proxy> proxy_;
  std::thread thread_;
};

}  // namespace shoal
