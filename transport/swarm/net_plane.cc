#include "transport/swarm/net_plane.h"

#include "transport/swarm/plugins.h"
#include "transport/swarm/session_settings.h"
#include "transport/swarm/torrents.h"

#include <future>
#include <utility>

#include <pthread.h>

namespace shoal {
namespace {

// Received, not yet looked at by the owner. More than any honest burst; a bound when the owner hangs.
constexpr std::size_t kInboxBytesMax = 64 * kMiB;

std::optional<lt::tcp::endpoint> to_libtorrent(const Endpoint& endpoint) {
  lt::error_code ec;
  const auto address = lt::make_address(endpoint.address, ec);
  if (ec) return std::nullopt;
  return lt::tcp::endpoint(address, endpoint.port);
}

}  // namespace

NetPlane::NetPlane(const SwarmOptions& options, NetEvents& events) : options_(options), events_(events) {
  if (options_.trust) revoked_ = options_.trust->revoked;
  SegmentIo::Options disk;
  disk.threads = options.disk_threads;
  disk.write_queue_bytes = options.write_queue_bytes;
  disk.read_buffer_bytes = options.read_buffer_bytes;
  disk_ = std::make_shared<DiskShared>(disk, [this](const lt::sha1_hash& torrent, const Error& error) {
    const auto load = load_of_torrent_.find(torrent);
    if (load != load_of_torrent_.end()) events_.on_load_failed(load->second, error);
  });
}

NetPlane::~NetPlane() {
  stop();
}

Result<std::uint16_t> NetPlane::start(const std::string& listen_interfaces) {
  lt::session_params params(site_settings(options_, listen_interfaces),
                            std::vector<std::shared_ptr<lt::plugin>>{});
  params.disk_io_constructor = disk_constructor(disk_);
  if (options_.local_addresses_only) params.ip_filter = site_filter();
  session_ = std::make_unique<lt::session>(std::move(params), context_);
  // libtorrent says that there are alerts; they are taken on the network thread, outside of its own calls.
  session_->set_alert_notify([this] { post([this] { pop_alerts(); }); });

  std::promise<std::uint16_t> listening;
  // Runs after libtorrent's own first task, which opens the sockets.
  post([this, &listening] {
    const bool ok = session_->is_listening();
    if (ok) {
      add_cluster_torrent();
      tick();
    }
    listening.set_value(!ok                ? std::uint16_t{0}
                        : closed_cluster() ? session_->ssl_listen_port()
                                           : session_->listen_port());
  });
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "swarm-net");
    run();
  });
  const auto port = listening.get_future().get();
  if (port == 0) {
    stop();
    return fail(Code::unavailable, "cannot listen on " +
                                       (listen_interfaces.empty() ? "any address" : listen_interfaces) +
                                       "; is another shoald running here?");
  }
  return port;
}

// libtorrent's calls throw when a torrent went away in the moment they were made. That ends the one task, not
// the thread.
void NetPlane::run() {
  while (true) {
    try {
      context_.run();
      return;
    } catch (const std::exception& e) {
      events_.on_log(std::string("libtorrent threw: ") + e.what());
    }
  }
}

void NetPlane::stop() {
  if (!thread_.joinable()) return;
  post([this] {
    stopping_ = true;
    timer_.cancel();
    session_->set_alert_notify({});
    // The session ends itself on this thread: it closes its sockets, waits for the disk, and leaves no work
    // behind, so that run() returns.
    proxy_ = session_->abort();
    session_.reset();
  });
  thread_.join();
  proxy_.reset();
}

void NetPlane::add_cluster_torrent() {
  auto params = cluster_torrent(options_.cluster, options_.lsd,
                                options_.trust ? options_.trust->authority_pem : std::string());
  cluster_plugin_ = std::make_shared<ClusterPlugin>(*this);
  params.extensions.emplace_back(
      [plugin = cluster_plugin_](const lt::torrent_handle&, lt::client_data_t) { return plugin; });
  lt::error_code ec;
  cluster_ = session_->add_torrent(std::move(params), ec);
  if (ec) {
    events_.on_log("the cluster torrent cannot be added: " + ec.message());
    return;
  }
  show_certificate(cluster_);
}

void NetPlane::show_certificate(lt::torrent_handle& torrent) const {
  // Finite field parameters of RFC 7919 (ffdhe2048). libtorrent wants some; TLS with our keys never uses
  // them.
  static const std::string dh_parameters =
      "-----BEGIN DH PARAMETERS-----\n"
      "MIIBCAKCAQEA//////////+t+FRYortKmq/cViAnPTzx2LnFg84tNpWp4TZBFGQz\n"
      "+8yTnc4kmz75fS/jY2MMddj2gbICrsRhetPfHtXV/WVhJDP1H18GbtCFY2VVPe0a\n"
      "87VXE15/V8k1mE8McODmi3fipona8+/och3xWKE2rec1MKzKT0g6eXq8CrGCsyT7\n"
      "YdEIqUuyyOP7uWrat2DX9GgdT0Kj3jlN9K5W7edjcrsZCwenyO4KbXCeAvzhzffi\n"
      "7MA0BM0oNC9hkXL+nOmFg/+OTxIy7vKBg8P+OxtMb61zO7X8vC7CIAXFjvGDfRaD\n"
      "ssbzSibBsu/6iGtCOGEoXJf//////////wIBAg==\n"
      "-----END DH PARAMETERS-----\n";
  if (options_.trust)
    torrent.set_ssl_certificate_buffer(options_.trust->cert_pem, options_.trust->key_pem, dh_parameters);
}

void NetPlane::listen(std::string listen_interfaces) {
  post([this, listen_interfaces = std::move(listen_interfaces)] {
    if (stopping_) return;
    lt::settings_pack settings;
    settings.set_str(lt::settings_pack::listen_interfaces, listen_interfaces);
    session_->apply_settings(std::move(settings));
  });
}

void NetPlane::announce() {
  post([this] {
    if (stopping_ || !options_.lsd) return;
    cluster_.force_lsd_announce();
    for (const auto& [info_hash, torrent] : whole_files_) torrent.force_lsd_announce();
  });
}

void NetPlane::dial(Endpoint endpoint) {
  post([this, endpoint = std::move(endpoint)] {
    if (!stopping_) dial_on(cluster_, cluster_plugin_->swallow_pause, {endpoint});
  });
}

// libtorrent dials on its once-a-second tick, or at once in a torrent's "boost", which happens when a torrent
// is resumed. So the torrent is resumed; for that it has to be paused, which our plugin keeps from having any
// effect.
void NetPlane::dial_on(const lt::torrent_handle& torrent, bool& swallow_pause,
                       const std::vector<Endpoint>& peers) {
  bool any = false;
  for (const auto& peer : peers) {
    const auto endpoint = to_libtorrent(peer);
    if (!endpoint) continue;
    // As if a tracker had told it: libtorrent then forgets one failure, and its limit is one.
    torrent.connect_peer(*endpoint, lt::peer_info::tracker, {});
    any = true;
  }
  if (!any) return;
  swallow_pause = true;
  torrent.pause();
  torrent.resume();
  swallow_pause = false;
}

void NetPlane::send(ConnId connection, std::vector<std::byte> message) {
  post([this, connection, message = std::move(message)] {
    const auto peer = cluster_peers_.find(connection);
    if (peer != cluster_peers_.end()) peer->second->send(message);
  });
}

void NetPlane::close(ConnId connection, std::string why) {
  post([this, connection, why = std::move(why)] {
    const auto peer = cluster_peers_.find(connection);
    if (peer != cluster_peers_.end()) peer->second->close(why);
  });
}

void NetPlane::refuse_duplicate(ConnId connection) {
  post([this, connection] {
    const auto peer = cluster_peers_.find(connection);
    if (peer != cluster_peers_.end()) peer->second->refuse_duplicate();
  });
}

void NetPlane::set_link(ConnId connection) {
  post([this, connection] {
    const auto peer = cluster_peers_.find(connection);
    if (peer != cluster_peers_.end()) links_[peer->second->node()] = {connection, peer->second->address()};
  });
}

void NetPlane::remove_peer(ConnId id) {
  cluster_peers_.erase(id);
  std::erase_if(links_, [id](const auto& entry) { return entry.second.first == id; });
}

NodeId NetPlane::attributed(NodeId claimed, const lt::address& from) const {
  const auto link = links_.find(claimed);
  return link != links_.end() && link->second.second == from ? claimed : NodeId{};
}

std::shared_ptr<RevealWindow> NetPlane::reveal_window(NodeId node) {
  if (node == NodeId{}) return std::make_shared<RevealWindow>();
  std::erase_if(reveal_windows_, [](const auto& entry) { return entry.second.expired(); });
  auto& known = reveal_windows_[node];
  auto window = known.lock();
  if (!window) known = window = std::make_shared<RevealWindow>();
  return window;
}

void NetPlane::show_pieces_to(NodeId node) {
  std::vector<SegmentPeer*> peers;
  for (auto* peer : segment_peers_) {
    if (peer->node() == node) peers.push_back(peer);
  }
  std::ranges::sort(peers, {}, &SegmentPeer::load);
  for (auto* peer : peers) peer->show_pieces();
}

bool NetPlane::inbox_add(std::size_t bytes) {
  if (inbox_bytes_ + bytes > kInboxBytesMax) return false;
  inbox_bytes_ += bytes;
  return true;
}

void NetPlane::when_drained(std::chrono::milliseconds at_most, std::function<void()> done) {
  const Time deadline = std::chrono::steady_clock::now() + at_most;
  post([this, deadline, done = std::move(done)]() mutable { check_drained(deadline, std::move(done)); });
}

void NetPlane::check_drained(Time deadline, std::function<void()> done) {
  bool unsent = false;
  for (const auto& [id, peer] : cluster_peers_) unsent |= peer->unsent_bytes() > 0;
  if (!unsent || stopping_ || std::chrono::steady_clock::now() >= deadline) {
    done();
    return;
  }
  auto again = std::make_shared<boost::asio::steady_timer>(context_, std::chrono::milliseconds(2));
  again->async_wait([this, again, deadline, done = std::move(done)](const lt::error_code&) mutable {
    check_drained(deadline, std::move(done));
  });
}

void NetPlane::load(LoadId load, lt::add_torrent_params params, SegmentPlace place, PieceMask have,
                    std::vector<Endpoint> peers) {
  post([this, load, params = std::move(params), place = std::move(place), have,
        peers = std::move(peers)]() mutable {
    if (stopping_) return;
    const auto hash = params.ti->info_hashes().get_best();
    disk_->place(hash, std::move(place));
    auto plugin = std::make_shared<SegmentPlugin>(*this, load, have, params.have_pieces.all_set(),
                                                  static_cast<std::uint32_t>(params.ti->piece_length()));
    params.extensions.emplace_back([plugin](const lt::torrent_handle&, lt::client_data_t) { return plugin; });
    load_of_torrent_[hash] = load;
    lt::error_code ec;
    auto torrent = session_->add_torrent(std::move(params), ec);
    if (ec) {
      load_of_torrent_.erase(hash);
      (void)disk_->take_place(hash);
      events_.on_load_failed(load,
                             {Code::invalid, "the segment's torrent cannot be added: " + ec.message(), 0});
      return;
    }
    show_certificate(torrent);
    dial_on(torrent, plugin->swallow_pause, peers);
    loads_[load] = {std::move(torrent), std::move(plugin)};
  });
}

void NetPlane::connect(LoadId load, std::vector<Endpoint> peers) {
  post([this, load, peers = std::move(peers)] {
    const auto found = loads_.find(load);
    if (found != loads_.end() && !stopping_)
      dial_on(found->second.torrent, found->second.plugin->swallow_pause, peers);
  });
}

void NetPlane::unload(LoadId load) {
  post([this, load] {
    const auto found = loads_.find(load);
    if (found == loads_.end() || stopping_) return;
    std::erase_if(load_of_torrent_, [load](const auto& entry) { return entry.second == load; });
    session_->remove_torrent(found->second.torrent);
    loads_.erase(found);
  });
}

void NetPlane::seed_whole(Hash256 info_hash, lt::add_torrent_params params, SegmentPlace place) {
  post([this, info_hash, params = std::move(params), place = std::move(place)]() mutable {
    if (stopping_ || whole_files_.contains(info_hash)) return;
    const auto hash = params.ti->info_hashes().get_best();
    disk_->place(hash, std::move(place));
    params.extensions.emplace_back([this](const lt::torrent_handle&, lt::client_data_t) {
      return std::make_shared<WholeFilePlugin>(*this);
    });
    lt::error_code ec;
    auto torrent = session_->add_torrent(std::move(params), ec);
    if (ec) {
      (void)disk_->take_place(hash);
      events_.on_log("an exported file cannot be seeded: " + ec.message());
      return;
    }
    if (options_.lsd) torrent.force_lsd_announce();
    whole_files_[info_hash] = std::move(torrent);
  });
}

void NetPlane::stop_whole(Hash256 info_hash) {
  post([this, info_hash] {
    const auto found = whole_files_.find(info_hash);
    if (found == whole_files_.end() || stopping_) return;
    session_->remove_torrent(found->second);
    whole_files_.erase(found);
  });
}

void NetPlane::ban(NodeId node) {
  post([this, node] {
    banned_.insert(node);
    std::vector<ClusterPeer*> neighbours;
    for (const auto& [id, peer] : cluster_peers_) {
      if (peer->node() == node) neighbours.push_back(peer);
    }
    std::vector<SegmentPeer*> others;
    for (auto* peer : segment_peers_) {
      if (peer->node() == node) others.push_back(peer);
    }
    for (auto* peer : neighbours) peer->close("it is banned");
    for (auto* peer : others) peer->close();
  });
}

void NetPlane::unban(NodeId node) {
  post([this, node] { banned_.erase(node); });
}

void NetPlane::set_revoked(RevocationList revoked) {
  post([this, revoked = std::move(revoked)]() mutable {
    revoked_ = std::move(revoked);
    std::vector<ClusterPeer*> neighbours;
    for (const auto& [id, peer] : cluster_peers_) neighbours.push_back(peer);
    const std::vector<SegmentPeer*> others(segment_peers_.begin(), segment_peers_.end());
    for (auto* peer : neighbours) peer->check_admission();
    for (auto* peer : others) peer->check_admission();
  });
}

void NetPlane::pop_alerts() {
  if (stopping_) return;
  std::vector<lt::alert*> alerts;
  session_->pop_alerts(&alerts);
  for (const auto* alert : alerts) {
    if (const auto* failed = lt::alert_cast<lt::torrent_error_alert>(alert)) {
      for (const auto& [load, state] : loads_) {
        if (state.torrent == failed->handle) {
          events_.on_load_failed(load,
                                 {Code::io, "the segment's torrent stopped: " + failed->error.message(), 0});
          break;
        }
      }
    } else if (const auto* refused = lt::alert_cast<lt::peer_error_alert>(alert)) {
      // Of TLS only: that a machine was not let in is worth a line, the rest are connections that come and
      // go.
      if (refused->op == lt::operation_t::ssl_handshake)
        events_.on_log("not let in: " + refused->endpoint.address().to_string() + ": " +
                       refused->error.message());
    } else if (lt::alert_cast<lt::listen_failed_alert>(alert) != nullptr ||
               lt::alert_cast<lt::lsd_error_alert>(alert) != nullptr) {
      events_.on_log(alert->message());
    }
  }
}

// Once a second: what moved, and who has not said who it is.
void NetPlane::tick() {
  if (stopping_) return;
  std::vector<std::pair<NodeId, Traffic>> moved;
  for (auto& [node, traffic] : traffic_) moved.emplace_back(node, traffic);
  traffic_.clear();
  if (!moved.empty()) events_.on_traffic_moved(std::move(moved));

  const Time at = std::chrono::steady_clock::now();
  std::vector<ClusterPeer*> peers;
  for (const auto& [id, peer] : cluster_peers_) peers.push_back(peer);
  for (auto* peer : peers) peer->tick(at);

  timer_.expires_after(std::chrono::seconds(1));
  timer_.async_wait([this](const lt::error_code& ec) {
    if (!ec) tick();
  });
}

}  // namespace shoal
