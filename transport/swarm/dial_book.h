// The endpoints this node knows, and when to dial each. Bookkeeping only: no sockets, no clock, one thread.
//
// - A neighbour that was lost is dialled again soon: a restart takes a second or two.
// - Each try in vain doubles the wait, up to a cap, so that machines that are off cost nearly nothing.
// - Explicit peers stay for ever. Others are forgotten after a while in vain: addresses are lent by DHCP.
// - An endpoint that leads to a node which is a neighbour already (by another address, or because it
//   dialled us) is left alone until that neighbour is lost; one that leads to this node itself, for ever.
#pragma once

#include "node/core/ids.h"
#include "node/core/messages.h"
#include "node/core/time.h"

#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <vector>

namespace shoal {

class DialBook {
 public:
  struct Limits {
    Duration first_wait = std::chrono::milliseconds(400);  // after a loss: the other one has to start first
    Duration longest_wait = std::chrono::seconds(15);
    Duration forget_after = std::chrono::minutes(10);  // of tries in vain
    // Twice the neighbours of the largest site, some with two addresses. A neighbour that invents addresses
    // fills the book, and then nothing is added until some are forgotten; explicit peers and live ones stay.
    std::size_t endpoints = 512;
  };
  DialBook() = default;
  explicit DialBook(Limits limits) : limits_(limits) {}

  void on_explicit(const Endpoint& endpoint, Time now);
  // Told by a neighbour or heard by local discovery.
  void on_heard(const Endpoint& endpoint, Time now);
  // The node behind the endpoint is a neighbour now, by whatever connection.
  void on_neighbour(const Endpoint& endpoint, NodeId node, Time now);
  // The neighbour is lost; its endpoints are due again.
  void on_lost(NodeId node, Time now);
  void on_self(const Endpoint& endpoint);

  // Endpoints to dial now; each is due again after its next wait.
  [[nodiscard]] std::vector<Endpoint> due(Time now);
  [[nodiscard]] std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    bool is_explicit = false;
    bool is_self = false;
    std::optional<NodeId> neighbour;  // that is up
    Time next{};
    Time in_vain_since{};
    Duration wait{};
  };
  Entry* find_or_add(const Endpoint& endpoint, Time now);

  Limits limits_;
  std::map<Endpoint, Entry> entries_;
};

}  // namespace shoal
