#include "transport/swarm/neighbour_table.h"

#include "tests/unit/node_id.h"

#include <algorithm>
#include <functional>
#include <random>
#include <set>

#include <gtest/gtest.h>

namespace shoal {
namespace {

using std::chrono::seconds;

msg::Hello hello(int n, std::uint64_t run = 1) {
  return {node_id(n), "node-" + std::to_string(n), "test", static_cast<std::uint16_t>(8000 + n), run};
}

// Writes down what it is told to do, one line each.
class Recorder final : public NeighbourTable::Actions {
 public:
  void send_to(ConnId connection, const Message& message) override {
    lines.push_back((std::holds_alternative<msg::Hello>(message) ? "hello " : "other ") +
                    std::to_string(connection));
  }
  void close(ConnId connection, const std::string&) override {
    lines.push_back("close " + std::to_string(connection));
  }
  void refuse_duplicate(ConnId connection) override {
    lines.push_back("refuse " + std::to_string(connection));
  }
  void up(const Connection& link, const Endpoint& endpoint, const msg::Hello&) override {
    lines.push_back("up " + std::to_string(link.id) + " " + endpoint.text());
  }
  void down(const Connection& link, const std::string&) override {
    lines.push_back("down " + std::to_string(link.id));
  }

  std::vector<std::string> take() { return std::exchange(lines, {}); }
  std::vector<std::string> lines;
};

using Lines = std::vector<std::string>;

class NeighbourTableTest : public ::testing::Test {
 protected:
  Connection to(int n, ConnId id, bool outgoing, std::uint64_t run = 1) {
    return {id, node_id(n), run, {"10.0.0." + std::to_string(n), 40000}, outgoing};
  }
  void say_hello(NeighbourTable& table, ConnId id, int n, std::uint64_t run = 1) {
    EXPECT_FALSE(table.on_message(id, hello(n, run), now));
  }

  Time now{};
  Recorder actions;
  NeighbourTable low{hello(1), 10, actions};   // arbiter for all others here
  NeighbourTable high{hello(9), 10, actions};  // arbiter for none
};

TEST_F(NeighbourTableTest, TheArbiterSaysHelloFirstAndTheNeighbourIsUpWithTheAnswer) {
  low.on_identified(to(2, 7, true), now);
  EXPECT_EQ(actions.take(), (Lines{"hello 7"}));
  EXPECT_FALSE(low.link_to(node_id(2)));
  say_hello(low, 7, 2);
  EXPECT_EQ(actions.take(), (Lines{"up 7 10.0.0.2:8002"}));
  EXPECT_EQ(low.link_to(node_id(2)), 7U);
  EXPECT_EQ(low.endpoint_of(node_id(2)), (Endpoint{"10.0.0.2", 8002}));
}

TEST_F(NeighbourTableTest, TheOtherOneWaitsForHelloAndAnswersOnTheSameConnection) {
  high.on_identified(to(2, 7, true), now);
  high.on_identified(to(2, 8, false), now);
  EXPECT_EQ(actions.take(), Lines{});
  say_hello(high, 8, 2);
  EXPECT_EQ(actions.take(), (Lines{"hello 8", "up 8 10.0.0.2:8002"}));
}

TEST_F(NeighbourTableTest, TheArbiterRefusesASecondConnectionWhoeverDialled) {
  low.on_identified(to(2, 7, true), now);
  actions.take();
  low.on_identified(to(2, 8, false), now);
  low.on_identified(to(2, 9, true), now);
  EXPECT_EQ(actions.take(), (Lines{"refuse 8", "close 9"}));
  low.on_closed(8, "");
  low.on_closed(9, "");
  EXPECT_EQ(actions.take(), Lines{});
}

TEST_F(NeighbourTableTest, ARestartedProcessReplacesTheLink) {
  low.on_identified(to(2, 7, true), now);
  say_hello(low, 7, 2);
  actions.take();
  low.on_identified(to(2, 8, false, 5), now);
  EXPECT_EQ(actions.take(), (Lines{"down 7", "close 7", "hello 8"}));
  say_hello(low, 8, 2, 5);
  EXPECT_EQ(actions.take(), (Lines{"up 8 10.0.0.2:8002"}));
  low.on_closed(7, "late");
  EXPECT_EQ(actions.take(), Lines{});
}

TEST_F(NeighbourTableTest, ASilentLinkIsReplacedByANewConnection) {
  low.on_identified(to(2, 7, true), now);
  say_hello(low, 7, 2);
  actions.take();
  now += NeighbourTable::kSilence;
  low.on_identified(to(2, 8, false), now);
  EXPECT_EQ(actions.take(), (Lines{"down 7", "close 7", "hello 8"}));
}

TEST_F(NeighbourTableTest, TheOtherOneFollowsWhenTheArbiterSaysHelloOnAnotherConnection) {
  high.on_identified(to(2, 7, false), now);
  say_hello(high, 7, 2);
  actions.take();
  high.on_identified(to(2, 8, false), now);
  say_hello(high, 8, 2);
  EXPECT_EQ(actions.take(), (Lines{"down 7", "close 7", "hello 8", "up 8 10.0.0.2:8002"}));
}

TEST_F(NeighbourTableTest, AHelloThatContradictsTheHandshakeClosesTheConnection) {
  low.on_identified(to(2, 7, true), now);
  actions.take();
  say_hello(low, 7, 3);
  EXPECT_EQ(actions.take(), (Lines{"close 7"}));
  low.on_identified(to(4, 8, true), now);
  actions.take();
  say_hello(low, 8, 4, 99);
  EXPECT_EQ(actions.take(), (Lines{"close 8"}));
}

TEST_F(NeighbourTableTest, WhoSpeaksBeforeHelloIsClosed) {
  low.on_identified(to(2, 7, true), now);
  actions.take();
  EXPECT_FALSE(low.on_message(7, msg::Bye{}, now));
  EXPECT_EQ(actions.take(), (Lines{"close 7"}));
}

TEST_F(NeighbourTableTest, WhoDoesNotSayHelloInTimeIsClosed) {
  high.on_identified(to(2, 7, false), now);
  high.on_identified(to(3, 8, false), now);
  say_hello(high, 8, 3);
  actions.take();
  now += NeighbourTable::kHelloWait + seconds(1);
  high.tick(now);
  EXPECT_EQ(actions.take(), (Lines{"close 7"}));
}

TEST_F(NeighbourTableTest, MoreNodesThanAllowedAreRefusedOnBothSides) {
  for (auto* table : {&low, &high}) {
    for (int n = 0; n < 12; ++n) table->on_identified(to(20 + n, static_cast<ConnId>(n), false), now);
    const auto lines = actions.take();
    EXPECT_EQ(std::ranges::count_if(lines, [](const auto& line) { return line.starts_with("close"); }), 2);
  }
}

// Two tables joined by connections whose events arrive in any order: they always end with one link, the same
// one.
TEST(NeighbourTablePair, WhateverTheOrderOfEventsBothEndWithTheSameLink) {
  using Events = std::vector<std::pair<ConnId, std::function<void()>>>;  // by the connection they come over
  struct Side final : NeighbourTable::Actions {
    Side(int n, Events& queue) : table(hello(n), 10, *this), pending(queue) {}
    void send_to(ConnId connection, const Message& message) override {
      pending.emplace_back(connection, [this, connection, message] {
        (void)other->table.on_message(connection, message, Time{});
      });
    }
    void close(ConnId connection, const std::string&) override {
      pending.emplace_back(connection, [this, connection] { table.on_closed(connection, ""); });
      pending.emplace_back(connection, [this, connection] { other->table.on_closed(connection, ""); });
    }
    void refuse_duplicate(ConnId connection) override {
      pending.emplace_back(connection, [this, connection] { other->close(connection, ""); });
    }
    void up(const Connection& link, const Endpoint&, const msg::Hello&) override { links.insert(link.id); }
    void down(const Connection& link, const std::string&) override {
      links.erase(link.id);
      ++downs;
    }
    NeighbourTable table;
    Events& pending;
    Side* other = nullptr;
    std::set<ConnId> links;
    int downs = 0;
  };

  for (std::uint32_t rng_seed = 0; rng_seed < 2000; ++rng_seed) {
    std::mt19937 rng(rng_seed);
    Events pending;
    Side a(1, pending);
    Side b(2, pending);
    a.other = &b;
    b.other = &a;
    // The two ends learn of a connection at different times, but no message comes over it before both did.
    std::set<ConnId> known;
    std::set<ConnId> both_know;
    std::vector<std::pair<ConnId, std::function<void()>>> handshakes;
    for (ConnId id = 1; id <= 3; ++id) {
      const bool a_dials = rng() % 2 == 0;
      handshakes.emplace_back(id, [&a, id, a_dials] {
        a.table.on_identified({id, node_id(2), 1, {"10.0.0.2", 1}, a_dials}, Time{});
      });
      handshakes.emplace_back(id, [&b, id, a_dials] {
        b.table.on_identified({id, node_id(1), 1, {"10.0.0.1", 1}, !a_dials}, Time{});
      });
    }
    std::ranges::shuffle(handshakes, rng);
    while (!handshakes.empty() || !pending.empty()) {
      if (pending.empty() || (!handshakes.empty() && rng() % 2 == 0)) {
        handshakes.back().second();
        if (!known.insert(handshakes.back().first).second) both_know.insert(handshakes.back().first);
        handshakes.pop_back();
        continue;
      }
      const auto i = rng() % pending.size();
      if (!handshakes.empty() && !both_know.contains(pending[i].first)) continue;
      const auto event = std::move(pending[i].second);
      pending.erase(pending.begin() + static_cast<std::ptrdiff_t>(i));
      event();
    }
    EXPECT_EQ(a.links.size(), 1U) << "rng_seed " << rng_seed;
    EXPECT_EQ(a.links, b.links) << "rng_seed " << rng_seed;
    EXPECT_EQ(a.downs + b.downs, 0) << "rng_seed " << rng_seed;
  }
}

}  // namespace
}  // namespace shoal
