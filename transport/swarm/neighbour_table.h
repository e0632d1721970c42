// Which connection stands for which neighbour. Bookkeeping only: no sockets, no clock, one thread; what is to
// be done goes to `Actions`.
//
// - A connection is *identified* when the extension handshake named its node. Several may lead to one node:
//   both dialled, or it has two addresses.
// - Of two nodes the one with the lower NodeId is the *arbiter*. It takes the first identified connection
//   as the link, says Hello on it, and refuses the others. The other node never refuses any: it waits for
//   Hello and answers on the same connection. So both always agree, whatever the order of events, and no
//   message is lost to a connection that one side closes while the other one uses it.
// - A neighbour is up when both Hellos are through, and down when its link is closed. A Hello with another
//   run is a restarted process: down, then up.
// - The arbiter replaces a link that has been silent for kSilence by a new connection: the other side
//   closed it and the news was lost on the way.
#pragma once

#include "node/core/messages.h"
#include "node/core/time.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace shoal {

using ConnId = std::uint64_t;

struct Connection {
  ConnId id = 0;
  NodeId node;
  std::uint64_t run = 0;
  Endpoint remote;  // the other end of the socket; its port is the swarm port only if we dialled
  bool outgoing = false;
};

class NeighbourTable {
 public:
  class Actions {
   public:
    virtual ~Actions() = default;
    virtual void send_to(ConnId connection, const Message& message) = 0;
    virtual void close(ConnId connection, const std::string& why) = 0;
    // Tells the dialler at the other end that there is a link already, so that it does not dial again.
    virtual void refuse_duplicate(ConnId connection) = 0;
    virtual void up(const Connection& link, const Endpoint& endpoint, const msg::Hello& hello) = 0;
    virtual void down(const Connection& link, const std::string& why) = 0;
  };

  static constexpr Duration kHelloWait = std::chrono::seconds(8);  // three lost packets and a busy node
  static constexpr Duration kSilence = std::chrono::seconds(10);   // heartbeats come every second

  NeighbourTable(msg::Hello self, std::size_t max_neighbours, Actions& actions);

  void on_identified(const Connection& connection, Time now);
  void on_closed(ConnId connection, const std::string& why);
  // Any message. Hello is kept; the others are for the caller when true is returned.
  [[nodiscard]] bool on_message(ConnId connection, const Message& message, Time now);
  // Closes what did not say Hello in time.
  void tick(Time now);

  // The connection to send to, of a neighbour that is up.
  [[nodiscard]] std::optional<ConnId> link_to(NodeId node) const;
  [[nodiscard]] std::optional<Endpoint> endpoint_of(NodeId node) const;
  [[nodiscard]] const Connection* connection(ConnId id) const;
  // Is any connection of the node left, up or not?
  [[nodiscard]] bool has_connection(NodeId node) const;
  [[nodiscard]] std::vector<NodeId> up_nodes() const;

 private:
  struct State {
    Connection connection;
    Time since{};
    Time heard{};
    bool is_link = false;  // of its node
    bool is_up = false;    // both Hellos are through
    bool refused = false;  // on its way out
    Endpoint endpoint;     // remote address and swarm port, once up
  };
  State* link_of(NodeId node);
  [[nodiscard]] std::size_t node_count() const;
  void choose(State& state);
  void drop(State& state, const std::string& why);
  void on_hello(State& state, const msg::Hello& hello);
  [[nodiscard]] bool arbiter_for(NodeId node) const { return self_.node < node; }

  const msg::Hello self_;
  const std::size_t max_neighbours_;
  Actions& actions_;
  std::map<ConnId, State> states_;
};

}  // namespace shoal
