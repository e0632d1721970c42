// Each test is one situation of a file, and the words that a person should read in it.
#include "node/core/bottleneck.h"

#include "node/core/geometry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace shoal {
namespace {

using testing::HasSubstr;
using Stage = BlobFacts::Stage;

NodeFacts node_at_noon() {
  NodeFacts node;
  node.now = {12 * 3'600'000};
  return node;
}

BlobFacts fetching(std::uint64_t bytes_per_s = 0) {
  BlobFacts blob;
  blob.stage = Stage::fetching;
  blob.bytes_per_s = bytes_per_s;
  return blob;
}

TEST(Bottleneck, OutsideOfFetchingTheStageSaysIt) {
  BlobFacts blob;
  EXPECT_EQ(bottleneck({}, blob), "its turn behind other files");
  blob.stage = Stage::opening;
  EXPECT_EQ(bottleneck({}, blob), "");
  blob.stage = Stage::locked;
  EXPECT_THAT(bottleneck({}, blob), HasSubstr("another program"));
  blob.stage = Stage::checking;
  EXPECT_EQ(bottleneck({}, blob), "this machine's hash check of the whole file");
}

TEST(Bottleneck, ALimitOfTheHubIsNamedWithItsEnd) {
  NodeFacts node = node_at_noon();
  node.limited_until = {node.now.ms + 61'500};
  node.limited_reason = "429 from hub.example";
  EXPECT_EQ(bottleneck(node, fetching()),
            "the Hub, which limits requests until 12:01:01 UTC (62 s left): 429 from hub.example");
  // Over: not worth a word.
  node.limited_until = node.now;
  EXPECT_EQ(bottleneck(node, fetching()), "its turn behind other files");
}

TEST(Bottleneck, ALimitOfTheHubDoesNotMatterWhereTheHubIsNotAsked) {
  NodeFacts node = node_at_noon();
  node.limited_until = {node.now.ms + 60'000};
  BlobFacts blob = fetching();
  blob.policy = SourcePolicy::lan_only;
  EXPECT_EQ(bottleneck(node, blob), "a neighbour that has it (source is lan)");
  blob.policy = SourcePolicy::automatic;
  blob.claimers = {{"gpu2", {}, 0}};
  EXPECT_EQ(bottleneck(node, blob), "neighbour gpu2, which fetches it from the Hub");
}

TEST(Bottleneck, TheWanLimitIsNamedWhenItIsUsedUp) {
  NodeFacts node = node_at_noon();
  node.wan_rate_limit = 10 * kMiB;
  node.origin_requests = 4;
  BlobFacts blob = fetching(9 * kMiB);
  blob.requests = 4;
  node.origin_bytes_per_s = 10 * kMiB;
  EXPECT_EQ(bottleneck(node, blob), "the WAN limit of this node, 10.0 MiB/s (wan_rate_limit)");
  node.wan_rate_limit = 0;
  node.site_wan_limit = 40 * kMiB;
  node.site_wan_part = 10 * kMiB;
  EXPECT_EQ(bottleneck(node, blob),
            "this node's part, 10.0 MiB/s, of the site's WAN limit of 40.0 MiB/s (site_wan_rate_limit)");
  // Far below it something else is the limit: the line.
  node.origin_bytes_per_s = 2 * kMiB;
  EXPECT_EQ(bottleneck(node, blob), "the line to the Hub: 4 requests bring 2.0 MiB/s");
}

TEST(Bottleneck, ThisMachineComesBeforeTheLine) {
  NodeFacts node = node_at_noon();
  BlobFacts blob = fetching(kMiB);
  blob.requests = 1;
  node.disk_wait_permille = 850;
  EXPECT_EQ(bottleneck(node, blob), "this machine's disk: writing takes 85 % of the time");
  node.disk_wait_permille = 100;
  node.hashing_permille = 920;
  EXPECT_EQ(bottleneck(node, blob), "this machine's processor: hashing takes 92 % of the time");
  node.hashing_permille = 0;
  node.own.busy = true;
  EXPECT_EQ(bottleneck(node, blob), "this machine, which is marked busy");
  node.own.busy = false;
  node.own.gpu_permille = 970;
  EXPECT_EQ(bottleneck(node, blob), "this machine, which has 97 % of its GPU in use");
}

TEST(Bottleneck, ASingleSlowNeighbourIsNamedWithItsReason) {
  BlobFacts blob = fetching(3 * kMiB);
  blob.segments_loaded = 2;
  NeighbourFacts sender{"gpu7", {}, 3 * kMiB};
  blob.senders = {sender};
  EXPECT_EQ(bottleneck({}, blob), "neighbour gpu7, the only one that has it; it sends 3.0 MiB/s");
  blob.senders[0].load.nic_permille = 960;
  EXPECT_EQ(
      bottleneck({}, blob),
      "neighbour gpu7, the only one that has it, which uses 96 % of its network link; it sends 3.0 MiB/s");
  // Several with capacity left: nothing to complain about.
  blob.senders = {sender, {"gpu8", {}, kMiB}};
  EXPECT_EQ(bottleneck({}, blob), "");
  blob.senders[0].load.busy = blob.senders[1].load.busy = true;
  EXPECT_EQ(bottleneck({}, blob),
            "neighbours gpu7 and gpu8, which have no capacity left: gpu7 is marked busy");
}

TEST(Bottleneck, SilenceIsAWordOnlyWhenItLasts) {
  BlobFacts blob = fetching();
  blob.requests = 2;
  EXPECT_EQ(bottleneck({}, blob), "the first bytes from the Hub");
  blob.silent_s = 8;
  EXPECT_EQ(bottleneck({}, blob), "the Hub, which sends nothing for 8 s");
  blob.requests = 0;
  blob.segments_loaded = 1;
  blob.senders = {{"gpu7", {}, 0}};
  EXPECT_EQ(bottleneck({}, blob), "neighbour gpu7, which sends nothing for 8 s");
  blob.silent_s = 1;
  EXPECT_EQ(bottleneck({}, blob), "");
}

TEST(Bottleneck, AfterAFailureTheHubIsTriedAgain) {
  BlobFacts blob = fetching();
  blob.origin_rest_s = 4;
  blob.origin_error = "the connection was reset";
  EXPECT_EQ(bottleneck({}, blob), "the Hub, which is tried again in 4 s: the connection was reset");
}

}  // namespace
}  // namespace shoal
