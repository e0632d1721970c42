#include "node/trust/authority.h"

#include "node/core/invite_token.h"
#include "node/trust/crl.h"
#include "trust_fixture.h"

#include <sys/stat.h>

namespace shoal {
namespace {

class AuthorityTest : public TrustTest {
 protected:
  AuthorityTest() {
    const auto founded = found_cluster(folder, "lab", node_id(1), "head", wall_now());
    EXPECT_TRUE(founded) << founded.error().message;
    authority = need(Authority::open(folder, {}));
  }

  JoinRequest request(NodeId node, const std::string& name, const std::string& token) {
    JoinRequest out;
    out.secret = need(parse_token(token)).secret;
    out.node = node;
    out.name = name;
    out.cluster = "lab";
    keys.push_back(need(make_key()));
    out.request_pem = need(make_request(keys.back(), node));
    return out;
  }
  std::string token() { return need(authority->invite(std::chrono::minutes(10), wall_now())).token; }

  static unsigned mode_of(const std::filesystem::path& path) {
    struct stat status {};
    EXPECT_EQ(::stat(path.c_str(), &status), 0) << path;
    return status.st_mode & 0777U;
  }

  const TrustFolder folder{root / "trust"};
  std::unique_ptr<Authority> authority;
  std::vector<std::string> keys;
};

TEST_F(AuthorityTest, TheFounderIsAMember) {
  const auto member = need(folder.load());
  ASSERT_TRUE(member);
  EXPECT_EQ(member->info.node, node_id(1));
  EXPECT_EQ(member->cluster, "lab");
  EXPECT_EQ(member->revoked.number, 0U);
  EXPECT_FALSE(found_cluster(folder, "lab", node_id(1), "head", wall_now())) << "twice";
}

TEST_F(AuthorityTest, SecretsAreForTheirOwnerOnly) {
  EXPECT_EQ(mode_of(root / "trust"), 0700U);
  EXPECT_EQ(mode_of(root / "trust" / "ca.key"), 0600U);
  EXPECT_EQ(mode_of(root / "trust" / "node.key"), 0600U);
  std::filesystem::permissions(root / "trust" / "node.key", std::filesystem::perms(0640));
  const auto loaded = folder.load();
  ASSERT_FALSE(loaded) << "a key that others may read is not used";
  EXPECT_NE(loaded.error().message.find("chmod 600"), std::string::npos);
}

TEST_F(AuthorityTest, AMachineIsLetInByATokenOnce) {
  const auto text = token();
  const auto joined = need(authority->let_in(request(node_id(2), "gpu-2", text), wall_now()));
  EXPECT_EQ(joined.info.node, node_id(2));
  EXPECT_TRUE(check_node(joined.answer.authority_pem, {keys.back(), joined.answer.cert_pem}));
  const auto again = authority->let_in(request(node_id(3), "gpu-3", text), wall_now());
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Code::unauthorized);
  EXPECT_EQ(need(authority->members()).size(), 2U);
}

TEST_F(AuthorityTest, ATokenBurnsEvenIfTheRestIsWrong) {
  const auto text = token();
  auto bad = request(node_id(2), "gpu-2", text);
  bad.request_pem = "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n";
  EXPECT_FALSE(authority->let_in(bad, wall_now()));
  EXPECT_FALSE(authority->let_in(request(node_id(2), "gpu-2", text), wall_now()));
}

TEST_F(AuthorityTest, AMachineOfAnotherClustersNameIsToldAndKeepsItsToken) {
  const auto text = token();
  auto other = request(node_id(2), "gpu-2", text);
  other.cluster = "default";
  const auto refused = authority->let_in(other, wall_now());
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("--cluster lab"), std::string::npos) << refused.error().message;
  EXPECT_TRUE(authority->let_in(request(node_id(2), "gpu-2", text), wall_now()));
}

TEST_F(AuthorityTest, ATokenRunsOut) {
  const auto text = token();
  const WallTime later{wall_now().ms + 11 * 60 * 1000};
  EXPECT_FALSE(authority->let_in(request(node_id(2), "gpu-2", text), later));
  EXPECT_EQ(authority->open_invites(later), 0U);
  EXPECT_FALSE(authority->invite(std::chrono::seconds(1), wall_now()));
  EXPECT_FALSE(authority->invite(std::chrono::hours(24 * 8), wall_now()));
}

TEST_F(AuthorityTest, ARevokedMachineIsOnTheListAndStaysThere) {
  const auto joined = need(authority->let_in(request(node_id(2), "gpu-2", token()), wall_now()));
  const auto again = need(authority->let_in(request(node_id(2), "gpu-2", token()), wall_now()));
  const auto revoked = need(authority->revoke("gpu-2", node_id(1), wall_now()));
  EXPECT_EQ(revoked.list.serials, (std::set<CertSerial>{joined.info.serial, again.info.serial}));
  const auto member = need(folder.load());
  EXPECT_EQ(member->revoked.number, 1U);
  EXPECT_TRUE(member->revoked.contains(joined.info.serial));

  // After a restart, and with another one put out.
  authority = need(Authority::open(folder, member->revoked));
  const auto third = need(authority->let_in(request(node_id(3), "gpu-3", token()), wall_now()));
  EXPECT_EQ(need(read_crl(member->authority_pem, third.answer.revoked_der)).number, 1U)
      << "who joins gets the list";
  const auto next = need(authority->revoke(node_id(3).hex(), node_id(1), wall_now()));
  EXPECT_TRUE(next.list.replaces(member->revoked));
  EXPECT_EQ(next.list.serials.size(), 3U);
  int gone = 0;
  for (const auto& one : need(authority->members())) gone += one.revoked ? 1 : 0;
  EXPECT_EQ(gone, 3);
}

TEST_F(AuthorityTest, RevokingNeedsOneMachineThatIsNotTheAuthority) {
  (void)need(authority->let_in(request(node_id(2), "twin", token()), wall_now()));
  (void)need(authority->let_in(request(node_id(3), "twin", token()), wall_now()));
  EXPECT_EQ(authority->revoke("nobody", node_id(1), wall_now()).error().code, Code::not_found);
  EXPECT_EQ(authority->revoke("twin", node_id(1), wall_now()).error().code, Code::invalid);
  EXPECT_EQ(authority->revoke("head", node_id(1), wall_now()).error().code, Code::invalid);
  EXPECT_EQ(authority->revoke("02", node_id(1), wall_now()).error().code, Code::not_found)
      << "too short a prefix";
  EXPECT_TRUE(authority->revoke(node_id(2).hex().substr(0, 8), node_id(1), wall_now()));
}

}  // namespace
}  // namespace shoal
