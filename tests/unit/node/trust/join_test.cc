// Joining over real TLS on 127.0.0.1.
#include "node/trust/join_client.h"
#include "node/trust/join_listener.h"
#include "trust_fixture.h"

#include <array>
#include <atomic>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace shoal {
namespace {

class Joining : public TrustTest {
 protected:
  std::unique_ptr<JoinListener> listen(const Keyed& shown, const std::string& authority_pem) {
    return need(JoinListener::start({"127.0.0.1", 0}, shown, authority_pem,
                                    [this](const std::string& request, const std::string& remote) {
                                      ++asked;
                                      EXPECT_EQ(remote, "127.0.0.1");
                                      EXPECT_TRUE(parse_join_request(request));
                                      return format_join_answer({authority.cert_pem, authority.cert_pem, {}});
                                    }));
  }
  JoinRequest request() {
    JoinRequest out;
    out.node = node_id(2);
    out.name = "gpu-2";
    out.cluster = "lab";
    out.request_pem = need(make_request(need(make_key()), out.node));
    return out;
  }

  const Keyed authority = need(make_authority("lab", wall_now()));
  const Hash256 print = need(fingerprint(authority.cert_pem));
  std::atomic<int> asked{0};
};

TEST_F(Joining, ARequestIsAnswered) {
  const auto listener = listen(need(issue_listener(authority, wall_now())), authority.cert_pem);
  const auto answer = ask_to_join("127.0.0.1", listener->endpoint().port, print, request());
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->authority_pem, authority.cert_pem);
  EXPECT_TRUE(ask_to_join("localhost", listener->endpoint().port, print, request())) << "by name";
}

TEST_F(Joining, AnotherAuthorityIsToldNothing) {
  const Keyed other = need(make_authority("lab", wall_now()));
  const auto listener = listen(need(issue_listener(other, wall_now())), other.cert_pem);
  const auto answer = ask_to_join("127.0.0.1", listener->endpoint().port, print, request());
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::unauthorized);
  EXPECT_EQ(asked, 0);
}

TEST_F(Joining, OneThatBorrowsTheAuthoritysCertificateIsToldNothing) {
  const Keyed other = need(make_authority("lab", wall_now()));
  const auto listener = listen(need(issue_listener(other, wall_now())), authority.cert_pem);
  EXPECT_FALSE(ask_to_join("127.0.0.1", listener->endpoint().port, print, request()));
  EXPECT_EQ(asked, 0);
}

TEST_F(Joining, AnOrdinaryNodeIsToldNothing) {
  const auto listener = listen(let_in(authority, node_id(9)), authority.cert_pem);
  const auto answer = ask_to_join("127.0.0.1", listener->endpoint().port, print, request());
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::unauthorized);
  EXPECT_EQ(asked, 0);
}

TEST_F(Joining, NobodyThereIsSaidSoon) {
  std::uint16_t port = 0;
  {
    const auto listener = listen(need(issue_listener(authority, wall_now())), authority.cert_pem);
    port = listener->endpoint().port;
  }
  const auto answer = ask_to_join("127.0.0.1", port, print, request());
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::unavailable);
}

TEST_F(Joining, OneThatNeverAnswersIsGivenUp) {
  const int silent = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  ASSERT_EQ(::bind(silent, reinterpret_cast<sockaddr*>(&address), length), 0);
  ASSERT_EQ(::listen(silent, 1), 0);
  ASSERT_EQ(::getsockname(silent, reinterpret_cast<sockaddr*>(&address), &length), 0);
  const auto answer =
      ask_to_join("127.0.0.1", ntohs(address.sin_port), print, request(), std::chrono::seconds(1));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::timeout);
  ::close(silent);
}

TEST_F(Joining, StrangersThatHoldPlacesAreBounded) {
  const auto listener = listen(need(issue_listener(authority, wall_now())), authority.cert_pem);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(listener->endpoint().port);
  std::vector<int> sockets;
  for (int i = 0; i < JoinListener::kSessions + 1; ++i) {
    sockets.push_back(::socket(AF_INET, SOCK_STREAM, 0));
    ASSERT_EQ(::connect(sockets.back(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  // The last one is hung up on at once; the others would be after kPatience.
  const timeval deadline{5, 0};
  ::setsockopt(sockets.back(), SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline);
  std::array<char, 1> byte{};
  EXPECT_EQ(::recv(sockets.back(), byte.data(), 1, 0), 0);
  for (const int fd : sockets) ::close(fd);
  // Their places are free again as soon as they are gone.
  Result<JoinAnswer> answer = fail(Code::unavailable, "");
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!answer && std::chrono::steady_clock::now() < end)
    answer = ask_to_join("127.0.0.1", listener->endpoint().port, print, request());
  EXPECT_TRUE(answer);
}

}  // namespace
}  // namespace shoal
