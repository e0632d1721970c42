#include "node/daemon/listing_exchange.h"

#include "node/daemon/loop.h"
#include "tests/unit/node_id.h"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

namespace shoal {
namespace {

// Keeps what is sent.
class SentMessages final : public Swarm {
 public:
  void send(NodeId to, Message message) override { sent.emplace_back(to, std::move(message)); }
  void load(SegmentSpec, std::vector<NodeId>) override {}
  void connect(const SegmentKey&, std::vector<NodeId>) override {}
  void unload(const SegmentKey&) override {}
  void ban(NodeId, std::chrono::seconds) override {}

  [[nodiscard]] std::vector<msg::Listing> listings(NodeId to) const {
    std::vector<msg::Listing> out;
    for (const auto& [node, message] : sent) {
      const auto* listing = std::get_if<msg::Listing>(&message);
      if (node == to && listing != nullptr) out.push_back(*listing);
    }
    return out;
  }

  std::vector<std::pair<NodeId, Message>> sent;
};

// This node is 5; it asks 3 and 9.
class ListingExchangeTest : public testing::Test {
 protected:
  ListingExchangeTest() {
    key.bytes[0] = 1;
    exchange->ask(key, [this](std::optional<std::string> document) {
      answered = true;
      answer = std::move(document);
    });
  }
  void hear(std::uint8_t from, msg::ListingState state, std::uint64_t size = 0,
            const std::string& text = {}) {
    msg::Listing listing{key, state, size, 0, {}};
    for (const char c : text) listing.bytes.push_back(static_cast<std::byte>(c));
    exchange->on_listing(node_id(from), listing);
  }

  Loop loop;  // its timers never run here
  SentMessages swarm;
  Hash256 key;
  bool answered = false;
  std::optional<std::string> answer;
  std::shared_ptr<ListingExchange> exchange = std::make_shared<ListingExchange>(loop, swarm, node_id(5), [] {
    return std::vector<NodeId>{node_id(3), node_id(9)};
  });
};

TEST_F(ListingExchangeTest, WhoHasItGivesIt) {
  hear(9, msg::ListingState::have, 4, "text");
  EXPECT_EQ(answer, "text");
}

TEST_F(ListingExchangeTest, WhenNobodyHasItTheHubIsAskedAndThoseWhoWaitHearOfIt) {
  EXPECT_TRUE(exchange->tell_to_wait(node_id(9), key));
  hear(3, msg::ListingState::lack);
  EXPECT_FALSE(answered);
  hear(9, msg::ListingState::lack);
  EXPECT_TRUE(answered);
  EXPECT_FALSE(answer);
  // From now on it says that its question has reached the Hub.
  EXPECT_TRUE(exchange->tell_to_wait(node_id(3), key));
  exchange->settle(key, 4);
  const auto told = swarm.listings(node_id(3));
  ASSERT_EQ(told.size(), 2U);
  EXPECT_EQ(told[0], (msg::Listing{key, msg::ListingState::asking, ListingExchange::kAtHub, 0, {}}));
  EXPECT_EQ(told[1], (msg::Listing{key, msg::ListingState::have, 4, 0, {}}));
  EXPECT_EQ(swarm.listings(node_id(9)).at(0).size, 0U);
}

TEST_F(ListingExchangeTest, OfTwoThatAskEachOtherTheOneWithTheHigherIdWaits) {
  hear(9, msg::ListingState::asking);  // it waits for this node
  hear(3, msg::ListingState::asking);
  EXPECT_FALSE(answered);
  hear(3, msg::ListingState::have, 4, "text");
  EXPECT_EQ(answer, "text");
}

TEST_F(ListingExchangeTest, TheLowerIdGoesOnUnlessTheOtherIsAtTheHubAlready) {
  hear(3, msg::ListingState::lack);
  hear(9, msg::ListingState::asking, ListingExchange::kAtHub);
  EXPECT_FALSE(answered) << "the Hub would be asked twice";
  hear(9, msg::ListingState::have, 4, "text");
  EXPECT_EQ(answer, "text");
}

TEST_F(ListingExchangeTest, TheLowerIdAsksTheHubWhenTheOtherOnlyWaits) {
  hear(3, msg::ListingState::lack);
  hear(9, msg::ListingState::asking);
  EXPECT_TRUE(answered);
  EXPECT_FALSE(answer);
}

}  // namespace
}  // namespace shoal
