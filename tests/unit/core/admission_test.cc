#include "node/core/admission.h"

#include "tests/unit/node_id.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

TEST(Admission, SerialsHaveOneForm) {
  EXPECT_EQ(cert_serial("0A1B"), "a1b");
  EXPECT_EQ(cert_serial("000f"), "f");
  EXPECT_EQ(cert_serial("0"), "");
  EXPECT_EQ(cert_serial("-1"), "");
  EXPECT_EQ(cert_serial(""), "");
  EXPECT_EQ(cert_serial(std::string(41, 'a')), "");
  EXPECT_FALSE(is_cert_serial("A"));
  EXPECT_FALSE(is_cert_serial("../x"));
}

TEST(Admission, WhoShowsAGoodCertificateIsLetIn) {
  const Credential shown{node_id(1), "a1"};
  EXPECT_EQ(admit(shown, node_id(1), {}), Admission::admitted);
  EXPECT_EQ(admit(shown, NodeId{}, {}), Admission::admitted) << "it has not said yet who it is";
}

TEST(Admission, OthersAreNot) {
  const Credential shown{node_id(1), "a1"};
  EXPECT_EQ(admit(std::nullopt, node_id(1), {}), Admission::no_certificate);
  EXPECT_EQ(admit(shown, node_id(2), {}), Admission::other_node);
  EXPECT_EQ(admit(shown, node_id(1), {1, {"a1"}}), Admission::revoked);
  EXPECT_EQ(admit(shown, node_id(1), {1, {"a2"}}), Admission::admitted);
}

TEST(Admission, ANewerListReplacesAnOlderOne) {
  const RevocationList older{3, {"a", "b"}};
  EXPECT_TRUE((RevocationList{4, {"a", "b", "c"}}).replaces(older));
  EXPECT_TRUE((RevocationList{9, {"a", "b"}}).replaces(older));
  EXPECT_FALSE((RevocationList{3, {"a", "b", "c"}}).replaces(older));
  EXPECT_FALSE((RevocationList{2, {"a", "b", "c"}}).replaces(older));
  EXPECT_FALSE((RevocationList{5, {"a", "c"}}).replaces(older)) << "it would let b in again";
  EXPECT_TRUE((RevocationList{1, {}}).replaces(RevocationList{}));
}

}  // namespace
}  // namespace shoal
