#include "node/api/metrics.h"

#include "node/version.h"

#include <array>
#include <cstdint>
#include <map>
#include <string_view>

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

namespace shoal {
namespace {

using Labels = std::map<std::string, std::string>;

// One registry per scrape: the snapshot is the state, so nothing has to be kept in step with it.
class Metrics {
 public:
  void gauge(const char* name, const char* help, double value, const Labels& labels = {}) {
    prometheus::BuildGauge().Name(name).Help(help).Register(registry_).Add(labels).Set(value);
  }
  void gauge(const char* name, const char* help, std::uint64_t value, const Labels& labels = {}) {
    gauge(name, help, static_cast<double>(value), labels);
  }
  void counter(const char* name, const char* help, std::uint64_t value) {
    prometheus::BuildCounter().Name(name).Help(help).Register(registry_).Add({}).Increment(
        static_cast<double>(value));
  }
  [[nodiscard]] std::string text() const {
    return prometheus::TextSerializer().Serialize(registry_.Collect());
  }

 private:
  prometheus::Registry registry_{prometheus::Registry::InsertBehavior::Merge};
};

void add_traffic(Metrics& metrics, const NodeCounters& c) {
  metrics.counter("shoal_origin_received_bytes_total",
                  "Bytes fetched from the Hub and its CDN since the start.", c.origin_bytes);
  metrics.counter("shoal_neighbours_received_bytes_total", "Bytes that came from neighbours since the start.",
                  c.received_bytes);
  metrics.counter("shoal_neighbours_sent_bytes_total", "Bytes sent to neighbours since the start.",
                  c.sent_bytes);
  metrics.counter("shoal_origin_limited_total", "Times the Hub or its CDN limited requests since the start.",
                  c.limited);
  metrics.counter("shoal_hash_mismatches_total",
                  "Files whose bytes did not match the publisher's hash since the start.", c.mismatches);
  metrics.counter("shoal_bad_pieces_total",
                  "Pieces of neighbours that did not match their hash since the start.", c.bad_pieces);
  metrics.gauge("shoal_origin_requests", "Requests to the origin under way.", c.origin_requests);
  metrics.gauge("shoal_wan_rate_limit_bytes_per_second", "The configured wan_rate_limit; 0: none.",
                c.wan_rate_limit);
}

void add_device(Metrics& metrics, const StatusSnapshot& s) {
  const NodeCounters& c = s.counters;
  metrics.gauge("shoal_held_blobs", "Distinct files that are complete on this machine.",
                std::uint64_t{s.blobs_held});
  metrics.gauge("shoal_held_bytes", "Their bytes.", s.bytes_held);
  metrics.gauge("shoal_cache_filesystem_size_bytes", "Size of the cache's file system.", c.disk_size);
  metrics.gauge("shoal_cache_filesystem_free_bytes", "What of it is free.", c.disk_free);
  const std::array<std::pair<const char*, std::uint16_t>, 5> parts{{{"cpu", s.load.cpu_permille},
                                                                    {"memory", s.load.memory_permille},
                                                                    {"io", s.load.io_permille},
                                                                    {"nic", s.load.nic_permille},
                                                                    {"gpu", s.load.gpu_permille}}};
  for (const auto& [part, permille] : parts) {
    metrics.gauge("shoal_device_load_ratio", "Load of this machine by others than shoal: 0 idle, 1 full.",
                  permille / 1000.0, {{"part", part}});
  }
  metrics.gauge("shoal_device_busy", "1 while the machine is marked busy.", s.load.busy ? 1.0 : 0.0);
  std::uint64_t alive = 0;
  for (const PeerStatus& peer : s.peers) alive += peer.alive ? 1 : 0;
  metrics.gauge("shoal_neighbours", "Neighbours by whether they are up.", alive, {{"state", "alive"}});
  metrics.gauge("shoal_neighbours", "Neighbours by whether they are up.", s.peers.size() - alive,
                {{"state", "away"}});
}

void add_pulls(Metrics& metrics, const StatusSnapshot& s) {
  std::map<PullState, std::uint64_t> pulls;
  std::uint64_t stalled = 0;
  std::uint64_t size = 0;
  std::uint64_t lan = 0;
  std::uint64_t origin = 0;
  std::uint64_t local = 0;
  for (const PullStatus& pull : s.pulls) {
    ++pulls[pull.state];
    if (pull.finished_at.ms != 0) continue;
    stalled += pull.state == PullState::running && pull.bytes_per_s == 0 ? 1 : 0;
    size += pull.size;
    lan += pull.bytes_lan;
    origin += pull.bytes_origin;
    local += pull.bytes_local;
  }
  for (const PullState state :
       {PullState::resolving, PullState::running, PullState::done, PullState::failed, PullState::cancelled}) {
    metrics.gauge("shoal_pulls", "Pulls by state; of the ended ones the last 200.", pulls[state],
                  {{"state", std::string(to_string(state))}});
  }
  metrics.gauge("shoal_pulls_stalled", "Running pulls into which no byte came for some seconds.", stalled);
  metrics.gauge("shoal_pulls_size_bytes", "Bytes of the running pulls.", size);
  const char* const done = "Bytes of the running pulls that are here, by where they came from.";
  metrics.gauge("shoal_pulls_done_bytes", done, lan, {{"source", "neighbours"}});
  metrics.gauge("shoal_pulls_done_bytes", done, origin, {{"source", "origin"}});
  metrics.gauge("shoal_pulls_done_bytes", done, local, {{"source", "local"}});
  std::map<FileState, std::uint64_t> files;
  for (const FileStatus& file : s.files) ++files[file.state];
  for (const FileState state :
       {FileState::queued, FileState::fetching, FileState::checking, FileState::held, FileState::failed}) {
    metrics.gauge("shoal_pulls_files", "Files of the running pulls by state.", files[state],
                  {{"state", std::string(to_string(state))}});
  }
}

}  // namespace

std::string metrics_text(const StatusSnapshot& snapshot) {
  Metrics metrics;
  metrics.gauge("shoal_build_info", "Always 1; the version is a label.", 1.0, {{"version", kVersion}});
  metrics.gauge("shoal_start_time_seconds", "When the node started, seconds since 1970.",
                static_cast<double>(snapshot.counters.started_at.ms) / 1000.0);
  metrics.gauge("shoal_snapshot_time_seconds",
                "When these figures were made, seconds since 1970; a node where it stands still is stuck.",
                static_cast<double>(snapshot.at.ms) / 1000.0);
  add_traffic(metrics, snapshot.counters);
  add_device(metrics, snapshot);
  add_pulls(metrics, snapshot);
  return metrics.text();
}

}  // namespace shoal
