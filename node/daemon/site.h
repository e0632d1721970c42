// The neighbours as this node sees them: who is alive, their load, what passed between us.
//
// A neighbour is alive while its connection stands and its last heartbeat is younger than 5 s. Owned by the
// loop thread.
#pragma once

#include "node/core/messages.h"
#include "node/core/ports.h"
#include "node/core/status.h"
#include "node/core/time.h"
#include "node/daemon/event_log.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace shoal {

class Site {
 public:
  static constexpr std::chrono::seconds kHeartbeatInterval{1};
  static constexpr std::chrono::seconds kHeartbeatExpiry{5};
  static constexpr std::size_t kPeersKept =
      1000;  // remembered, alive or not; a site has at most a few hundred

  struct Listener {
    std::function<void(NodeId)> on_alive;
    std::function<void(NodeId)> on_dead;
  };

  Site(EventLog& events, Listener listener) : events_(events), listener_(std::move(listener)) {}

  // Peers of former runs, shown as not alive.
  void remember(const std::vector<PeerStatus>& peers);

  void on_neighbour_up(NodeId node, const Endpoint& endpoint, const msg::Hello& hello, Time now);
  void on_neighbour_down(NodeId node, const std::string& reason);
  void on_heartbeat(NodeId node, const msg::Heartbeat& heartbeat, Time now);
  void on_traffic(NodeId node, std::uint64_t received, std::uint64_t sent);
  void on_banned(NodeId node, std::chrono::seconds duration, const std::string& reason);
  void expire(Time now);

  [[nodiscard]] std::vector<NodeId> alive() const;
  [[nodiscard]] std::vector<PeerStatus> rows() const;
  [[nodiscard]] std::string name_of(NodeId node) const;

 private:
  struct Peer {
    PeerStatus status;
    bool connected = false;
    Time last_heartbeat;
  };
  void set_dead(Peer& peer, const std::string& reason);

  EventLog& events_;
  Listener listener_;
  std::map<NodeId, Peer> peers_;
};

}  // namespace shoal
