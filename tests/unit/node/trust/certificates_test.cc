#include "node/trust/crl.h"
#include "trust_fixture.h"

#include <set>

namespace shoal {
namespace {

class Certificates : public TrustTest {
 protected:
  const Keyed authority = need(make_authority("lab", wall_now()));
  const Keyed other = need(make_authority("lab", wall_now()));
};

TEST_F(Certificates, ANodesCertificateSaysWhoItIs) {
  const Keyed node = let_in(authority, node_id(7), "gpu-7");
  const auto info = need(check_node(authority.cert_pem, node));
  EXPECT_EQ(info.node, node_id(7));
  EXPECT_EQ(info.name, "gpu-7");
  EXPECT_TRUE(is_cert_serial(info.serial)) << info.serial;
  EXPECT_GT(info.not_after.ms, wall_now().ms + std::int64_t{9} * 365 * 86400 * 1000);
  EXPECT_EQ(need(cluster_of(authority.cert_pem)), "lab");
}

TEST_F(Certificates, TwoOfOneMachineHaveDifferentSerials) {
  std::set<CertSerial> serials;
  for (int i = 0; i < 20; ++i)
    serials.insert(need(check_node(authority.cert_pem, let_in(authority, node_id(1)))).serial);
  EXPECT_EQ(serials.size(), 20U);
}

TEST_F(Certificates, AnAuthorityOfTheSameNameIsAnotherOne) {
  EXPECT_NE(need(fingerprint(authority.cert_pem)), need(fingerprint(other.cert_pem)));
  const auto checked = check_node(authority.cert_pem, let_in(other, node_id(1)));
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code, Code::unauthorized);
}

TEST_F(Certificates, ACertificateWithAnotherKeyIsRefused) {
  Keyed node = let_in(authority, node_id(1));
  node.key_pem = need(make_key());
  EXPECT_FALSE(check_node(authority.cert_pem, node));
}

TEST_F(Certificates, ANodeIsNoAuthority) {
  const Keyed node = let_in(authority, node_id(1));
  const auto key = need(make_key());
  const auto forged = issue_node(node, need(make_request(key, node_id(2))), node_id(2), "forged", wall_now());
  ASSERT_TRUE(forged) << "signing works; being believed does not";
  EXPECT_FALSE(check_node(authority.cert_pem, {key, *forged}));
  EXPECT_FALSE(check_node(node.cert_pem, {key, *forged}));
}

TEST_F(Certificates, ThePortForJoiningShowsNoNodesCertificate) {
  EXPECT_FALSE(check_node(authority.cert_pem, need(issue_listener(authority, wall_now()))));
}

TEST_F(Certificates, ACertificateThatRanOutIsRefused) {
  const WallTime long_ago{wall_now().ms - std::int64_t{11} * 365 * 86400 * 1000};
  const auto key = need(make_key());
  const auto cert =
      need(issue_node(authority, need(make_request(key, node_id(1))), node_id(1), "old", long_ago));
  EXPECT_FALSE(check_node(authority.cert_pem, {key, cert}));
}

TEST_F(Certificates, ARequestThatWasChangedIsRefused) {
  auto request = need(make_request(need(make_key()), node_id(1)));
  const auto middle = request.size() / 2;
  request[middle] = request[middle] == 'A' ? 'B' : 'A';
  EXPECT_FALSE(issue_node(authority, request, node_id(1), "x", wall_now()));
  EXPECT_FALSE(issue_node(authority, "", node_id(1), "x", wall_now()));
}

TEST_F(Certificates, ANameThatIsNoTextCostsTheNameOnly) {
  const Keyed node = let_in(authority, node_id(1), "\xff\xfe");
  EXPECT_EQ(need(check_node(authority.cert_pem, node)).node, node_id(1));
}

TEST_F(Certificates, AListOfRevokedOnesComesBackAsItWas) {
  const RevocationList list{7, {"1", "ff", std::string(32, 'a')}};
  const auto der = need(make_crl(authority, list, wall_now()));
  const auto read = need(read_crl(authority.cert_pem, der));
  EXPECT_EQ(read.number, 7U);
  EXPECT_EQ(read.serials, list.serials);
}

TEST_F(Certificates, AListOfAnotherAuthorityIsRefused) {
  const auto der = need(make_crl(other, {1, {"1"}}, wall_now()));
  const auto read = read_crl(authority.cert_pem, der);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Code::unauthorized);
}

TEST_F(Certificates, NoByteOfAListCanBeChangedUnnoticed) {
  const RevocationList list{3, {"abc", "def1"}};
  const auto der = need(make_crl(authority, list, wall_now()));
  for (std::size_t i = 0; i < der.size(); ++i) {
    auto changed = der;
    changed[i] ^= std::byte{1};
    const auto read = read_crl(authority.cert_pem, changed);
    EXPECT_TRUE(!read || (read->number == list.number && read->serials == list.serials)) << "byte " << i;
  }
  for (std::size_t size = 0; size < der.size(); ++size)
    EXPECT_FALSE(read_crl(authority.cert_pem, std::span(der).first(size))) << size;
}

TEST_F(Certificates, TheLongestListFitsAMessageAndOneMoreSaysSo) {
  RevocationList list{1, {}};
  for (int i = 0; i < 3000; ++i)
    list.serials.insert("f" + std::to_string(1000000 + i) + std::string(24, 'e'));
  EXPECT_TRUE(make_crl(authority, list, wall_now()));
  for (int i = 0; i < 1000; ++i)
    list.serials.insert("f" + std::to_string(2000000 + i) + std::string(24, 'e'));
  EXPECT_FALSE(make_crl(authority, list, wall_now()));
}

}  // namespace
}  // namespace shoal
