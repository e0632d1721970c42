// Between the swarm and what the node knows: what is made of its facts, and what neighbours are told.
#include "node/daemon/daemon.h"
#include "node/version.h"
#include "transport/swarm/listen_addresses.h"

#include <algorithm>
#include <chrono>
#include <random>
#include <utility>

#include <spdlog/spdlog.h>

namespace shoal {
namespace {

std::uint64_t random_u64() {
  std::random_device device;
  return (std::uint64_t{device()} << 32U) | device();
}

}  // namespace

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
      site_->on_neighbour_up(node, endpoint, hello, std::chrono::steady_clock::now());
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
      fetcher_->on_swarm_piece(key, piece, from, std::chrono::steady_clock::now());
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
      fetcher_->on_bad_piece(key, piece, from, std::chrono::steady_clock::now());
      loop_.request_turn();
    });
  };
  callbacks.on_segment_failed = [this](SegmentKey key, Error error) {
    loop_.post([this, key, error = std::move(error)] {
      if (stopping_) return;
      spdlog::warn("segment {} of {}: {}", to_int(key.index), key.blob.text(), error.message);
      fetcher_->on_segment_failed(key, error, std::chrono::steady_clock::now());
      loop_.request_turn();
    });
  };
  callbacks.on_traffic = [this](NodeId node, std::uint64_t received, std::uint64_t sent) {
    loop_.post([this, node, received, sent] {
      if (stopping_) return;
      const Time now = std::chrono::steady_clock::now();
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
  site_listener.on_alive = [this](NodeId node) {
    fetcher_->scheduler().on_neighbour_up(node, std::chrono::steady_clock::now());
  };
  site_listener.on_dead = [this](NodeId node) {
    site_wan_.on_gone(node);
    fetcher_->scheduler().on_neighbour_down(node, std::chrono::steady_clock::now());
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

void Daemon::tell_busy_mark(Time now) {
  const bool busy = load_sampler_.busy(now);
  if (stopping_ || load_.busy == busy) return;
  load_.busy = busy;
  follow_load(now);
  send_heartbeats();
  loop_.request_turn();
}

void Daemon::send_heartbeats() {
  const msg::Heartbeat heartbeat{
      ++heartbeat_,      load_, static_cast<std::uint32_t>(held_.size()), bytes_held_, site_wan_.configured(),
      site_wan_.hungry()};
  for (const NodeId node : site_->alive()) swarm_->send(node, heartbeat);
}

void Daemon::on_message(NodeId from, Message message) {
  const Time now = std::chrono::steady_clock::now();
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

}  // namespace shoal
