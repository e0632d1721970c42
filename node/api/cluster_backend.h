// What the routes of closed clusters ask of the daemon (docs/operations.md, Closed clusters).
//
// Threads and errors as in api_backend.h.
#pragma once

#include "node/api/api_backend.h"
#include "node/core/admission.h"
#include "node/core/ids.h"
#include "node/core/messages.h"
#include "node/core/time.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace shoal {

class Router;

// Where machines join unless said otherwise.
inline constexpr std::uint16_t kJoinPort = 8422;

// A machine that was let in, as the authority knows it.
struct ClusterMember {
  NodeId node;
  std::string name;
  CertSerial serial;
  WallTime not_after;
  bool revoked = false;
};

struct ClusterState {
  std::string cluster;
  NodeId node;
  bool closed = false;
  // Of a closed cluster:
  bool is_authority = false;  // this machine lets others in
  Hash256 authority;          // fingerprint of its certificate
  CertSerial serial;          // of this node's certificate
  WallTime not_after;
  bool revoked = false;  // this node was put out
  std::uint64_t list_number = 0;
  std::size_t revoked_count = 0;
  // Of the authority:
  std::size_t open_invites = 0;
  std::optional<Endpoint> join_at;  // where machines join while invitations are open
  std::vector<ClusterMember> members;
};

struct ClusterInvite {
  std::string token;
  WallTime expires_at;
  Endpoint join_at;  // 0.0.0.0 stands for any address of this machine
};

struct ClusterJoin {
  std::string token;
  std::string host;
  std::uint16_t port = 0;
};

struct ClusterRevoked {
  std::vector<ClusterMember> members;
  std::uint64_t list_number = 0;
};

class ClusterBackend {
 public:
  template <typename T>
  using Reply = ApiBackend::Reply<T>;

  virtual ~ClusterBackend() = default;
  virtual void cluster_state(Reply<ClusterState> reply) = 0;
  // These two are answered once it is done; then the node starts over as a member, within seconds.
  virtual void init_cluster(Reply<void> reply) = 0;
  virtual void join_cluster(ClusterJoin join, Reply<void> reply) = 0;
  virtual void invite(std::chrono::seconds life, Reply<ClusterInvite> reply) = 0;
  virtual void revoke(std::string node, Reply<ClusterRevoked> reply) = 0;
};

// /shoal/v1/cluster and below. cluster_routes.cc
void add_cluster_routes(Router& router, ClusterBackend& backend);

}  // namespace shoal
