#include "node/api/event_feed.h"

#include <optional>
#include <string>

#include <gtest/gtest.h>

namespace shoal {
namespace {

// What next() answers right away; nullopt while it waits.
struct Next {
  std::optional<Result<std::string>> answer;
  void ask(BodyStream& stream) {
    answer.reset();
    stream.next([this](Result<std::string> bytes) { answer = std::move(bytes); });
  }
};

TEST(EventFeed, FramesReachEveryClientInOrder) {
  EventFeed feed({2, 10});
  auto a = feed.subscribe();
  auto b = feed.subscribe();
  Next from_a;
  from_a.ask(*a);
  EXPECT_EQ(from_a.answer->value(), ": listening\n\n");
  from_a.ask(*a);
  EXPECT_FALSE(from_a.answer);
  feed.publish("one\n\n");
  EXPECT_EQ(from_a.answer->value(), "one\n\n");
  feed.publish("two\n\n");
  Next from_b;
  from_b.ask(*b);
  EXPECT_EQ(from_b.answer->value(), ": listening\n\none\n\ntwo\n\n");
}

TEST(EventFeed, AClientTooFarBehindIsCutOff) {
  EventFeed feed({1, 3});
  auto slow = feed.subscribe();
  for (int i = 0; i < 5; ++i) feed.publish("x\n\n");
  Next next;
  next.ask(*slow);
  ASSERT_TRUE(next.answer);
  EXPECT_FALSE(next.answer->has_value());
}

TEST(EventFeed, PlacesAreLimitedAndComeBack) {
  EventFeed feed({1, 10});
  auto first = feed.subscribe();
  EXPECT_EQ(feed.subscribe(), nullptr);
  first.reset();
  EXPECT_NE(feed.subscribe(), nullptr);
}

}  // namespace
}  // namespace shoal
