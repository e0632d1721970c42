// Neighbours and messages, between real sessions.
#include "swarm_fixture.h"

namespace shoal {
namespace {

TEST(SwarmNeighbours, TwoNodesSayHelloToEachOther) {
  TestNode a(1);
  TestNode b(2);
  a.peer_with(b);
  ASSERT_TRUE(a.wait_up(b));
  ASSERT_TRUE(b.wait_up(a));
  const auto told = a.told();
  EXPECT_EQ(told.up.at(b.id).name, "node-2");
  EXPECT_EQ(told.up.at(b.id).version, "test");
  EXPECT_EQ(told.up.at(b.id).swarm_port, b.session->port());
  EXPECT_EQ(told.endpoints.at(b.id), (Endpoint{"127.0.0.1", b.session->port()}));
  EXPECT_EQ(b.told().endpoints.at(a.id), (Endpoint{"127.0.0.1", a.session->port()}))
      << "the port it listens on";
}

TEST(SwarmNeighbours, MessagesOfAllSizesArriveInOrderAndWhole) {
  TestNode a(1);
  TestNode b(2);
  b.peer_with(a);
  ASSERT_TRUE(a.wait_up(b));
  ASSERT_TRUE(b.wait_up(a));
  const TestBlob blob(kSmallBlobMax);
  std::vector<Message> sent;
  for (std::uint64_t i = 0; i < 100; ++i) sent.emplace_back(msg::Heartbeat{i, {}, 1, 2});
  sent.emplace_back(msg::BlobBytes{blob.id, blob.bytes});
  sent.emplace_back(msg::BlobBytes{blob.id, blob.bytes});
  sent.emplace_back(msg::Want{std::vector<BlobId>(limits::kBlobsPerMessage, blob.id)});
  for (const auto& message : sent) a.session->send(b.id, message);
  ASSERT_TRUE(b.wait([&](const auto& told) { return told.messages.size() == sent.size(); }));
  const auto told = b.told();
  for (std::size_t i = 0; i < sent.size(); ++i) {
    EXPECT_EQ(told.messages[i].first, a.id);
    EXPECT_TRUE(told.messages[i].second == sent[i]) << i;
  }
}

TEST(SwarmNeighbours, NodesThatDialEachOtherAtOnceEndWithOneNeighbourEach) {
  for (int round = 0; round < 5; ++round) {
    TestNode a(1);
    TestNode b(2);
    a.peer_with(b);
    b.peer_with(a);
    ASSERT_TRUE(a.wait_up(b));
    ASSERT_TRUE(b.wait_up(a));
    // The second connection is refused within a round trip or two; a message there and back passes it.
    for (std::uint64_t i = 0; i < 20; ++i) {
      a.session->send(b.id, msg::Heartbeat{i, {}, 0, 0});
      b.session->send(a.id, msg::Heartbeat{i, {}, 0, 0});
      ASSERT_TRUE(a.wait([&](const auto& told) { return told.messages.size() == i + 1; }));
      ASSERT_TRUE(b.wait([&](const auto& told) { return told.messages.size() == i + 1; }));
    }
    EXPECT_EQ(a.told().ups, 1);
    EXPECT_EQ(b.told().ups, 1);
    EXPECT_EQ(a.told().downs + b.told().downs, 0);
  }
}

TEST(SwarmNeighbours, ANodeThatDialsItselfHasNoNeighbour) {
  TestNode a(1);
  TestNode b(2);
  a.peer_with(a);
  a.peer_with(b);
  ASSERT_TRUE(a.wait_up(b));
  EXPECT_EQ(a.told().up.size(), 1U);
}

TEST(SwarmNeighbours, AMeshGrowsFromOneKnownAddress) {
  std::vector<std::unique_ptr<TestNode>> nodes;
  for (int i = 1; i <= 5; ++i) nodes.push_back(std::make_unique<TestNode>(i));
  for (std::size_t i = 1; i < nodes.size(); ++i) nodes[i]->peer_with(*nodes[0]);
  for (auto& node : nodes) {
    EXPECT_TRUE(node->wait([](const auto& told) { return told.up.size() == 4; })) << node->id.short_hex();
  }
}

TEST(SwarmNeighbours, ANeighbourThatStopsIsDownAndOneThatComesBackIsUpAgain) {
  TestNode a(1);
  std::uint16_t port = 0;
  {
    TestNode b(2);
    port = b.session->port();
    a.peer_with(b);
    ASSERT_TRUE(a.wait_up(b));
    ASSERT_TRUE(b.wait_up(a));
    b.session->say_bye(std::chrono::milliseconds(500));
    ASSERT_TRUE(a.wait([&](const auto& told) {
      return !told.messages.empty() && std::holds_alternative<msg::Bye>(told.messages.back().second);
    }));
  }
  ASSERT_TRUE(a.wait([](const auto& told) { return told.up.empty(); }));
  const auto lost_at = std::chrono::steady_clock::now();
  TestNode b(2, [&](SwarmOptions& options) { options.listen = {{"127.0.0.1", port}}; });
  ASSERT_TRUE(a.wait_up(b));
  EXPECT_LT(std::chrono::steady_clock::now() - lost_at, std::chrono::seconds(5));
  EXPECT_EQ(a.told().ups, 2);
}

TEST(SwarmNeighbours, NodesOfAnotherClusterNeverMeet) {
  TestNode a(1);
  TestNode b(2, [](SwarmOptions& options) { options.cluster = "another"; });
  TestNode c(3);
  a.peer_with(b);
  a.peer_with(c);
  ASSERT_TRUE(a.wait_up(c));
  EXPECT_EQ(a.told().up.size(), 1U);
  EXPECT_TRUE(b.told().up.empty());
}

TEST(SwarmNeighbours, ABannedNodeIsDroppedAndRefusedUntilTheBanEnds) {
  TestNode a(1);
  TestNode b(2);
  b.peer_with(a);
  ASSERT_TRUE(a.wait_up(b));
  ASSERT_TRUE(b.wait_up(a));
  a.session->ban(b.id, std::chrono::seconds(1));
  const auto banned_at = std::chrono::steady_clock::now();
  ASSERT_TRUE(a.wait([](const auto& told) { return told.up.empty(); }));
  ASSERT_TRUE(b.wait([](const auto& told) { return told.up.empty(); }));
  ASSERT_TRUE(a.wait_up(b));
  EXPECT_GE(std::chrono::steady_clock::now() - banned_at, std::chrono::milliseconds(900));
}

TEST(SwarmNeighbours, ANameIsLookedUp) {
  TestNode a(1);
  TestNode b(2);
  a.session->add_peer("localhost:" + std::to_string(b.session->port()));
  EXPECT_TRUE(a.wait_up(b));
}

TEST(SwarmNeighbours, APortInUseIsSaidAtStart) {
  TestNode a(1);
  SwarmOptions options;
  options.node = node_id(2);
  options.listen = {{"127.0.0.1", a.session->port()}};
  const auto second = SwarmSession::start(options, {});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::unavailable);
  EXPECT_NE(second.error().message.find(std::to_string(a.session->port())), std::string::npos);
}

}  // namespace
}  // namespace shoal
