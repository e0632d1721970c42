// Closed clusters: who is let in over real TLS, and what the others get, which is nothing.
#include "swarm_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace shoal {
namespace {

// How long a node is watched that must get nothing. Members meet within 50 ms here.
constexpr auto kWatched = std::chrono::milliseconds(1500);

class SwarmTls : public ::testing::Test {
 protected:
  static std::function<void(SwarmOptions&)> with(std::optional<SwarmTrust> trust) {
    return [trust = std::move(trust)](SwarmOptions& options) { options.trust = trust; };
  }
  // Neither is a neighbour of the other, and no piece moves.
  static void expect_nothing(TestNode& member, TestNode& outsider, const TestBlob& blob) {
    member.session->load(blob.spec(kFirst, blob.all(), blob.full()), {});
    outsider.session->load(blob.spec(kFirst, 0, blob.part(0)), {});
    member.peer_with(outsider);
    outsider.peer_with(member);
    EXPECT_FALSE(outsider.wait(
        [&](const auto& told) { return told.ups > 0 || !told.messages.empty() || !told.pieces.empty(); },
        kWatched));
    EXPECT_EQ(member.told().ups, 0);
    EXPECT_TRUE(member.told().traffic.empty());
  }

  const TestBlob blob{1 * kMiB};
  const TestAuthority authority;
};

TEST_F(SwarmTls, MembersMeetAndMoveSegments) {
  TestNode seed(1, with(authority.let_in(node_id(1))));
  TestNode leech(2, with(authority.let_in(node_id(2))));
  seed.peer_with(leech);
  ASSERT_TRUE(leech.wait_up(seed));
  ASSERT_TRUE(seed.wait_up(leech));
  const auto file = blob.part(0);
  seed.session->load(blob.spec(kFirst, blob.all(), blob.full()), {});
  leech.session->load(blob.spec(kFirst, 0, file), {seed.id});
  ASSERT_TRUE(leech.wait_pieces({blob.id, kFirst}, blob.all()));
  EXPECT_EQ(file->bytes(), blob.bytes);
  const auto told = leech.told();
  for (const auto& [piece, from] : told.pieces.at({blob.id, kFirst})) EXPECT_EQ(from, seed.id);
}

TEST_F(SwarmTls, ACertificateOfAnotherAuthorityGetsNothing) {
  const TestAuthority other;
  TestNode member(1, with(authority.let_in(node_id(1))));
  TestNode outsider(2, with(other.let_in(node_id(2))));
  expect_nothing(member, outsider, blob);
}

// It knows the authority's certificate, which is no secret, so that its info-hashes are right.
TEST_F(SwarmTls, ACertificateOfAnotherAuthorityAndTheRightInfoHashGetNothing) {
  const TestAuthority other;
  TestNode member(1, with(authority.let_in(node_id(1))));
  auto forged = other.let_in(node_id(2));
  forged.authority_pem = authority.let_in(node_id(2)).authority_pem;
  TestNode outsider(2, with(forged));
  expect_nothing(member, outsider, blob);
}

TEST_F(SwarmTls, ANodeOfAnOpenClusterGetsNothing) {
  TestNode member(1, with(authority.let_in(node_id(1))));
  TestNode outsider(2, with(std::nullopt));
  expect_nothing(member, outsider, blob);
}

TEST_F(SwarmTls, ARevokedCertificateGetsNothing) {
  const auto trust = authority.let_in(node_id(2));
  auto informed = authority.let_in(node_id(1));
  informed.revoked = {1, {TestAuthority::serial(trust)}};
  TestNode member(1, with(informed));
  TestNode outsider(2, with(trust));
  expect_nothing(member, outsider, blob);
}

TEST_F(SwarmTls, WhoIsRevokedIsHungUpOnAndStaysOut) {
  const auto trust = authority.let_in(node_id(2));
  TestNode member(1, with(authority.let_in(node_id(1))));
  TestNode other(2, with(trust));
  member.peer_with(other);
  ASSERT_TRUE(member.wait_up(other));
  member.session->load(blob.spec(kFirst, blob.all(), blob.full()), {});
  member.session->set_revoked({1, {TestAuthority::serial(trust)}});
  ASSERT_TRUE(member.wait([&](const auto& told) { return !told.up.contains(other.id); }));
  other.session->load(blob.spec(kFirst, 0, blob.part(0)), {member.id});
  other.peer_with(member);
  EXPECT_FALSE(other.wait([](const auto& told) { return !told.pieces.empty(); }, kWatched));
  EXPECT_EQ(member.told().ups, 1);
}

// Of the right authority, but of another machine.
TEST_F(SwarmTls, ANodeCannotTakeAnothersName) {
  TestNode member(1, with(authority.let_in(node_id(1))));
  TestNode impostor(2, with(authority.let_in(node_id(3))));
  expect_nothing(member, impostor, blob);
}

// A name that was given by a certificate is not lost by saying nothing: bans hold.
TEST_F(SwarmTls, ABannedMemberGetsNoSegment) {
  TestNode member(1, with(authority.let_in(node_id(1))));
  TestNode banned(2, with(authority.let_in(node_id(2))));
  member.peer_with(banned);
  ASSERT_TRUE(member.wait_up(banned));
  member.session->ban(banned.id, std::chrono::minutes(1));
  ASSERT_TRUE(member.wait([&](const auto& told) { return told.up.empty(); }));
  member.session->load(blob.spec(kFirst, blob.all(), blob.full()), {});
  banned.session->load(blob.spec(kFirst, 0, blob.part(0)), {member.id});
  banned.session->connect({blob.id, kFirst}, {member.id});
  EXPECT_FALSE(banned.wait([](const auto& told) { return !told.pieces.empty(); }, kWatched));
}

TEST_F(SwarmTls, ClearTextIsNotAnswered) {
  TestNode member(1, with(authority.let_in(node_id(1))));
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(member.session->port());
  ASSERT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  const std::string hello = '\x13' + std::string("BitTorrent protocol") + std::string(48, 'x');
  ASSERT_EQ(::send(fd, hello.data(), hello.size(), MSG_NOSIGNAL), static_cast<ssize_t>(hello.size()));
  const timeval deadline{10, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline);
  std::string answer;
  std::array<char, 256> bytes{};
  while (true) {
    const auto n = ::recv(fd, bytes.data(), bytes.size(), 0);
    EXPECT_TRUE(n >= 0 || errno == ECONNRESET) << "the node hangs up";
    if (n <= 0) break;
    answer.append(bytes.data(), static_cast<std::size_t>(n));
  }
  ::close(fd);
  // At most a TLS alert, 7 bytes that begin with 0x15.
  EXPECT_LE(answer.size(), 7U);
  EXPECT_TRUE(answer.empty() || answer[0] == '\x15');
}

}  // namespace
}  // namespace shoal
