#include "transport/swarm/neighbour_table.h"

#include <algorithm>
#include <set>
#include <utility>

namespace shoal {

NeighbourTable::NeighbourTable(msg::Hello self, std::size_t max_neighbours, Actions& actions)
    : self_(std::move(self)), max_neighbours_(max_neighbours), actions_(actions) {}

NeighbourTable::State* NeighbourTable::link_of(NodeId node) {
  for (auto& [id, state] : states_) {
    if (state.is_link && state.connection.node == node) return &state;
  }
  return nullptr;
}

void NeighbourTable::on_identified(const Connection& connection, Time now) {
  const bool known = has_connection(connection.node);
  State& state = states_[connection.id];
  state.connection = connection;
  state.since = now;
  state.heard = now;
  if (!known && node_count() > max_neighbours_) {
    state.refused = true;
    actions_.close(connection.id, "there are too many neighbours");
    return;
  }
  if (!arbiter_for(connection.node)) return;

  if (State* link = link_of(connection.node)) {
    const bool restarted = link->connection.run != connection.run;
    if (!restarted && now - link->heard < kSilence) {
      state.refused = true;
      if (connection.outgoing) {
        actions_.close(connection.id, "the neighbour is connected already");
      } else {
        actions_.refuse_duplicate(connection.id);
      }
      return;
    }
    drop(*link, restarted ? "it was restarted" : "it was silent and connected again");
  }
  choose(state);
}

void NeighbourTable::choose(State& state) {
  state.is_link = true;
  actions_.send_to(state.connection.id, self_);
}

// Ends the link of a neighbour that goes on with another connection.
void NeighbourTable::drop(State& state, const std::string& why) {
  state.is_link = false;
  state.refused = true;
  if (std::exchange(state.is_up, false)) actions_.down(state.connection, why);
  actions_.close(state.connection.id, why);
}

void NeighbourTable::on_closed(ConnId id, const std::string& why) {
  const auto found = states_.find(id);
  if (found == states_.end()) return;
  const State state = std::move(found->second);
  states_.erase(found);
  if (state.is_up) actions_.down(state.connection, why);
}

bool NeighbourTable::on_message(ConnId id, const Message& message, Time now) {
  const auto found = states_.find(id);
  if (found == states_.end() || found->second.refused) return false;
  State& state = found->second;
  state.heard = now;
  if (const auto* hello = std::get_if<msg::Hello>(&message)) {
    on_hello(state, *hello);
    return false;
  }
  if (state.is_up) return true;
  actions_.close(id, "it spoke before it said Hello");
  return false;
}

void NeighbourTable::on_hello(State& state, const msg::Hello& hello) {
  const auto& connection = state.connection;
  if (state.is_up) return;  // said twice: harmless
  if (hello.node != connection.node || hello.run != connection.run) {
    state.refused = true;
    actions_.close(connection.id, "its Hello does not match its handshake");
    return;
  }
  // For the arbiter this is the answer on its link: all its other connections are refused.
  if (!arbiter_for(connection.node)) {
    // The arbiter's choice. Whatever was the link before is not any more.
    if (State* old = link_of(connection.node); old != nullptr && old != &state)
      drop(*old, "it connected again");
    choose(state);
  }
  state.is_up = true;
  state.endpoint = {connection.remote.address, hello.swarm_port};
  actions_.up(connection, state.endpoint, hello);
}

void NeighbourTable::tick(Time now) {
  std::vector<ConnId> late;
  for (const auto& [id, state] : states_) {
    if (!state.is_up && now - state.since > kHelloWait) late.push_back(id);
  }
  for (const auto id : late) actions_.close(id, "it did not say Hello in time");
}

std::optional<ConnId> NeighbourTable::link_to(NodeId node) const {
  for (const auto& [id, state] : states_) {
    if (state.is_up && state.connection.node == node) return id;
  }
  return std::nullopt;
}

std::optional<Endpoint> NeighbourTable::endpoint_of(NodeId node) const {
  const auto link = link_to(node);
  if (!link) return std::nullopt;
  return states_.at(*link).endpoint;
}

const Connection* NeighbourTable::connection(ConnId id) const {
  const auto found = states_.find(id);
  return found == states_.end() ? nullptr : &found->second.connection;
}

bool NeighbourTable::has_connection(NodeId node) const {
  return std::ranges::any_of(states_,
                             [&](const auto& entry) { return entry.second.connection.node == node; });
}

// Nodes with a connection that is not on its way out.
std::size_t NeighbourTable::node_count() const {
  std::set<NodeId> nodes;
  for (const auto& [id, state] : states_) {
    if (!state.refused) nodes.insert(state.connection.node);
  }
  return nodes.size();
}

std::vector<NodeId> NeighbourTable::up_nodes() const {
  std::vector<NodeId> nodes;
  for (const auto& [id, state] : states_) {
    if (state.is_up) nodes.push_back(state.connection.node);
  }
  return nodes;
}

}  // namespace shoal
