#include "node/core/origin_pace.h"

#include <algorithm>
#include <cstdint>
#include <deque>
#include <numeric>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace shoal {
namespace {

using namespace std::chrono_literals;
using testing::Each;
using testing::Ge;

// A line, and what one connection gets of it at most, bytes per second.
struct Line {
  double all;
  double each;
  [[nodiscard]] double of(int connections, int others = 0) const {
    const int n = connections + others;
    return n == 0 ? 0 : std::min(each * n, all) * connections / n;
  }
};

// Keeps as many connections busy as the pace asks for; the number after so long.
int settle(OriginPace& pace, Time& now, const Line& line, int for_s) {
  for (int tick = 0; tick < for_s * 10; ++tick) {
    const int n = pace.connections();
    pace.on_active(n, now);
    now += 100ms;
    pace.on_bytes(static_cast<std::uint64_t>(line.of(n) / 10), now);
  }
  return pace.connections();
}

// Nodes that share a line and hear of each other's rates once a second; each node's number after so long.
class Sharers {
 public:
  Sharers(int nodes, Line line) : line_(line) {
    for (int i = 0; i < nodes; ++i) nodes_.emplace_back(OriginPace::Limits{}).on_sharers(nodes);
  }
  std::vector<int> after(int for_s) {
    for (int tick = 0; tick < for_s * 10; ++tick) step(tick % 10 == 0);
    std::vector<int> numbers;
    for (const OriginPace& pace : nodes_) numbers.push_back(pace.connections());
    return numbers;
  }

 private:
  void step(bool heartbeat) {
    std::vector<int> active;
    for (OriginPace& pace : nodes_) active.push_back(pace.connections());
    const int all = std::accumulate(active.begin(), active.end(), 0);
    now_ += 100ms;
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      const double rate = line_.of(active[i], all - active[i]);
      nodes_[i].on_active(active[i], now_ - 100ms);
      nodes_[i].on_bytes(static_cast<std::uint64_t>(rate / 10), now_);
      if (heartbeat) nodes_[i].on_others(line_.of(all) - rate);
    }
  }

  const Line line_;
  std::deque<OriginPace> nodes_;
  Time now_ = Time{} + 1h;
};

TEST(OriginPace, GrowsWhileEachConnectionIsCapped) {
  OriginPace pace({});
  Time now = Time{} + 1h;
  EXPECT_EQ(settle(pace, now, {100e6, 1e6}, 20), 16);
}

TEST(OriginPace, OnAFullLineATryIsTakenBackAndNotRepeatedSoon) {
  OriginPace pace({});
  Time now = Time{} + 1h;
  EXPECT_EQ(settle(pace, now, {10e6, 10e6}, 3), 6);
  EXPECT_EQ(settle(pace, now, {10e6, 10e6}, 3), 4);
  EXPECT_EQ(settle(pace, now, {10e6, 10e6}, 25), 4);
  bool again = false;
  for (int i = 0; i < 10; ++i) again |= settle(pace, now, {10e6, 10e6}, 1) == 6;
  EXPECT_TRUE(again);
}

TEST(OriginPace, NodesOnAFullLineStayAtOneConnectionEach) {
  Sharers site(8, {12e6, 12e6});
  EXPECT_THAT(site.after(4), Each(1));
  EXPECT_THAT(site.after(4), Each(2));  // the try
  EXPECT_THAT(site.after(6), Each(1));
  EXPECT_THAT(site.after(16), Each(1));
}

TEST(OriginPace, NodesWhoseConnectionsAreCappedFillTheLineTogether) {
  Sharers site(8, {40e6, 1e6});
  EXPECT_THAT(site.after(60), Each(Ge(4)));
}

TEST(OriginPace, ShrinksWhenOthersTakeTheLine) {
  OriginPace pace({});
  Time now = Time{} + 1h;
  const int before = settle(pace, now, {16e6, 1e6}, 20);
  EXPECT_LT(settle(pace, now, {2e6, 1e6}, 10), before);
  EXPECT_GE(settle(pace, now, {1e2, 1e6}, 60), 2);
}

TEST(OriginPace, HalvesWhenTheOriginRefusesAndRests) {
  OriginPace pace({});
  Time now = Time{} + 1h;
  ASSERT_EQ(settle(pace, now, {100e6, 1e6}, 20), 16);
  pace.on_refused(now);
  EXPECT_EQ(pace.connections(), 8);
  EXPECT_EQ(settle(pace, now, {100e6, 1e6}, 9), 8);
  EXPECT_GT(settle(pace, now, {100e6, 1e6}, 5), 8);
}

TEST(OriginPace, MeasuresOneConnection) {
  OriginPace pace({});
  Time now = Time{} + 1h;
  EXPECT_EQ(pace.bytes_per_s(), 0);
  settle(pace, now, {100e6, 2e6}, 5);
  EXPECT_NEAR(pace.bytes_per_s(), 2e6, 0.1e6);
}

TEST(OriginPace, ATimeWithoutRequestsSaysNothing) {
  OriginPace pace({});
  Time now = Time{} + 1h;
  const int before = settle(pace, now, {100e6, 1e6}, 5);
  const double rate = pace.bytes_per_s();
  pace.on_active(0, now);
  now += 60s;
  pace.on_active(0, now);
  EXPECT_EQ(pace.connections(), before);
  EXPECT_NEAR(pace.bytes_per_s(), rate, 1);
}

TEST(OriginPace, NodesThatShareALineBeginWithFewConnectionsEach) {
  OriginPace pace({});
  for (const auto& [nodes, connections] : {std::pair{1, 4}, {2, 4}, {4, 2}, {7, 2}, {8, 1}, {200, 1}}) {
    pace.on_sharers(nodes);
    EXPECT_EQ(pace.connections(), connections) << nodes << " nodes";
  }
}

}  // namespace
}  // namespace shoal
