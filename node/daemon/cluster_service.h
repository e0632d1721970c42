// A closed cluster as this node lives in it: founding and joining, letting in and putting out, and passing on
// the list of who was put out. Owned by the loop thread.
#pragma once

#include "node/api/cluster_backend.h"
#include "node/config/config.h"
#include "node/core/messages.h"
#include "node/core/time.h"
#include "node/daemon/event_log.h"
#include "node/daemon/loop.h"
#include "node/trust/authority.h"
#include "node/trust/join_listener.h"
#include "node/trust/trust_folder.h"

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace shoal {

class ClusterService final : public ClusterBackend {
 public:
  // The port's certificate lives a day (certificates.h); an invitation up to a week.
  static constexpr std::chrono::hours kListenerRenewal{12};
  // The last invitation is used before its answer is through: the port stays open for as long as that may
  // take.
  static constexpr std::chrono::seconds kPortLinger = 2 * JoinListener::kPatience;

  struct Self {
    NodeId node;
    std::string name;
    std::string cluster;  // as configured
    Endpoint join_listen;
  };
  struct Hooks {
    std::function<void()> start_over;  // the node is a member now, or another one
    std::function<void(NodeId, Message)> send;
    std::function<std::vector<NodeId>()> alive;
    std::function<void(const RevocationList&)> on_revoked;  // whom the swarm must not let in
  };
  ClusterService(Loop& loop, EventLog& events, TrustFolder folder, Self self,
                 std::optional<Membership> membership, Hooks hooks);
  ~ClusterService() override;

  // Reads the authority's key, on the machine that has it. Errors: invalid, io.
  Result<void> open_authority();
  void on_neighbour_up(NodeId node);
  void on_revocations(NodeId from, msg::Revocations message);
  // Closes the port for joining once no invitation is open.
  void tick(Time now);

  // ClusterBackend; on the API's thread.
  void cluster_state(Reply<ClusterState> reply) override;
  void init_cluster(Reply<void> reply) override;
  void join_cluster(ClusterJoin join, Reply<void> reply) override;
  void invite(std::chrono::seconds life, Reply<ClusterInvite> reply) override;
  void revoke(std::string node, Reply<ClusterRevoked> reply) override;

 private:
  void become_member(const Result<void>& done, const char* event, const std::string& text,
                     const Reply<void>& reply);
  [[nodiscard]] ClusterState state() const;
  Result<void> open_join_port(Time now);
  // On the port's own thread.
  std::string answer_join(const std::string& request, const std::string& remote);
  // Takes a newer list and tells the others, but for the one it came from.
  void take_list(RevocationList list, std::vector<std::byte> der, NodeId from);

  Loop& loop_;
  EventLog& events_;
  const TrustFolder folder_;
  const Self self_;
  std::optional<Membership> membership_;
  const Hooks hooks_;
  std::shared_ptr<Authority> authority_;  // nullptr: another machine's
  std::set<NodeId> checking_;             // neighbours whose list is being looked at
  bool changing_ = false;                 // founding or joining is under way
  Time port_opened_;
  std::optional<Time> unused_since_;    // no invitation is open since then
  std::unique_ptr<JoinListener> port_;  // last: its thread uses what stands above
};

}  // namespace shoal
