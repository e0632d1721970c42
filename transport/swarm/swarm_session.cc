#include "transport/swarm/swarm_session.h"

#include "transport/swarm/address_rules.h"
#include "transport/swarm/dial_book.h"
#include "transport/swarm/gossip_codec.h"
#include "transport/swarm/listen_addresses.h"
#include "transport/swarm/name_lookup.h"
#include "transport/swarm/neighbour_table.h"
#include "transport/swarm/net_plane.h"
#include "transport/swarm/segment_table.h"
#include "transport/swarm/torrents.h"

#include <algorithm>
#include <atomic>
#include <future>
#include <random>
#include <thread>
#include <utility>

#include <boost/asio/executor_work_guard.hpp>
#include <pthread.h>

namespace shoal {
namespace {

using Clock = std::chrono::steady_clock;

// How often due endpoints are dialled and waits are checked. Told or lost endpoints are looked at between
// ticks too.
constexpr auto kTick = std::chrono::milliseconds(200);

std::uint64_t random_run() {
  std::random_device device;
  return static_cast<std::uint64_t>(device()) << 32U | device();
}

msg::Hello hello_of(const SwarmOptions& options, std::uint16_t port) {
  return {options.node, options.name, options.version, port, options.run};
}

}  // namespace

// Everything but libtorrent: neighbours, endpoints to dial, segments. All state belongs to the session's own
// thread; other threads post to it.
class SwarmSession::Impl final : public NetEvents,
                                 public NeighbourTable::Actions,
                                 public SegmentTable::Actions {
 public:
  Impl(SwarmOptions options, Callbacks callbacks)
      : options_(std::move(options)), callbacks_(std::move(callbacks)), net_(options_, *this) {}
  ~Impl() override { stop(); }

  Result<void> start() {
    listening_on_ = listen_interfaces(options_.listen, interface_addresses(), options_.trust.has_value());
    auto port = net_.start(listening_on_);
    if (!port) return fail(std::move(port).error());
    port_ = *port;
    table_.emplace(hello_of(options_, port_), static_cast<std::size_t>(options_.max_neighbours), *this);
    for (const auto& peer : options_.peers) note_peer(peer);
    // What came from the network before this moment waits in the context's queue.
    thread_ = std::thread([this] {
      pthread_setname_np(pthread_self(), "swarm");
      const auto now = Clock::now();
      next_announce_ = now + options_.lsd_interval;
      next_refresh_ = now + options_.listen_refresh;
      tick();
      context_.run();
    });
    return {};
  }

  void stop() {
    closing_ = true;
    net_.stop();
    work_.reset();
    context_.stop();
    if (thread_.joinable()) thread_.join();
  }

  [[nodiscard]] std::uint16_t port() const { return port_; }
  void limit_uploads(std::uint64_t bytes_per_s) { net_.limit_uploads(bytes_per_s); }
  void limit_disk_threads(int threads) { net_.limit_disk_threads(threads); }
  [[nodiscard]] Payload payload() const {
    const auto traffic = net_.traffic();
    return {traffic.received, traffic.sent};
  }

  template <typename F>
  void post(F f) {
    boost::asio::post(context_, std::move(f));
  }

  // ---- What the node asks, on our thread.

  void send(NodeId to, const Message& message) {
    if (const auto link = table_->link_to(to)) net_.send(*link, encode(message));
  }
  void load(SegmentSpec spec, const std::vector<NodeId>& connect_to) {
    segments_.load(std::move(spec), endpoints_of(connect_to));
  }
  void connect(const SegmentKey& key, const std::vector<NodeId>& to) {
    segments_.connect(key, endpoints_of(to));
  }
  void unload(const SegmentKey& key) { segments_.unload(key); }
  void ban(NodeId node, std::chrono::seconds duration) {
    bans_[node] = Clock::now() + duration;
    net_.ban(node);
  }
  void seed_whole(const WholeFileSpec& spec) {
    const auto torrent = whole_file_torrent(spec);
    auto params = whole_file_params(spec);
    if (!torrent || !params || options_.trust || spec.file == nullptr) {
      log("a file is not exported: " + (!torrent  ? torrent.error().message
                                        : !params ? params.error().message
                                                  : "closed cluster"));
      return;
    }
    net_.seed_whole(torrent->info_hash, *std::move(params), {spec.file, 0});
  }
  void stop_whole(const Hash256& info_hash) { net_.stop_whole(info_hash); }
  void set_revoked(RevocationList revoked) { net_.set_revoked(std::move(revoked)); }
  void add_peer(const std::string& peer) {
    note_peer(peer);
    look_up_names();
    dial_due();
  }
  void say_bye(std::chrono::milliseconds at_most, std::function<void()> done) {
    for (const auto node : table_->up_nodes()) send(node, msg::Bye{});
    net_.when_drained(at_most, std::move(done));
  }

  // ---- NetEvents, on the network thread: post.

  void on_identified(Connection connection) override {
    post([this, connection = std::move(connection)] { identified(connection); });
  }
  void on_closed(ConnId connection, std::string why) override {
    post([this, connection, why = std::move(why)] { closed(connection, why); });
  }
  void on_bytes(ConnId connection, std::vector<std::byte> bytes) override {
    post([this, connection, bytes = std::move(bytes)] {
      received(connection, bytes);
      net_.inbox_done(bytes.size());
    });
  }
  void on_heard(Endpoint endpoint) override {
    post([this, endpoint = std::move(endpoint)] { book_.on_heard(endpoint, Clock::now()); });
  }
  void on_self(Endpoint endpoint) override {
    post([this, endpoint = std::move(endpoint)] { book_.on_self(endpoint); });
  }
  void on_piece_here(LoadId load, PieceIndex piece, NodeId from) override {
    post([this, load, piece, from] {
      const auto key = segments_.receiver(load);
      if (key) tell(callbacks_.on_piece, *key, piece, from);
    });
  }
  void on_piece_bad(LoadId load, PieceIndex piece, std::vector<NodeId> from) override {
    post([this, load, piece, from = std::move(from)] {
      const auto key = segments_.receiver(load);
      if (key) tell(callbacks_.on_bad_piece, *key, piece, from);
    });
  }
  void on_load_failed(LoadId load, Error error) override {
    post([this, load, error = std::move(error)] { segments_.on_failed(load, error); });
  }
  void on_traffic_moved(std::vector<std::pair<NodeId, Traffic>> traffic) override {
    post([this, traffic = std::move(traffic)] {
      for (const auto& [node, moved] : traffic) tell(callbacks_.on_traffic, node, moved.received, moved.sent);
    });
  }
  void on_log(std::string line) override {
    post([this, line = std::move(line)] { log(line); });
  }

  // ---- NeighbourTable::Actions, on our thread.

  void send_to(ConnId connection, const Message& message) override { net_.send(connection, encode(message)); }
  void close(ConnId connection, const std::string& why) override { net_.close(connection, why); }
  void refuse_duplicate(ConnId connection) override { net_.refuse_duplicate(connection); }

  void up(const Connection& link, const Endpoint& endpoint, const msg::Hello& hello) override {
    net_.set_link(link.id);
    book_.on_neighbour(endpoint, link.node, Clock::now());
    log("neighbour " + link.node.short_hex() + " " + hello.name + " at " + endpoint.text() + " is up");
    introduce(link.node, endpoint);
    tell(callbacks_.on_neighbour_up, link.node, endpoint, hello);
  }
  void down(const Connection& link, const std::string& why) override {
    log("neighbour " + link.node.short_hex() + " is down: " + why);
    tell(callbacks_.on_neighbour_down, link.node, why);
  }

  // ---- SegmentTable::Actions, on our thread.

  void start_load(LoadId load, lt::add_torrent_params params, const SegmentSpec& spec,
                  std::vector<Endpoint> peers) override {
    net_.load(load, std::move(params),
              {spec.file, Geometry(spec.key.blob.size).segment_offset(spec.key.index)}, spec.have,
              std::move(peers));
  }
  void connect_load(LoadId load, std::vector<Endpoint> peers) override {
    net_.connect(load, std::move(peers));
  }
  void stop_load(LoadId load) override { net_.unload(load); }
  void segment_failed(const SegmentKey& key, Error error) override {
    tell(callbacks_.on_segment_failed, key, std::move(error));
  }

 private:
  template <typename F, typename... Args>
  void tell(const F& callback, Args&&... args) {
    if (callback && !closing_) callback(std::forward<Args>(args)...);
  }
  void log(const std::string& line) { tell(options_.on_log, line); }

  std::vector<Endpoint> endpoints_of(const std::vector<NodeId>& nodes) const {
    std::vector<Endpoint> out;
    for (const auto node : nodes) {
      if (auto endpoint = table_->endpoint_of(node)) out.push_back(*std::move(endpoint));
    }
    return out;
  }

  void identified(const Connection& connection) {
    const auto now = Clock::now();
    if (connection.outgoing) book_.on_neighbour(connection.remote, connection.node, now);
    table_->on_identified(connection, now);
  }

  void closed(ConnId connection, const std::string& why) {
    const auto* known = table_->connection(connection);
    if (known == nullptr) return;
    const auto node = known->node;
    table_->on_closed(connection, why);
    if (!table_->has_connection(node)) book_.on_lost(node, Clock::now());
  }

  void received(ConnId connection, const std::vector<std::byte>& bytes) {
    const auto* from = table_->connection(connection);
    if (from == nullptr) return;
    const auto node = from->node;
    const auto address = from->remote.address;
    auto message = decode(bytes);
    if (!message) {
      net_.close(connection, message.error().message);
      return;
    }
    if (!message->has_value()) return;
    if (!table_->on_message(connection, **message, Clock::now())) return;
    if (const auto* told = std::get_if<msg::Neighbours>(&**message)) {
      heard_of(*told, address);
      return;
    }
    tell(callbacks_.on_message, node, *std::move(*message));
  }

  // Tells the new neighbour of the others, and the others of it: a full mesh grows from one known address.
  void introduce(NodeId node, const Endpoint& endpoint) {
    msg::Neighbours others;
    for (const auto other : table_->up_nodes()) {
      if (other == node) continue;
      others.endpoints.push_back(*table_->endpoint_of(other));
      send(other, msg::Neighbours{{endpoint}});
    }
    // Which of them, when they are too many, is left to chance: the rest is told of the new one and will dial
    // it.
    std::ranges::shuffle(others.endpoints, random_);
    if (others.endpoints.size() > limits::kNeighbourAddresses)
      others.endpoints.resize(limits::kNeighbourAddresses);
    if (!others.endpoints.empty()) send(node, others);
  }

  void heard_of(const msg::Neighbours& told, const std::string& teller) {
    for (const auto& endpoint : told.endpoints) {
      if (may_dial(endpoint, teller, !options_.local_addresses_only)) book_.on_heard(endpoint, Clock::now());
    }
    dial_due();
  }

  void note_peer(const std::string& text) {
    const auto peer = parse_host_port(text);
    if (!peer) {
      log("'" + text + "' is no HOST:PORT of a peer");
    } else if (is_numeric_address(peer->address)) {
      book_.on_explicit(*peer, Clock::now());
    } else if (std::ranges::find(names_, *peer) == names_.end()) {
      names_.push_back(*peer);
    }
  }

  void look_up_names() {
    // While a round is under way the next tick tries again.
    if (names_.empty() || lookup_.look_up(names_)) next_lookup_ = Clock::now() + options_.peer_retry;
  }

  void dial_due() {
    for (auto& endpoint : book_.due(Clock::now())) net_.dial(std::move(endpoint));
  }

  void tick() {
    const auto now = Clock::now();
    table_->tick(now);
    if (now >= next_lookup_) look_up_names();
    dial_due();
    if (now >= next_announce_) {
      next_announce_ = now + options_.lsd_interval;
      net_.announce();
    }
    if (now >= next_refresh_) {
      next_refresh_ = now + options_.listen_refresh;
      refresh_listen();
    }
    std::erase_if(bans_, [&](const auto& ban) {
      if (ban.second > now) return false;
      net_.unban(ban.first);
      return true;
    });
    timer_.expires_after(kTick);
    timer_.async_wait([this](const lt::error_code& ec) {
      if (!ec) tick();
    });
  }

  void refresh_listen() {
    auto interfaces = listen_interfaces(options_.listen, interface_addresses(), options_.trust.has_value());
    if (interfaces == listening_on_ || interfaces.empty()) return;
    log("listening on " + interfaces);
    listening_on_ = std::move(interfaces);
    net_.listen(listening_on_);
    net_.announce();
  }

  // Constant after start().
  const SwarmOptions options_;
  const Callbacks callbacks_;
  std::uint16_t port_ = 0;

  std::atomic<bool> closing_{false};
  lt::io_context context_{1};
  boost::asio::executor_work_guard<lt::io_context::executor_type> work_{context_.get_executor()};

  // Our thread only.
  boost::asio::steady_timer timer_{context_};
  std::mt19937 random_{std::random_device{}()};
  std::string listening_on_;
  std::optional<NeighbourTable> table_;
  DialBook book_;
  SegmentTable segments_{*this, options_.trust ? options_.trust->authority_pem : std::string()};
  std::vector<Endpoint> names_;  // of explicit peers
  std::map<NodeId, Time> bans_;
  Time next_lookup_{};
  Time next_announce_{};
  Time next_refresh_{};

  NameLookup lookup_{[this](std::vector<Endpoint> found) {
    post([this, found = std::move(found)] {
      for (const auto& endpoint : found) book_.on_explicit(endpoint, Clock::now());
      dial_due();
    });
  }};
  NetPlane net_;
  std::thread thread_;
};

Result<std::unique_ptr<SwarmSession>> SwarmSession::start(SwarmOptions options, Callbacks callbacks) {
  if (options.node == NodeId{}) return fail(Code::invalid, "the swarm needs a node id");
  if (options.cluster.empty() || options.cluster.size() > 64) {
    return fail(Code::invalid, "a cluster name has 1 to 64 bytes");
  }
  if (options.listen.empty()) return fail(Code::invalid, "the swarm needs an address to listen on");
  options.name.resize(std::min(options.name.size(), limits::kNodeNameBytes));
  options.version.resize(std::min(options.version.size(), limits::kVersionBytes));
  while (options.run == 0) options.run = random_run();
  auto impl = std::make_shared<Impl>(std::move(options), std::move(callbacks));
  if (auto started = impl->start(); !started) return fail(std::move(started).error());
  return std::unique_ptr<SwarmSession>(new SwarmSession(std::move(impl)));
}

SwarmSession::SwarmSession(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

SwarmSession::~SwarmSession() {
  impl_->stop();
}

std::uint16_t SwarmSession::port() const {
  return impl_->port();
}

void SwarmSession::limit_uploads(std::uint64_t bytes_per_s) {
  impl_->limit_uploads(bytes_per_s);
}

void SwarmSession::limit_disk_threads(int threads) {
  impl_->limit_disk_threads(threads);
}

SwarmSession::Payload SwarmSession::payload() const {
  return impl_->payload();
}

void SwarmSession::send(NodeId to, Message message) {
  impl_->post([impl = impl_.get(), to, message = std::move(message)] { impl->send(to, message); });
}

void SwarmSession::load(SegmentSpec spec, std::vector<NodeId> connect_to) {
  impl_->post([impl = impl_.get(), spec = std::move(spec), connect_to = std::move(connect_to)]() mutable {
    impl->load(std::move(spec), connect_to);
  });
}

void SwarmSession::connect(const SegmentKey& key, std::vector<NodeId> to) {
  impl_->post([impl = impl_.get(), key, to = std::move(to)] { impl->connect(key, to); });
}

void SwarmSession::unload(const SegmentKey& key) {
  impl_->post([impl = impl_.get(), key] { impl->unload(key); });
}

void SwarmSession::ban(NodeId node, std::chrono::seconds duration) {
  impl_->post([impl = impl_.get(), node, duration] { impl->ban(node, duration); });
}

void SwarmSession::seed_whole(WholeFileSpec spec) {
  impl_->post([impl = impl_.get(), spec = std::move(spec)] { impl->seed_whole(spec); });
}

void SwarmSession::stop_whole(const Hash256& info_hash) {
  impl_->post([impl = impl_.get(), info_hash] { impl->stop_whole(info_hash); });
}

void SwarmSession::set_revoked(RevocationList revoked) {
  impl_->post([impl = impl_.get(), revoked = std::move(revoked)]() mutable {
    impl->set_revoked(std::move(revoked));
  });
}

void SwarmSession::add_peer(std::string host_and_port) {
  impl_->post([impl = impl_.get(), peer = std::move(host_and_port)] { impl->add_peer(peer); });
}

void SwarmSession::say_bye(std::chrono::milliseconds at_most) {
  auto done = std::make_shared<std::promise<void>>();
  auto future = done->get_future();
  impl_->post([impl = impl_.get(), at_most, done] { impl->say_bye(at_most, [done] { done->set_value(); }); });
  // A little longer than the session itself waits, in case its thread is busy.
  (void)future.wait_for(at_most + std::chrono::milliseconds(200));
}

}  // namespace shoal
