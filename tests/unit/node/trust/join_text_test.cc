#include "node/trust/join_text.h"

#include "trust_fixture.h"

#include <random>

namespace shoal {
namespace {

JoinRequest a_request() {
  JoinRequest out;
  out.secret.fill(9);
  out.node = node_id(3);
  out.name = "gpu 3";
  out.cluster = "lab";
  out.request_pem = need(make_request(need(make_key()), out.node));
  return out;
}

TEST(JoinText, ARequestComesBackAsItWas) {
  const auto request = a_request();
  const auto read = parse_join_request(format_join_request(request));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->secret, request.secret);
  EXPECT_EQ(read->node, request.node);
  EXPECT_EQ(read->name, request.name);
  EXPECT_EQ(read->cluster, request.cluster);
  EXPECT_EQ(read->request_pem, request.request_pem);
}

TEST(JoinText, ANameCannotBringAFieldOfItsOwn) {
  auto request = a_request();
  request.name = "x\nnode 00000000000000000000000000000000";
  const auto read = parse_join_request(format_join_request(request));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->node, request.node);
  EXPECT_EQ(read->name.find('\n'), std::string::npos);
}

TEST(JoinText, NothingThatIsCutOffIsARequest) {
  const auto text = format_join_request(a_request());
  for (std::size_t size = 0; size < text.size(); ++size)
    EXPECT_FALSE(parse_join_request(text.substr(0, size)));
  EXPECT_FALSE(parse_join_request(text + "more"));
  EXPECT_FALSE(parse_join_request(std::string(kJoinRequestMax + 1, 'x')));
}

TEST(JoinText, AnAnswerComesBackAsItWas) {
  const Keyed authority = need(make_authority("lab", wall_now()));
  for (const auto& revoked : {std::vector<std::byte>{}, {std::byte{0x30}, std::byte{0xff}}}) {
    const JoinAnswer answer{authority.cert_pem, authority.cert_pem, revoked};
    const auto read = parse_join_answer(format_join_answer(answer));
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(read->authority_pem, answer.authority_pem);
    EXPECT_EQ(read->cert_pem, answer.cert_pem);
    EXPECT_EQ(read->revoked_der, answer.revoked_der);
  }
}

TEST(JoinText, ARefusalBringsItsSentence) {
  const auto read =
      parse_join_answer(format_join_refusal(Error{Code::unauthorized, "the token\nis burnt", 0}));
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Code::unauthorized);
  EXPECT_NE(read.error().message.find("the token is burnt"), std::string::npos);
}

TEST(JoinText, NoiseIsNeitherARequestNorAnAnswer) {
  std::mt19937 random(1);
  const auto good = format_join_request(a_request());
  for (int i = 0; i < 2000; ++i) {
    std::string text = good;
    for (int n = 0; n < 3; ++n) text[random() % text.size()] = static_cast<char>(random());
    (void)parse_join_request(text);
    EXPECT_FALSE(parse_join_answer(text));
  }
}

}  // namespace
}  // namespace shoal
