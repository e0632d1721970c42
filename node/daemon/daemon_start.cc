// What a start does, room by room, and what it does about a state that is damaged.
#include "node/daemon/daemon.h"
#include "node/endpoint/hub_endpoint.h"
#include "node/version.h"
#include "transport/origin/hub_settings.h"
#include "transport/swarm/address_rules.h"
#include "transport/swarm/listen_addresses.h"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <utility>

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>
#include <unistd.h>

namespace shoal {
namespace {

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
      fetcher_->on_pieces_lost(key, pieces, error, std::chrono::steady_clock::now());
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
      const Time now = std::chrono::steady_clock::now();
      origin_rate_.add(bytes, now);
      origin_bytes_ += bytes;
      observer_.on_origin_bytes(bytes);
      if (fetcher_) fetcher_->on_fetch_progress(id, bytes, now);
    });
  };
  callbacks.on_done = [this](FetchId id, const Result<void>& result) {
    loop_.post([this, id, result] {
      if (!fetcher_ || stopping_) return;
      fetcher_->on_fetch_done(id, result, std::chrono::steady_clock::now());
      loop_.request_turn();
    });
  };
  HubClient::Notices notices;
  notices.on_limited = [this](Time until, std::string reason) {
    loop_.post([this, until, reason = std::move(reason)] {
      events_.warn("rate_limited", reason);
      observer_.on_limited(until, reason, std::chrono::steady_clock::now());
    });
  };
  auto hub = HubClient::create(std::move(options), std::move(callbacks), std::move(notices));
  if (!hub) return shoal::fail(hub.error());
  hub_ = std::move(*hub);
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
  facts.served = [this](const BlobId& blob) {
    return seeder_->serves(blob, std::chrono::steady_clock::now());
  };
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

}  // namespace shoal
