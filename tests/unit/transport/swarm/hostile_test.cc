// A stranger on a raw socket, who knows BitTorrent and our extension and means harm.
#include "swarm_fixture.h"
#include "transport/swarm/gossip_codec.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace shoal {
namespace {

constexpr std::size_t kHandshakeBytes = 68;
constexpr int kTheirMessageId = 33;  // what a node asks its messages to be marked with

// Listens, is dialled by the node (as its explicit peer), and then says what it likes.
class Stranger {
 public:
  Stranger() : listener_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), length), 0);
    EXPECT_EQ(listen(listener_, 8), 0);
    EXPECT_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length), 0);
    port_ = ntohs(address.sin_port);
  }
  ~Stranger() {
    if (socket_ >= 0) close(socket_);
    close(listener_);
  }
  Stranger(const Stranger&) = delete;
  Stranger& operator=(const Stranger&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] const std::string& torrent() const { return torrent_; }  // its info-hash
  [[nodiscard]] std::string host_port() const { return "127.0.0.1:" + std::to_string(port_); }

  // Accepts, and answers the BitTorrent handshake with the same info-hash. Hangs up on who comes for a
  // torrent that is not wanted.
  void accept_and_shake(const std::string& unwanted = {}) {
    std::string theirs(kHandshakeBytes, '\0');
    do {
      if (socket_ >= 0) close(socket_);
      socket_ = accept(listener_, nullptr, nullptr);
      ASSERT_GE(socket_, 0);
      const timeval deadline{10, 0};
      setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline);
      ASSERT_EQ(recv(socket_, theirs.data(), theirs.size(), MSG_WAITALL),
                static_cast<ssize_t>(theirs.size()));
      torrent_ = theirs.substr(28, 20);
    } while (torrent_ == unwanted);
    theirs.replace(48, 20, "-XX0000-stranger....");
    say_raw(theirs);
  }
  // False when the node has hung up, or does not take it.
  bool say_raw(const std::string& bytes) {
    std::size_t sent = 0;
    while (sent < bytes.size()) {
      const auto n = ::send(socket_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
      if (n <= 0) return false;
      sent += static_cast<std::size_t>(n);
    }
    return true;
  }
  void say_extended(int id, const std::string& payload) {
    std::string frame;
    const auto length = static_cast<std::uint32_t>(payload.size() + 2);
    for (const unsigned shift : {24U, 16U, 8U, 0U})
      frame.push_back(static_cast<char>(length >> shift & 0xffU));
    frame.push_back(20);
    frame.push_back(static_cast<char>(id));
    say_raw(frame + payload);
  }
  void say(const Message& message) {
    const auto bytes = encode(message);
    say_extended(kTheirMessageId, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  }
  void say_who(NodeId node, std::uint8_t run = 1) {
    const std::string id(reinterpret_cast<const char*>(node.bytes.data()), 16);
    say_extended(0, "d1:md5:shoali7ee5:shoald1:n16:" + id + "1:r8:" + std::string(7, '\0') +
                        static_cast<char>(run) + "1:vi1eee");
  }
  // Reads until these bytes have come; false at the deadline or when the node hangs up.
  bool hears(const std::string& bytes) {
    std::string heard;
    std::array<char, 4096> some{};
    while (heard.find(bytes) == std::string::npos) {
      const auto n = recv(socket_, some.data(), some.size(), 0);
      if (n <= 0) return false;
      heard.append(some.data(), static_cast<std::size_t>(n));
    }
    return true;
  }
  // True when the node ends the connection.
  bool is_hung_up_on() {
    std::array<char, 4096> bytes{};
    while (true) {
      const auto n = recv(socket_, bytes.data(), bytes.size(), 0);
      if (n == 0 || (n < 0 && errno == ECONNRESET)) return true;
      if (n < 0) return false;
    }
  }

 private:
  int listener_;
  int socket_ = -1;
  std::string torrent_;
  std::uint16_t port_ = 0;
};

class SwarmHostile : public ::testing::Test {
 protected:
  // The node is dialled by a good neighbour before and must still serve it afterwards.
  void meet() {
    friendly.peer_with(node);
    ASSERT_TRUE(node.wait_up(friendly));
    ASSERT_TRUE(friendly.wait_up(node));
    node.session->add_peer(stranger.host_port());
    stranger.accept_and_shake();
  }
  void expect_unharmed() {
    friendly.session->send(node.id, msg::Heartbeat{42, {}, 0, 0});
    EXPECT_TRUE(node.wait([&](const auto& told) {
      return std::ranges::any_of(told.messages, [&](const auto& entry) {
        return entry.first == friendly.id && std::holds_alternative<msg::Heartbeat>(entry.second);
      });
    }));
    EXPECT_EQ(node.told().downs, 0);
  }

  // The stranger is a neighbour, and `second` its connection on a segment that the node wants.
  void meet_on_segment(Stranger& second, const TestBlob& blob) {
    meet();
    stranger.say_who(node_id(5));
    stranger.say(msg::Hello{node_id(5), "stranger", "", second.port(), 1});
    ASSERT_TRUE(node.wait([](const auto& told) { return told.up.contains(node_id(5)); }));
    node.session->load(blob.spec(SegmentIndex{0}, 0, blob.part(0)), {node_id(5)});
    second.accept_and_shake(stranger.torrent());  // other neighbours hear of it, too
    second.say_who(node_id(5));
  }

  Stranger stranger;
  // High, so that the stranger's made-up low id makes the node wait for Hello.
  TestNode node{200};
  TestNode friendly{201};
};

TEST_F(SwarmHostile, AClientWithoutOurExtensionIsHungUpOn) {
  meet();
  stranger.say_extended(0, "d1:mdee");
  EXPECT_TRUE(stranger.is_hung_up_on());
  expect_unharmed();
}

TEST_F(SwarmHostile, WrongIdentitiesAreHungUpOn) {
  meet();
  stranger.say_extended(0, "d1:md5:shoali7ee5:shoald1:n3:abc1:r8:xxxxxxxx1:vi1eee");
  EXPECT_TRUE(stranger.is_hung_up_on());
  expect_unharmed();
}

TEST_F(SwarmHostile, ANodeThatClaimsToBeThisNodeIsHungUpOn) {
  meet();
  stranger.say_who(node.id);
  EXPECT_TRUE(stranger.is_hung_up_on());
  expect_unharmed();
}

TEST_F(SwarmHostile, GarbageInOurMessagesIsHungUpOn) {
  meet();
  stranger.say_who(node_id(5));
  stranger.say_extended(kTheirMessageId, std::string(1000, '\xff'));
  EXPECT_TRUE(stranger.is_hung_up_on());
  expect_unharmed();
}

TEST_F(SwarmHostile, AMessageBeforeHelloIsHungUpOn) {
  meet();
  stranger.say_who(node_id(5));
  stranger.say(msg::Bye{});
  EXPECT_TRUE(stranger.is_hung_up_on());
  expect_unharmed();
}

TEST_F(SwarmHostile, AMessageLongerThanAllowedIsHungUpOnBeforeItIsThere) {
  meet();
  stranger.say_who(node_id(5));
  std::string begin{0, 0x09, 0, 2, 20, kTheirMessageId};  // 576 KiB announced
  stranger.say_raw(begin + std::string(100, 'x'));
  EXPECT_TRUE(stranger.is_hung_up_on());
  expect_unharmed();
}

TEST_F(SwarmHostile, AFloodOfMessagesIsHungUpOn) {
  meet();
  stranger.say_who(node_id(5));
  stranger.say(msg::Hello{node_id(5), "stranger", "", 1, 1});
  ASSERT_TRUE(node.wait([](const auto& told) { return told.up.contains(node_id(5)); }));
  for (int i = 0; i < 20000; ++i) stranger.say(msg::Heartbeat{1, {}, 0, 0});
  EXPECT_TRUE(stranger.is_hung_up_on());
  ASSERT_TRUE(node.wait([](const auto& told) { return !told.up.contains(node_id(5)); }));
  friendly.session->send(node.id, msg::Bye{});
  EXPECT_TRUE(node.wait([&](const auto& told) { return told.messages.back().first == friendly.id; }));
}

TEST_F(SwarmHostile, AnUnknownMessageOf500KilobytesIsSkipped) {
  meet();
  stranger.say_who(node_id(5));
  stranger.say(msg::Hello{node_id(5), "stranger", "", 1, 1});
  stranger.say_extended(kTheirMessageId, std::string{kGossipVersion} + '\xc8' + std::string(500 * 1000, 'x'));
  stranger.say(msg::Bye{});
  EXPECT_TRUE(node.wait([](const auto& told) {
    return !told.messages.empty() && std::holds_alternative<msg::Bye>(told.messages.back().second);
  }));
  EXPECT_EQ(node.told().messages.size(), 1U);
}

// Piece 1, start 0x4000, length 0x4000.
constexpr std::string_view kPlace{"\0\0\0\1\0\0\x40\0\0\0\x40\0", 12};

TEST_F(SwarmHostile, ARequestIsRejectedWhenToldTo) {
  const TestBlob blob(2 * kMiB);
  Stranger second;
  meet_on_segment(second, blob);
  second.say_extended(kTheirMessageId, std::string(kPlace));
  // BEP 6: length, id of "reject", the request's body.
  EXPECT_TRUE(second.hears(std::string("\0\0\0\x0d\x10", 5).append(kPlace)));
  expect_unharmed();
}

TEST_F(SwarmHostile, AnotherMessageOnASegmentIsHungUpOn) {
  const TestBlob blob(2 * kMiB);
  Stranger second;
  meet_on_segment(second, blob);
  second.say_extended(kTheirMessageId, std::string(kPlace) + "x");
  EXPECT_TRUE(second.is_hung_up_on());
}

TEST_F(SwarmHostile, WhoDoesNotReadTheRejectsItAsksForIsHungUpOn) {
  const TestBlob blob(2 * kMiB);
  Stranger second;
  meet_on_segment(second, blob);
  std::string flood;
  for (int i = 0; i < 1000; ++i)
    flood += std::string("\0\0\0\x0e\x14", 5).append(1, kTheirMessageId).append(kPlace);
  // What the sockets hold on both sides and the node's own bound, several times.
  bool hung_up = false;
  for (int i = 0; i < 4000 && !hung_up; ++i) hung_up = !second.say_raw(flood);
  EXPECT_TRUE(hung_up);
  expect_unharmed();
}

TEST_F(SwarmHostile, OnlySiteAddressesThatANeighbourTellsAreDialled) {
  meet();
  Stranger second;
  stranger.say_who(node_id(5));
  stranger.say(msg::Hello{node_id(5), "stranger", "", 1, 1});
  const auto colon = second.host_port().find(':');
  const auto port = static_cast<std::uint16_t>(std::stoi(second.host_port().substr(colon + 1)));
  // Were 192.0.2.1 (a documentation address) dialled, nothing could be seen here; that rule has its own test.
  // This one shows that what is allowed is dialled at once.
  stranger.say(msg::Neighbours{{{"192.0.2.1", 8421}, {"127.0.0.1", port}}});
  second.accept_and_shake();
}

}  // namespace
}  // namespace shoal
