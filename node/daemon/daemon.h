// The service: opens the store, the session, the origin and the API, and joins them around one loop.
//
// Start: state directory and lock -> shoal.db -> blob store -> origin -> swarm -> API -> unfinished pulls ->
// READY. Stop (SIGTERM, SIGINT): refuse new work -> say Bye -> end fetches -> record what landed -> close.
// Pulls that were running go on at the next start.
#pragma once

#include "node/api/api_backend.h"
#include "node/api/api_server.h"
#include "node/config/config.h"
#include "node/core/site_wan_limit.h"
#include "node/core/status.h"
#include "node/core/upload_pace.h"
#include "node/daemon/cluster_service.h"
#include "node/daemon/end_watch.h"
#include "node/daemon/endpoint_service.h"
#include "node/daemon/event_log.h"
#include "node/daemon/evictor.h"
#include "node/daemon/exporter.h"
#include "node/daemon/fetcher.h"
#include "node/daemon/jobs.h"
#include "node/daemon/listings.h"
#include "node/daemon/load_sampler.h"
#include "node/daemon/loop.h"
#include "node/daemon/metered_files.h"
#include "node/daemon/observer.h"
#include "node/daemon/pulls.h"
#include "node/daemon/rate_meter.h"
#include "node/daemon/readers.h"
#include "node/daemon/seeder.h"
#include "node/daemon/share_rules.h"
#include "node/daemon/site.h"
#include "storage/blob_store.h"
#include "storage/file.h"
#include "storage/listing_store.h"
#include "storage/state_db.h"
#include "storage/state_rescue.h"
#include "transport/origin/hub_client.h"
#include "transport/swarm/swarm_session.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace shoal {

class Daemon final : public ApiBackend {
 public:
  static constexpr Code kStartOver = Code::changed;

  static constexpr std::chrono::seconds kTick{1};
  static constexpr std::chrono::seconds kCheckpointEvery{60};
  static constexpr std::chrono::seconds kDiskLookEvery{5};
  static constexpr std::chrono::milliseconds kByeAtMost{500};
  static constexpr std::chrono::milliseconds kAnswerFirst{200};
  static constexpr std::size_t kMagnetPeers = 4;

  explicit Daemon(Config config);
  ~Daemon() override;

  // Runs until a signal. Errors are those of starting; corrupt when shoal.db was found to be damaged: a new
  // Daemon then sets it aside and goes on; and kStartOver when a new Daemon is to go on as a member of a
  // closed cluster.
  Result<void> run();

  // ApiBackend; called on the API's thread.
  [[nodiscard]] std::shared_ptr<const StatusSnapshot> snapshot() const override;
  void info(Reply<NodeInfo> reply) override;
  void doctor(Reply<std::vector<DoctorCheck>> reply) override;
  void start_pull(PullRequest request, Reply<PullId> reply) override;
  void pull(PullId id, std::chrono::milliseconds wait, Reply<PullDetail> reply) override;
  void pulls(std::size_t limit, Reply<std::vector<PullStatus>> reply) override;
  void cancel_pull(PullId id, Reply<void> reply) override;
  void status(std::optional<std::string> repo, std::optional<RepoType> type, std::size_t limit,
              Reply<StatusPage> reply) override;
  void repos(Reply<std::vector<RepoSummary>> reply) override;
  void holdings(std::optional<std::string> repo, std::optional<RepoType> type, std::size_t limit,
                Reply<HoldingsPage> reply) override;
  void events(std::size_t limit, Reply<std::vector<EventRow>> reply) override;
  void start_seed(SeedRequest request, Reply<JobId> reply) override;
  void start_verify(std::optional<RepoRef> repo, Reply<JobId> reply) override;
  void job(JobId id, Reply<JobStatus> reply) override;
  void jobs(Reply<std::vector<JobStatus>> reply) override;
  void cancel_job(JobId id, Reply<void> reply) override;
  void remove(RemoveRequest request, Reply<RemoveResult> reply) override;
  void collect_garbage(GcRequest request, Reply<GcResult> reply) override;
  void pins(Reply<std::vector<RepoRef>> reply) override;
  void set_pinned(RepoRef repo, bool pinned, Reply<void> reply) override;
  void set_busy(bool busy, std::optional<std::chrono::seconds> duration, Reply<void> reply) override;

 private:
  Result<void> start();
  Result<void> open_trust();
  Result<void> open_storage(bool was_here);
  Result<void> open_origin();
  Result<void> open_swarm();
  void open_endpoint();
  void open_exporter();
  Result<void> open_cluster();
  Result<void> open_api();
  void open_evictor();
  void resume_pulls();
  // shoal.db had to be made anew: reads the caches again, one job after the other.
  void rebuild();
  // shoal.db turned out to be damaged: ends this run, so that the next one sets it aside.
  void give_up_state();
  void stop();

  void tick();
  void measure_load(Time now);
  // Lets this node's own work follow its load.
  void follow_load(Time now);
  // The busy mark was set or taken back, by somebody or by its expiry: neighbours hear of it at once.
  void tell_busy_mark(Time now);
  // What this node may take from the origin: its own limit, or its part of the site's.
  void limit_origin();
  void send_heartbeats();
  void look_at_disk(Time now);
  void publish_status(Time now);
  void answer_pull(PullId id, const Reply<PullDetail>& reply);
  // Runs `then` once a status made after this call is in shoal.db and in the snapshot.
  void after_recording(std::function<void()> then);
  void on_message(NodeId from, Message message);
  void on_adopted(AdoptReport report, std::function<void()> done);
  // The Hub said whether anyone may download the repo.
  void set_repo_access(const RepoRef& repo, bool is_public);
  void announce_repo(const RepoRef& repo, const std::vector<BlobId>& blobs);
  void add_held(const BlobId& blob);
  void drop_held(const BlobId& blob);
  // Nothing of it is offered to anybody any more.
  void leave_out(const BlobId& blob);

  const Config config_;
  NodeId self_;
  WallTime started_at_;
  UniqueFd state_lock_;

  Loop loop_;
  EndWatch end_watch_{loop_};
  EventLog events_;
  ShareRules rules_;
  MeteredFiles files_;  // before what uses it: the store and its threads
  LoadSampler load_sampler_;
  UploadPace upload_pace_;
  std::uint64_t upload_limit_ = 0;  // in force at the swarm, bytes per second; 0: none
  int hashing_threads_ = 0;         // that may work, in force at the swarm and the store; 0: none was set
  SiteWanLimit site_wan_;
  std::uint64_t origin_limit_ = 0;  // in force at the origin client, bytes per second; 0: none
  Observer observer_;
  std::uint64_t origin_bytes_ = 0;  // since the start
  RateMeter origin_rate_;
  RateMeter upload_rate_;
  RateMeter download_rate_;
  DeviceLoad load_;
  std::uint64_t heartbeat_ = 0;
  std::set<BlobId> held_;
  std::uint64_t bytes_held_ = 0;
  Time last_checkpoint_;
  Time last_disk_look_;
  bool recording_ = false;  // a status write is under way
  std::vector<std::function<void()>> after_this_record_;
  std::vector<std::function<void()>> after_next_record_;
  bool stopping_ = false;
  bool state_damaged_ = false;
  bool starting_over_ = false;
  std::optional<Membership> membership_;  // of a closed cluster
  std::optional<Rescue> rescue_;
  std::vector<std::string> to_adopt_;  // caches that are still to be read after a rescue
  bool has_token_ = false;

  std::unique_ptr<StateDb> db_;
  std::unique_ptr<BlobStore> store_;
  std::unique_ptr<HubClient> hub_;
  std::unique_ptr<SwarmSession> swarm_;
  std::unique_ptr<Seeder> seeder_;
  std::unique_ptr<Pulls> pulls_;
  std::unique_ptr<Fetcher> fetcher_;
  std::unique_ptr<Site> site_;
  std::unique_ptr<ClusterService> cluster_;
  std::unique_ptr<Exporter> exporter_;
  std::unique_ptr<Evictor> evictor_;
  std::unique_ptr<Jobs> jobs_;
  std::shared_ptr<Readers> readers_;
  std::unique_ptr<ListingStore> listing_store_;
  std::shared_ptr<ListingExchange> listing_exchange_;
  std::unique_ptr<Listings> listings_;
  std::unique_ptr<EndpointService> endpoint_;
  std::unique_ptr<ApiServer> api_;

  mutable std::mutex snapshot_mutex_;
  std::shared_ptr<const StatusSnapshot> snapshot_;  // guarded by snapshot_mutex_
};

}  // namespace shoal
