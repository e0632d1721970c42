#include "node/daemon/site.h"

#include <algorithm>

namespace shoal {

void Site::remember(const std::vector<PeerStatus>& peers) {
  for (const PeerStatus& status : peers) {
    if (peers_.size() >= kPeersKept) break;
    Peer& peer = peers_[status.node];
    peer.status = status;
    peer.status.alive = false;
  }
}

void Site::on_neighbour_up(NodeId node, const Endpoint& endpoint, const msg::Hello& hello, Time now) {
  if (!peers_.contains(node) && peers_.size() >= kPeersKept) {
    const auto oldest = std::ranges::min_element(peers_, {}, [](const auto& entry) {
      return std::pair(entry.second.status.alive, entry.second.status.last_seen);
    });
    if (oldest->second.status.alive) return;  // a site this large is outside the design
    peers_.erase(oldest);
  }
  Peer& peer = peers_[node];
  peer.status.node = node;
  peer.status.name = hello.name;
  peer.status.version = hello.version;
  peer.status.endpoint = endpoint;
  peer.status.last_seen = wall_clock_now();
  if (peer.status.first_seen.ms == 0) peer.status.first_seen = peer.status.last_seen;
  peer.connected = true;
  peer.last_heartbeat = now;
  if (!peer.status.alive) {
    peer.status.alive = true;
    events_.add(
        {{}, EventLevel::info, "peer_up", {}, {}, {}, node.hex(), hello.name + " at " + endpoint.text()});
    listener_.on_alive(node);
  }
}

void Site::set_dead(Peer& peer, const std::string& reason) {
  if (!peer.status.alive) return;
  peer.status.alive = false;
  events_.add({{},
               EventLevel::info,
               "peer_down",
               {},
               {},
               {},
               peer.status.node.hex(),
               peer.status.name + ": " + reason});
  listener_.on_dead(peer.status.node);
}

void Site::on_neighbour_down(NodeId node, const std::string& reason) {
  const auto it = peers_.find(node);
  if (it == peers_.end()) return;
  it->second.connected = false;
  set_dead(it->second, reason);
}

void Site::on_heartbeat(NodeId node, const msg::Heartbeat& heartbeat, Time now) {
  const auto it = peers_.find(node);
  if (it == peers_.end() || !it->second.connected) return;
  Peer& peer = it->second;
  peer.last_heartbeat = now;
  peer.status.load = heartbeat.load;
  peer.status.blobs_held = heartbeat.blobs_held;
  peer.status.bytes_held = heartbeat.bytes_held;
  peer.status.last_seen = wall_clock_now();
  if (!peer.status.alive) {
    peer.status.alive = true;
    events_.add(
        {{}, EventLevel::info, "peer_up", {}, {}, {}, node.hex(), peer.status.name + " is heard again"});
    listener_.on_alive(node);
  }
}

void Site::on_traffic(NodeId node, std::uint64_t received, std::uint64_t sent) {
  const auto it = peers_.find(node);
  if (it == peers_.end()) return;
  it->second.status.bytes_received += received;
  it->second.status.bytes_sent += sent;
}

void Site::on_banned(NodeId node, std::chrono::seconds duration, const std::string& reason) {
  events_.add(
      {{},
       EventLevel::warning,
       "peer_banned",
       {},
       {},
       {},
       node.hex(),
       name_of(node) + " is banned for " + std::to_string(duration.count() / 60) + " minutes: " + reason});
  const auto it = peers_.find(node);
  if (it == peers_.end()) return;
  it->second.status.banned_until = {wall_clock_now().ms + std::chrono::milliseconds(duration).count()};
  set_dead(it->second, "banned");
}

void Site::expire(Time now) {
  for (auto& [node, peer] : peers_) {
    if (peer.status.alive && now - peer.last_heartbeat >= kHeartbeatExpiry)
      set_dead(peer, "no heartbeat for 5 s");
  }
}

std::vector<NodeId> Site::alive() const {
  std::vector<NodeId> nodes;
  for (const auto& [node, peer] : peers_) {
    if (peer.status.alive) nodes.push_back(node);
  }
  return nodes;
}

std::vector<PeerStatus> Site::rows() const {
  std::vector<PeerStatus> rows;
  for (const auto& [node, peer] : peers_) rows.push_back(peer.status);
  return rows;
}

std::string Site::name_of(NodeId node) const {
  const auto it = peers_.find(node);
  return it == peers_.end() || it->second.status.name.empty() ? node.short_hex() : it->second.status.name;
}

}  // namespace shoal
