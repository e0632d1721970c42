#include "node/daemon/site.h"

#include "tests/unit/node_id.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace shoal {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

class SiteTest : public testing::Test {
 protected:
  void meet(NodeId id) { site.on_neighbour_up(id, {"10.0.0.2", 8421}, {id, "two", "0.1", 8421, 7}, now); }

  EventLog events;
  std::vector<NodeId> alive;
  std::vector<NodeId> dead;
  Site site{events, {[this](NodeId n) { alive.push_back(n); }, [this](NodeId n) { dead.push_back(n); }}};
  Time now{seconds(1000)};
};

TEST_F(SiteTest, ANeighbourIsAliveFromItsHelloOn) {
  meet(node_id(2));
  EXPECT_THAT(alive, ElementsAre(node_id(2)));
  EXPECT_THAT(site.alive(), ElementsAre(node_id(2)));
}

TEST_F(SiteTest, FiveSecondsWithoutAHeartbeatMeanDeadAndAHeartbeatBringsItBack) {
  meet(node_id(2));
  now += milliseconds(4999);
  site.expire(now);
  EXPECT_THAT(dead, IsEmpty());
  now += milliseconds(1);
  site.expire(now);
  EXPECT_THAT(dead, ElementsAre(node_id(2)));
  site.on_heartbeat(node_id(2), {}, now);
  EXPECT_THAT(alive, ElementsAre(node_id(2), node_id(2)));
}

TEST_F(SiteTest, AHeartbeatAfterTheConnectionEndedChangesNothing) {
  meet(node_id(2));
  site.on_neighbour_down(node_id(2), "closed");
  site.on_heartbeat(node_id(2), {}, now);
  EXPECT_THAT(site.alive(), IsEmpty());
}

TEST_F(SiteTest, TrafficAndLoadShowInTheRow) {
  meet(node_id(2));
  site.on_traffic(node_id(2), 10, 20);
  site.on_traffic(node_id(2), 1, 2);
  msg::Heartbeat heartbeat;
  heartbeat.load.cpu_permille = 400;
  heartbeat.blobs_held = 3;
  site.on_heartbeat(node_id(2), heartbeat, now);
  const PeerStatus row = site.rows().front();
  EXPECT_EQ(row.bytes_received, 11U);
  EXPECT_EQ(row.bytes_sent, 22U);
  EXPECT_EQ(row.load.cpu_permille, 400);
  EXPECT_EQ(row.blobs_held, 3U);
}

TEST_F(SiteTest, ABannedNeighbourIsNotAliveAndTheEventNamesIt) {
  meet(node_id(2));
  site.on_banned(node_id(2), seconds(600), "told a wrong hash");
  EXPECT_THAT(site.alive(), IsEmpty());
  EXPECT_GT(site.rows().front().banned_until.ms, 0);
  bool named = false;
  for (const EventRow& row : events.take_pending())
    named = named || (row.kind == "peer_banned" && row.peer == node_id(2).hex());
  EXPECT_TRUE(named);
}

TEST_F(SiteTest, ThePeerTableIsBoundedAndForgetsTheLongestGoneFirst) {
  for (int i = 0; i < 1000; ++i) {
    NodeId id;
    id.bytes[0] = 1;
    id.bytes[1] = static_cast<std::uint8_t>(i / 256);
    id.bytes[2] = static_cast<std::uint8_t>(i % 256);
    meet(id);
    site.on_neighbour_down(id, "closed");
  }
  meet(node_id(9));
  EXPECT_EQ(site.rows().size(), Site::kPeersKept);
  EXPECT_THAT(site.alive(), ElementsAre(node_id(9)));
}

}  // namespace
}  // namespace shoal
