// Bytes that flow over links which share their capacity fairly (max-min), as long-lived TCP connections
// roughly do.
//
// A flow crosses a few links and may have a cap of its own (a slow server). It delivers an amount, then its
// owner is called and either gives the next amount or ends it. No packets, no slow start: what a flow needs
// before its first byte is modelled by whoever starts it.
#pragma once

#include "tests/sim/event_queue.h"

#include <cstdint>
#include <functional>
#include <map>
#include <vector>

namespace shoal::sim {

enum class LinkId : std::uint32_t {};
enum class FlowId : std::uint64_t {};

class FlowNetwork {
 public:
  // Called when the amount has arrived; the next amount in bytes, 0 ends the flow.
  using OnArrived = std::function<double()>;

  explicit FlowNetwork(EventQueue& events) : events_(events) {}

  LinkId add_link(double bytes_per_s);
  void set_capacity(LinkId link, double bytes_per_s);
  FlowId start(std::vector<LinkId> links, double cap_bytes_per_s, double amount, OnArrived on_arrived);
  void stop(FlowId flow);
  // Stops the bytes but keeps the flow (a stalled server).
  void stall(FlowId flow);
  // Bytes of the present amount that have arrived.
  [[nodiscard]] double arrived(FlowId flow) const;
  [[nodiscard]] double rate(FlowId flow) const;
  [[nodiscard]] std::size_t flows() const { return flows_.size(); }

 private:
  struct Flow {
    std::vector<LinkId> links;
    double cap = 0;
    double amount = 0;
    double left = 0;
    double rate = 0;
    OnArrived on_arrived;
    bool frozen = false;
  };
  struct Link {
    double capacity = 0;
    double left = 0;
    int unfrozen = 0;
    std::vector<Flow*> flows;
  };
  void advance();
  void share();
  void changed();
  void turn();
  void arm();

  EventQueue& events_;
  std::vector<Link> links_;
  std::map<FlowId, Flow> flows_;
  Time at_;
  std::uint64_t next_ = 1;
  std::uint64_t armed_ = 0;  // only the latest armed event counts
  bool turn_due_ = false;
};

}  // namespace shoal::sim
