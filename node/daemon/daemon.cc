#include "node/daemon/daemon.h"

#include "node/core/thread_share.h"
#include "node/daemon/service_notify.h"
#include "node/endpoint/hub_endpoint.h"
#include "node/version.h"
#include "transport/origin/hub_settings.h"
#include "transport/swarm/address_rules.h"
#include "transport/swarm/listen_addresses.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <random>
#include <utility>

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>
#include <unistd.h>

namespace shoal {
namespace {

// Of the swarm's disk threads and of the store's hash threads, each (their options' defaults).
constexpr int kHashingThreads = 2;

Time now_time() {
  return std::chrono::steady_clock::now();
}

std::uint64_t random_u64() {
  std::random_device device;
  return (std::uint64_t{device()} << 32U) | device();
}

// One daemon per state directory: two writers of one shoal.db would fetch everything twice.
Result<UniqueFd> lock_state(const std::filesystem::path& dir) {
  std::error_code ec;
  std::filesystem::create_directories(dir, ec);
  if (ec)
    return fail(Code::io, "cannot make the state directory " + dir.string() + ": " + ec.message(),
                ec.value());
  const std::string path = dir / "lock";
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd.valid()) return fail(Code::io, "cannot open " + path + ": " + std::strerror(errno), errno);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    return fail(Code::io, "another shoald uses " + dir.string() + "; give this one another --state-dir",
                errno);
  }
  return fd;
}

}  // namespace

Daemon::Daemon(Config config)
    : config_(std::move(config)),
      started_at_(wall_clock_now()),
      load_sampler_(config_.proc_dir, config_.sys_dir),
      site_wan_(config_.site_wan_rate_limit),
      observer_(config_.wan_rate_limit, started_at_) {
  auto empty = std::make_shared<StatusSnapshot>();
  empty->at = started_at_;
  snapshot_ = std::move(empty);
}

Daemon::~Daemon() = default;

Result<void> Daemon::run() {
  if (auto started = start(); !started) return started;
  loop_.on_signal([this](int number) {
    spdlog::info("signal {}: stopping", number);
    stop();
  });
  loop_.set_turn([this] {
    if (stopping_) return;
    const Time now = now_time();
    fetcher_->turn(now);
    if (const auto at = fetcher_->scheduler().wake_at()) loop_.request_turn_at(*at);
  });
  loop_.post([this] {
    if (rescue_) rebuild();
    resume_pulls();
    exporter_->resume();
    tick();
    notify_ready("neighbours on port " + std::to_string(swarm_->port()) + ", API on " +
                 api_->endpoint().text());
  });
  loop_.run_until_stopped();
  // The order of destruction is the order of the arrows: nobody may call what is gone.
  api_.reset();
  swarm_.reset();
  hub_.reset();
  loop_.join_workers();
  exporter_.reset();
  cluster_.reset();
  endpoint_.reset();
  listings_.reset();
  listing_exchange_.reset();
  readers_.reset();
  jobs_.reset();
  evictor_.reset();
  fetcher_.reset();
  pulls_.reset();
  seeder_.reset();
  store_.reset();
  db_.reset();
  spdlog::info("stopped");
  if (state_damaged_) {
    return shoal::fail(Code::corrupt, "shoal.db was found to be damaged: starting again to rebuild it");
  }
  if (starting_over_) return shoal::fail(kStartOver, "starting over as a member of a closed cluster");
  return {};
}

Result<void> Daemon::start() {
  std::error_code ec;
  const bool was_here = std::filesystem::exists(config_.state_dir / "lock", ec);
  auto lock = lock_state(config_.state_dir);
  if (!lock) return shoal::fail(lock.error());
  state_lock_ = std::move(*lock);
  if (auto opened = open_trust(); !opened) return opened;
  if (auto opened = open_storage(was_here); !opened) return opened;
  for (const auto step :
       {&Daemon::open_origin, &Daemon::open_swarm, &Daemon::open_cluster, &Daemon::open_api}) {
    if (auto done = (this->*step)(); !done) return done;
  }
  return {};
}

// A node that cannot prove who it is does not start: in an open cluster it would share with everybody.
Result<void> Daemon::open_trust() {
  auto membership = TrustFolder(config_.state_dir / "trust").load();
  if (!membership) return shoal::fail(membership.error());
  membership_ = std::move(*membership);
  if (!membership_) return {};
  if (membership_->cluster != config_.cluster) {
    return shoal::fail(Code::invalid, "this node is in the closed cluster " + membership_->cluster +
                                          " and is configured for " + config_.cluster + ": set cluster to " +
                                          membership_->cluster + ", or remove " +
                                          (config_.state_dir / "trust").string() + " to leave it");
  }
  rules_.set_closed_cluster();
  return {};
}

Result<void> Daemon::open_storage(bool was_here) {
  auto opened = open_or_rescue(config_.state_dir / "shoal.db", was_here);
  if (!opened) return shoal::fail(opened.error());
  db_ = std::move(opened->db);
  rescue_ = std::move(opened->rescue);
  const auto id = db_->node_id();
  if (!id) return shoal::fail(id.error());
  self_ = *id;

  BlobStoreOptions options;
  options.cache_root = config_.cache_dir;
  options.free_space_floor = config_.free_space_floor;
  options.files = &files_;
  options.on_pieces_lost = [this](SegmentKey key, PieceMask pieces, const Error& error) {
    loop_.post([this, key, pieces, error] {
      if (!fetcher_) return;
      fetcher_->on_pieces_lost(key, pieces, error, now_time());
      loop_.request_turn();
    });
  };
  options.on_trouble = [this](Error error) {
    loop_.post([this, error = std::move(error)] { events_.warn("disk_trouble", error.message); });
  };
  auto store = BlobStore::open(*db_, std::move(options));
  if (!store) return shoal::fail(store.error());
  store_ = std::move(*store);
  if (auto prepared = store_->cache().prepare(); !prepared) return prepared;

  // Which blobs may be shared: those that a repo known to be public names.
  const auto held = store_->held();
  if (!held) return shoal::fail(held.error());
  for (const BlobId& blob : *held) add_held(blob);
  if (const auto access = db_->repo_access()) {
    for (const auto& [repo, is_public] : *access) rules_.set_public(repo, is_public);
  }
  if (const auto files = db_->held_files()) {
    for (const FileStatus& file : *files) {
      rules_.add_blob(file.blob, file.repo);
    }
  }
  return {};
}

Result<void> Daemon::open_origin() {
  const Environment env = process_environment();
  HubClient::Options options;
  options.endpoint = config_.hub;
  options.token = hub_token(env, disk_small_file_reader());
  has_token_ = !options.token.empty();
  options.ca_file = tls_ca_file(env);
  options.ca_dir = tls_ca_dir(env);
  options.user_agent = std::string("shoal/") + kVersion;
  options.max_connections = config_.origin_connections;
  options.max_connections_per_host = config_.origin_connections;
  options.rate_limit = origin_limit_ = config_.wan_rate_limit;
  Origin::Callbacks callbacks;
  callbacks.on_progress = [this](FetchId id, std::uint64_t bytes) {
    loop_.post([this, id, bytes] {
      const Time now = now_time();
      origin_rate_.add(bytes, now);
      origin_bytes_ += bytes;
      observer_.on_origin_bytes(bytes);
      if (fetcher_) fetcher_->on_fetch_progress(id, bytes, now);
    });
  };
  callbacks.on_done = [this](FetchId id, const Result<void>& result) {
    loop_.post([this, id, result] {
      if (!fetcher_ || stopping_) return;
      fetcher_->on_fetch_done(id, result, now_time());
      loop_.request_turn();
    });
  };
  HubClient::Notices notices;
  notices.on_limited = [this](Time until, std::string reason) {
    loop_.post([this, until, reason = std::move(reason)] {
      events_.warn("rate_limited", reason);
      observer_.on_limited(until, reason, now_time());
    });
  };
  auto hub = HubClient::create(std::move(options), std::move(callbacks), std::move(notices));
  if (!hub) return shoal::fail(hub.error());
  hub_ = std::move(*hub);
  return {};
}

Result<void> Daemon::open_swarm() {
  SwarmOptions options;
  options.listen = {config_.swarm};
  options.cluster = config_.cluster;
  if (membership_) {
    if (membership_->info.node != self_) {
      return shoal::fail(Code::invalid,
                         "the certificate in " + (config_.state_dir / "trust").string() +
                             " is of another node, whose state this was; remove the folder and "
                             "join the cluster again");
    }
    options.trust = SwarmTrust{membership_->authority_pem, membership_->node.cert_pem,
                               membership_->node.key_pem, membership_->revoked};
  }
  options.node = self_;
  options.name = config_.node_name;
  options.version = kVersion;
  options.run = random_u64();
  for (const HostPort& peer : config_.peers) options.peers.push_back(peer.text());
  options.lsd = config_.lsd;
  options.on_log = [](const std::string& line) { spdlog::debug("swarm: {}", line); };

  Swarm::Callbacks callbacks;
  callbacks.on_neighbour_up = [this](NodeId node, Endpoint endpoint, msg::Hello hello) {
    loop_.post([this, node, endpoint = std::move(endpoint), hello = std::move(hello)] {
      if (stopping_) return;
      site_->on_neighbour_up(node, endpoint, hello, now_time());
      cluster_->on_neighbour_up(node);
      loop_.request_turn();
    });
  };
  callbacks.on_neighbour_down = [this](NodeId node, std::string reason) {
    loop_.post([this, node, reason = std::move(reason)] {
      if (stopping_) return;
      site_->on_neighbour_down(node, reason);
      loop_.request_turn();
    });
  };
  callbacks.on_message = [this](NodeId from, Message message) {
    loop_.post([this, from, message = std::make_shared<Message>(std::move(message))] {
      if (stopping_) return;
      on_message(from, std::move(*message));
      loop_.request_turn();
    });
  };
  callbacks.on_piece = [this](SegmentKey key, PieceIndex piece, NodeId from) {
    loop_.post([this, key, piece, from] {
      if (stopping_) return;
      fetcher_->on_swarm_piece(key, piece, from, now_time());
      loop_.request_turn();
    });
  };
  callbacks.on_bad_piece = [this](SegmentKey key, PieceIndex piece, std::vector<NodeId> from) {
    loop_.post([this, key, piece, from = std::move(from)] {
      if (stopping_) return;
      observer_.on_bad_piece();
      for (const NodeId node : from) {
        events_.add({{},
                     EventLevel::warning,
                     "bad_piece",
                     {},
                     {},
                     {},
                     node.hex(),
                     "piece " + std::to_string(to_int(piece)) + " of segment " +
                         std::to_string(to_int(key.index)) + " of " + key.blob.text() +
                         " does not match its hash"});
      }
      fetcher_->on_bad_piece(key, piece, from, now_time());
      loop_.request_turn();
    });
  };
  callbacks.on_segment_failed = [this](SegmentKey key, Error error) {
    loop_.post([this, key, error = std::move(error)] {
      if (stopping_) return;
      spdlog::warn("segment {} of {}: {}", to_int(key.index), key.blob.text(), error.message);
      fetcher_->on_segment_failed(key, error, now_time());
      loop_.request_turn();
    });
  };
  callbacks.on_traffic = [this](NodeId node, std::uint64_t received, std::uint64_t sent) {
    loop_.post([this, node, received, sent] {
      if (stopping_) return;
      const Time now = now_time();
      download_rate_.add(received, now);
      upload_rate_.add(sent, now);
      site_->on_traffic(node, received, sent);
      observer_.on_traffic(node, received, sent, now);
      if (received > 0) fetcher_->scheduler().on_swarm_bytes(received, now);
    });
  };
  auto swarm = SwarmSession::start(std::move(options), std::move(callbacks));
  if (!swarm) return shoal::fail(swarm.error());
  swarm_ = std::move(*swarm);

  seeder_ = std::make_unique<Seeder>(
      loop_, *store_, *swarm_, [this](const BlobId& blob) { return rules_.shareable(blob); },
      [this](const BlobId& blob) {
        if (evictor_) evictor_->on_used(blob);
      });
  pulls_ = std::make_unique<Pulls>(
      loop_, *store_, *db_, *hub_, rules_, events_, config_.free_space_floor,
      [this](const RepoRef& repo, bool is_public) { set_repo_access(repo, is_public); },
      [this](const BlobId& blob, const Error& error) { readers_->on_failed(blob, error); });
  readers_ = std::make_shared<Readers>(
      loop_, *store_, events_,
      [this](const BlobId& blob, const std::vector<std::uint64_t>& offsets) {
        fetcher_->set_readers(blob, offsets);
      },
      [this](const BlobId& blob) { return fetcher_->is_settled(blob); });
  Fetcher::Listener listener;
  listener.on_done = [this](const BlobId& blob, const Fetcher::Sources& bytes,
                            const std::shared_ptr<const PieceMap>& pieces) {
    add_held(blob);
    pulls_->on_blob_done(blob, bytes, pieces);
    readers_->on_done(blob);
  };
  listener.on_failed = [this](const BlobId& blob, const Error& error) {
    pulls_->on_blob_failed(blob, error);
    readers_->on_failed(blob, error);
    if (error.code == Code::changed) listings_->distrust(blob);
  };
  listener.on_progress = [this](const BlobId& blob) { readers_->on_progress(blob); };
  listener.on_wrong = [this](const BlobId& blob, const std::string& text) { readers_->on_wrong(blob, text); };
  listener.on_dropped = [this](const BlobId& blob) {
    readers_->on_failed(blob, Error{Code::cancelled, "the pull that fetched it ended", 0});
  };
  listener.on_liar = [this](NodeId node, const std::string& reason) {
    site_->on_banned(node, Fetcher::kBanDuration, reason);
  };
  listener.on_mismatch = [this](const OriginFile& file, const std::string& text) {
    observer_.on_mismatch();
    events_.add({{}, EventLevel::error, "hash_mismatch", {}, file.repo.name, file.path, {}, text});
  };
  Scheduler::Limits limits;
  limits.slices = std::max(1, std::min(limits.slices, config_.origin_connections));
  fetcher_ =
      std::make_unique<Fetcher>(loop_, *store_, *swarm_, *hub_, *seeder_, self_, limits, std::move(listener));
  pulls_->set_fetcher(*fetcher_);
  pulls_->set_on_ended([this](PullId id) { end_watch_.ended(id); });
  for (const BlobId& blob : held_) {
    if (rules_.shareable(blob)) fetcher_->scheduler().on_held(blob);
  }

  Site::Listener site_listener;
  site_listener.on_alive = [this](NodeId node) { fetcher_->scheduler().on_neighbour_up(node, now_time()); };
  site_listener.on_dead = [this](NodeId node) {
    site_wan_.on_gone(node);
    fetcher_->scheduler().on_neighbour_down(node, now_time());
    seeder_->on_neighbour_down(node);
    listing_exchange_->on_neighbour_down(node);
    evictor_->on_neighbour_down(node);
  };
  site_ = std::make_unique<Site>(events_, std::move(site_listener));
  if (const auto peers = db_->peers()) site_->remember(*peers);

  open_evictor();

  Jobs::Listener jobs_listener;
  jobs_listener.on_adopted = [this](AdoptReport report, std::function<void()> done) {
    on_adopted(std::move(report), std::move(done));
  };
  jobs_listener.on_not_held = [this](const BlobId& blob) { drop_held(blob); };
  jobs_ = std::make_unique<Jobs>(loop_, *store_, events_, std::move(jobs_listener));
  open_endpoint();
  open_exporter();
  return {};
}

void Daemon::open_endpoint() {
  listing_store_ = std::make_unique<ListingStore>(config_.state_dir / "listings");
  listing_exchange_ =
      std::make_shared<ListingExchange>(loop_, *swarm_, self_, [this] { return site_->alive(); });
  listings_ = std::make_unique<Listings>(
      loop_, *listing_store_, *db_, *hub_, *swarm_, rules_, listing_exchange_,
      [this](const RepoRef& repo, bool is_public) { set_repo_access(repo, is_public); });
  endpoint_ = std::make_unique<EndpointService>(loop_, *store_, *listings_, rules_, *pulls_, readers_);
}

void Daemon::open_exporter() {
  Exporter::Options options;
  options.book = config_.state_dir / "exports";
  options.closed_cluster = membership_.has_value();
  const InterfaceAddresses own = interface_addresses();
  const std::string& address = config_.swarm.address;
  const std::vector<std::string> addresses = address == "0.0.0.0" ? own.v4
                                             : address == "::"    ? own.v6
                                                                  : std::vector{address};
  for (const std::string& one : addresses) {
    // What another machine can reach, as far as this one knows; a magnet with more is none to read.
    const bool useful = addresses.size() == 1 || (is_site_address(one) && !is_loopback(one));
    if (useful && options.peers.size() < kMagnetPeers) options.peers.push_back({one, swarm_->port()});
  }
  exporter_ = std::make_unique<Exporter>(
      loop_, *store_, *db_, *swarm_, events_, [this](const BlobId& blob) { return rules_.shareable(blob); },
      std::move(options));
}

void Daemon::open_evictor() {
  Evictor::Options options;
  options.self = self_;
  options.cache_size_limit = config_.cache_size_limit;
  options.free_space_floor = config_.free_space_floor;
  options.evict_for_floor = config_.evict_for_floor;
  options.evict_last_copies = config_.evict_last_copies;
  Evictor::Facts facts;
  facts.peers = [this] { return site_->rows(); };
  facts.wanted = [this](const RepoRef& repo) { return pulls_->is_wanted(repo, {}); };
  facts.shareable = [this](const BlobId& blob) { return rules_.shareable(blob); };
  facts.held = [this](const BlobId& blob) { return held_.contains(blob); };
  facts.served = [this](const BlobId& blob) { return seeder_->serves(blob, now_time()); };
  facts.on_leaving = [this](const BlobId& blob) { leave_out(blob); };
  facts.on_stayed = [this](const BlobId& blob) {
    add_held(blob);
    if (rules_.shareable(blob)) fetcher_->scheduler().on_held(blob);
  };
  facts.outstanding = [this] { return pulls_->outstanding(); };
  evictor_ = std::make_unique<Evictor>(loop_, *store_, *db_, *swarm_, events_, options, std::move(facts));
  pulls_->set_evictor(*evictor_);
}

Result<void> Daemon::open_cluster() {
  ClusterService::Hooks hooks;
  hooks.start_over = [this] {
    starting_over_ = true;
    // The API's answer first: it says that it worked.
    loop_.after(kAnswerFirst, [this] { stop(); });
  };
  hooks.send = [this](NodeId node, Message message) { swarm_->send(node, std::move(message)); };
  hooks.alive = [this] { return site_->alive(); };
  hooks.on_revoked = [this](const RevocationList& list) { swarm_->set_revoked(list); };
  cluster_ = std::make_unique<ClusterService>(
      loop_, events_, TrustFolder(config_.state_dir / "trust"),
      ClusterService::Self{self_, config_.node_name, config_.cluster, config_.join_listen}, membership_,
      std::move(hooks));
  return cluster_->open_authority();
}

Result<void> Daemon::open_api() {
  ApiServerOptions options;
  options.http.listen = config_.api;
  options.http.host_names = config_.api_hosts;
  if (!config_.api_token_file.empty()) {
    const auto token = disk_small_file_reader()(config_.api_token_file.string());
    if (!token)
      return shoal::fail(Code::io, "cannot read the API's token file " + config_.api_token_file.string());
    options.http.bearer_token = token->substr(0, token->find_last_not_of(" \t\r\n") + 1);
  }
  options.more_routes = [this](Router& router) {
    add_cluster_routes(router, *cluster_);
    add_export_routes(router, *exporter_);
    router.set_fallback([this](const HttpRequest& request, const Responder& respond) {
      return handle_hub_request(*endpoint_, request, respond);
    });
  };
  auto api = ApiServer::start(std::move(options), *this);
  if (!api) return shoal::fail(api.error());
  api_ = std::move(*api);
  events_.set_listener([this](const EventRow& row) {
    if (api_) api_->publish(row);
  });
  spdlog::info("node {} ({}) serves the API on {} and neighbours on {}:{}", config_.node_name,
               self_.short_hex(), api_->endpoint().text(), config_.swarm.address, swarm_->port());
  return {};
}

void Daemon::resume_pulls() {
  const auto unfinished = db_->unfinished_pulls();
  if (!unfinished) {
    events_.warn("resume_failed", unfinished.error().message);
    return;
  }
  for (const PullStatus& status : *unfinished) pulls_->resume(status);
}

void Daemon::rebuild() {
  std::string text = rescue_->reason;
  if (!rescue_->set_aside.empty()) text += "; it was set aside as " + rescue_->set_aside;
  text += "; a new one was made with " + std::to_string(rescue_->pulls) + " running pulls and " +
          std::to_string(rescue_->partials) +
          " partial files of the old one, and the caches are being read again";
  events_.warn("state_rebuilt", text);
  // Last in, first read: the own cache, in one job, then the folders of others.
  const std::string own = store_->cache().layout().root();
  for (const std::string& folder : rescue_->caches) {
    if (!folder.starts_with(own + "/")) to_adopt_.push_back(folder);
  }
  to_adopt_.push_back(own);
}

void Daemon::give_up_state() {
  state_damaged_ = true;
  events_.add(
      {{}, EventLevel::error, "state_damaged", {}, {}, {}, {}, "shoal.db is damaged; it will be rebuilt"});
  loop_.record([this] { return db_->mark_damaged(); },
               [this](const Result<void>& result) {
                 if (!result) spdlog::error("marking shoal.db as damaged: {}", result.error().message);
                 stop();
               });
}

void Daemon::stop() {
  if (std::exchange(stopping_, true)) return;
  // To systemd this is one run: the service does not stop when it starts over inside the process.
  if (!state_damaged_ && !starting_over_) notify_stopping();
  jobs_->cancel_all();
  events_.set_listener({});
  swarm_->say_bye(kByeAtMost);
  // What the last second brought is worth a row.
  StatusSnapshot last;
  last.at = wall_clock_now();
  last.node = self_;
  last.node_name = config_.node_name;
  pulls_->append_rows(last, now_time());
  last.peers = site_->rows();
  for (PeerStatus& peer : last.peers) peer.alive = false;
  loop_.record(
      [this, last = std::move(last), used = evictor_->take_used(),
       rows = events_.take_pending()]() -> Result<void> {
        if (auto noted = db_->note_used(used, last.at); !noted) return noted;
        if (auto added = db_->add_events(rows); !added) return added;
        return db_->write_snapshot(last);
      },
      [this](const Result<void>& result) {
        if (!result) spdlog::error("recording the last status: {}", result.error().message);
        loop_.stop();
      });
}

void Daemon::tick() {
  if (stopping_) return;
  const Time now = now_time();
  loop_.after(kTick, [this] { tick(); });
  measure_load(now);
  follow_load(now);
  site_->expire(now);
  auto around =
      observer_.tick(load_, site_->rows(), fetcher_->write_times(), fetcher_->scheduler().live_slices(), now);
  around.node.site_wan_limit = site_wan_.site_limit();
  around.node.site_wan_part = site_wan_.own_limit();
  fetcher_->set_surroundings(std::move(around));
  look_at_disk(now);
  send_heartbeats();
  seeder_->drop_idle(now);
  cluster_->tick(now);
  evictor_->tick(now);
  publish_status(now);
  notify_watchdog();
  if (db_->damaged() && !state_damaged_) give_up_state();
  // An empty cache has nothing to adopt, and says so; two jobs run at once at most.
  if (!to_adopt_.empty()) {
    const auto started = jobs_->start_seed(to_adopt_.back(), to_adopt_.back());
    if (started || started.error().code != Code::unavailable) to_adopt_.pop_back();
  }
  loop_.request_turn();
  if (now - last_checkpoint_ >= kCheckpointEvery) {
    last_checkpoint_ = now;
    loop_.run([this] { return db_->checkpoint(); },
              [](const Result<void>& result) {
                if (!result) spdlog::warn("checkpoint of shoal.db: {}", result.error().message);
              });
  }
}

void Daemon::measure_load(Time now) {
  const SwarmSession::Payload moved = swarm_->payload();
  load_ = load_sampler_.sample({moved.received + origin_bytes_, moved.sent, files_.waited_us()}, now);
  load_.origin_bytes_per_s = origin_rate_.bytes_per_s(now);
  load_.upload_bytes_per_s = upload_rate_.bytes_per_s(now);
  load_.download_bytes_per_s = download_rate_.bytes_per_s(now);
  if (free_capacity(load_) < 0.95) {
    spdlog::debug("load: cpu {} memory {} io {} nic {} gpu {} permille{}", load_.cpu_permille,
                  load_.memory_permille, load_.io_permille, load_.nic_permille, load_.gpu_permille,
                  load_.busy ? ", marked busy" : "");
  }
}

void Daemon::follow_load(Time now) {
  fetcher_->scheduler().on_own_load(load_);
  site_wan_.on_own_state(free_capacity(load_), load_.origin_bytes_per_s, fetcher_->scheduler().wants_origin(),
                         now);
  limit_origin();
  upload_pace_.on_own_state(load_, load_sampler_.link_bytes_per_s(), now);
  if (const auto limit = upload_pace_.limit(); std::exchange(upload_limit_, limit) != limit) {
    swarm_->limit_uploads(limit);
  }
  const int threads = thread_share(kHashingThreads, free_capacity(load_));
  if (std::exchange(hashing_threads_, threads) != threads) {
    swarm_->limit_disk_threads(threads);
    store_->limit_hash_threads(threads);
  }
}

void Daemon::tell_busy_mark(Time now) {
  const bool busy = load_sampler_.busy(now);
  if (stopping_ || load_.busy == busy) return;
  load_.busy = busy;
  follow_load(now);
  send_heartbeats();
  loop_.request_turn();
}

void Daemon::limit_origin() {
  std::uint64_t limit = config_.wan_rate_limit;
  if (const std::uint64_t part = site_wan_.own_limit(); part != 0 && (limit == 0 || part < limit))
    limit = part;
  // Not for every byte per second that a neighbour's rate moved it.
  const std::uint64_t change = std::max(limit, origin_limit_) - std::min(limit, origin_limit_);
  if (change == 0 || (limit != 0 && origin_limit_ != 0 && change < origin_limit_ / 50)) return;
  origin_limit_ = limit;
  hub_->set_rate_limit(limit);
}

void Daemon::look_at_disk(Time now) {
  if (now - last_disk_look_ < kDiskLookEvery) return;
  last_disk_look_ = now;
  loop_.run(
      [path = config_.cache_dir] {
        std::error_code ec;
        return std::filesystem::space(path, ec);  // of an error both are uintmax_t(-1)
      },
      [this](const std::filesystem::space_info& space) {
        if (space.capacity != static_cast<std::uintmax_t>(-1)) {
          observer_.on_disk(space.capacity, space.available);
        }
      });
}

void Daemon::send_heartbeats() {
  const msg::Heartbeat heartbeat{
      ++heartbeat_,      load_, static_cast<std::uint32_t>(held_.size()), bytes_held_, site_wan_.configured(),
      site_wan_.hungry()};
  for (const NodeId node : site_->alive()) swarm_->send(node, heartbeat);
}

void Daemon::publish_status(Time now) {
  // One write at a time: on a slow disk statuses become rarer instead of piling up.
  if (recording_) return;
  recording_ = true;
  after_this_record_ = std::exchange(after_next_record_, {});
  auto next = std::make_shared<StatusSnapshot>();
  next->at = wall_clock_now();
  next->node = self_;
  next->node_name = config_.node_name;
  next->load = load_;
  next->blobs_held = static_cast<std::uint32_t>(held_.size());
  next->bytes_held = bytes_held_;
  pulls_->append_rows(*next, now);
  next->peers = site_->rows();
  observer_.fill(*next);
  loop_.record(
      [this, next, rows = events_.take_pending()]() -> Result<void> {
        if (!rows.empty()) {
          if (auto added = db_->add_events(rows); !added) return added;
        }
        return db_->write_snapshot(*next);
      },
      [this, next](const Result<void>& result) {
        recording_ = false;
        if (!result) spdlog::error("recording the status: {}", result.error().message);
        {
          // The API shows what SQL shows, so it changes only once the rows are written.
          const std::lock_guard lock(snapshot_mutex_);
          snapshot_ = next;
        }
        if (api_) api_->publish(*next);
        for (const auto& then : std::exchange(after_this_record_, {})) then();
        if (!after_next_record_.empty() && !stopping_) publish_status(now_time());
      });
}

void Daemon::after_recording(std::function<void()> then) {
  after_next_record_.push_back(std::move(then));
  publish_status(now_time());
}

void Daemon::on_message(NodeId from, Message message) {
  const Time now = now_time();
  if (const auto* heartbeat = std::get_if<msg::Heartbeat>(&message)) {
    spdlog::debug("heartbeat {} of {}", heartbeat->sequence, site_->name_of(from));
    site_->on_heartbeat(from, *heartbeat, now);
    site_wan_.on_heartbeat(from, *heartbeat);
    limit_origin();
    fetcher_->scheduler().on_message(from, message, now);
  } else if (auto* bytes = std::get_if<msg::BlobBytes>(&message)) {
    fetcher_->on_blob_bytes(from, std::move(*bytes));
  } else if (const auto* ask_blob = std::get_if<msg::AskBlob>(&message)) {
    seeder_->on_ask_blob(from, *ask_blob);
  } else if (std::holds_alternative<msg::Bye>(message)) {
    site_->on_neighbour_down(from, "it is stopping");
  } else if (const auto* ask_listing = std::get_if<msg::AskListing>(&message)) {
    listings_->on_ask(from, *ask_listing);
  } else if (auto* revocations = std::get_if<msg::Revocations>(&message)) {
    cluster_->on_revocations(from, std::move(*revocations));
  } else if (const auto* listing = std::get_if<msg::Listing>(&message)) {
    listing_exchange_->on_listing(from, *listing);
  } else {
    if (const auto* ask = std::get_if<msg::AskSegment>(&message)) seeder_->on_ask_segment(from, *ask, now);
    if (const auto* ask = std::get_if<msg::AskKeep>(&message)) evictor_->on_ask_keep(from, *ask, now);
    if (const auto* keep = std::get_if<msg::Keep>(&message)) evictor_->on_keep(from, *keep);
    fetcher_->scheduler().on_message(from, message, now);
  }
}

void Daemon::add_held(const BlobId& blob) {
  if (held_.insert(blob).second) bytes_held_ += blob.size;
}

void Daemon::drop_held(const BlobId& blob) {
  leave_out(blob);
  rules_.remove_blob(blob);
}

void Daemon::leave_out(const BlobId& blob) {
  if (held_.erase(blob) > 0) bytes_held_ -= blob.size;
  fetcher_->scheduler().on_not_held(blob);
  seeder_->on_blob_removed(blob);
  exporter_->on_blob_removed(blob);
  loop_.request_turn();
}

void Daemon::set_repo_access(const RepoRef& repo, bool is_public) {
  for (const BlobId& blob : rules_.set_public(repo, is_public)) {
    fetcher_->scheduler().on_not_held(blob);
    seeder_->on_blob_removed(blob);
    exporter_->on_blob_removed(blob);
  }
  loop_.record([this, repo, is_public] { return db_->save_repo_access(repo, is_public); },
               [](const Result<void>& result) {
                 if (!result) spdlog::error("recording who may download: {}", result.error().message);
               });
  loop_.request_turn();
}

void Daemon::announce_repo(const RepoRef& repo, const std::vector<BlobId>& blobs) {
  for (const BlobId& blob : blobs) {
    rules_.add_blob(blob, repo);
    if (held_.contains(blob) && rules_.shareable(blob)) fetcher_->scheduler().on_held(blob);
  }
  if (!rules_.shares(repo)) {
    events_.add({{},
                 EventLevel::info,
                 "not_shared",
                 {},
                 repo.name,
                 {},
                 {},
                 "not everybody may download it, so neighbours do not hear of it"});
  }
  loop_.request_turn();
}

void Daemon::on_adopted(AdoptReport report, std::function<void()> done) {
  for (const BlobId& blob : report.adopted) add_held(blob);
  for (const BlobId& blob : report.known) add_held(blob);
  std::map<RepoRef, std::vector<BlobId>> by_repo;
  std::map<RepoRef, FileStatus> sample;
  for (const FileStatus& file : report.files) {
    by_repo[file.repo].push_back(file.blob);
    sample.emplace(file.repo, file);
  }
  if (by_repo.empty()) {
    done();
    return;
  }
  // Only the Hub knows whether a repo is open to everybody; an unreachable Hub leaves the last known answer.
  auto open = std::make_shared<std::size_t>(by_repo.size());
  auto finished = std::make_shared<std::function<void()>>(std::move(done));
  for (auto& [repo, blobs] : by_repo) {
    const FileStatus& file = sample.at(repo);
    hub_->is_public(
        repo, file.commit_id, file.path,
        [this, open, finished, repo = repo, blobs = std::move(blobs)](const Result<bool>& answer) {
          loop_.post([this, open, finished, repo, blobs, answer] {
            if (answer) {
              set_repo_access(repo, *answer);
            } else {
              events_.add(
                  {{},
                   EventLevel::warning,
                   "access_unknown",
                   {},
                   repo.name,
                   {},
                   {},
                   "cannot ask the Hub whether everybody may download it: " + answer.error().message});
            }
            announce_repo(repo, blobs);
            if (--*open == 0) (*finished)();
          });
        });
  }
}

}  // namespace shoal
