#include "node/daemon/network_check.h"

#include "storage/file.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace shoal {
namespace {

// BEP 14: local service discovery.
constexpr const char* kLsdGroup = "239.192.152.143";
constexpr std::uint16_t kLsdPort = 6771;
// On this machine both take microseconds; a busy one may need a while to run us.
constexpr int kPatienceMs = 1000;

sockaddr_in lsd_group() {
  sockaddr_in group{};
  group.sin_family = AF_INET;
  group.sin_port = htons(kLsdPort);
  inet_pton(AF_INET, kLsdGroup, &group.sin_addr);
  return group;
}

std::string text_of(const in_addr& address) {
  std::array<char, INET_ADDRSTRLEN> text{};
  inet_ntop(AF_INET, &address, text.data(), text.size());
  return text.data();
}

bool is_loopback(const in_addr& address) {
  return (ntohl(address.s_addr) >> 24U) == 127;
}

template <typename Value>
bool set_option(int fd, int level, int name, const Value& value) {
  return ::setsockopt(fd, level, name, &value, sizeof(value)) == 0;
}

// The address by which multicast goes out. Connecting a UDP socket sends nothing: the kernel only chooses the
// way, or says in errno that there is none.
std::optional<in_addr> way_out() {
  const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const sockaddr_in group = lsd_group();
  sockaddr_in own{};
  socklen_t length = sizeof(own);
  if (!fd.valid() || ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&group), sizeof(group)) != 0 ||
      ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&own), &length) != 0) {
    return std::nullopt;
  }
  return own.sin_addr;
}

// Beside the discovery's own socket, on its port, since a firewall may allow that one only; with a time to
// live of 0, so that no other machine sees it.
bool hears_itself(const in_addr& own) {
  const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return false;
  const sockaddr_in group = lsd_group();
  const ip_mreq membership{group.sin_addr, own};
  sockaddr_in any{};
  any.sin_family = AF_INET;
  any.sin_port = htons(kLsdPort);
  if (!set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1) ||
      ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&any), sizeof(any)) != 0 ||
      !set_option(fd.get(), IPPROTO_IP, IP_ADD_MEMBERSHIP, membership) ||
      !set_option(fd.get(), IPPROTO_IP, IP_MULTICAST_IF, own) ||
      !set_option(fd.get(), IPPROTO_IP, IP_MULTICAST_LOOP, 1) ||
      !set_option(fd.get(), IPPROTO_IP, IP_MULTICAST_TTL, 0)) {
    return false;
  }
  const std::string probe = "shoal doctor " + std::to_string(::getpid());
  if (::sendto(fd.get(), probe.data(), probe.size(), 0, reinterpret_cast<const sockaddr*>(&group),
               sizeof(group)) < 0) {
    return false;
  }
  // Neighbours may speak in between.
  std::array<char, 2048> bytes{};
  pollfd waiting{fd.get(), POLLIN, 0};
  for (int others = 0; others < 100 && ::poll(&waiting, 1, kPatienceMs) == 1; ++others) {
    const auto got = ::recv(fd.get(), bytes.data(), bytes.size(), 0);
    if (got > 0 && std::string_view(bytes.data(), static_cast<std::size_t>(got)) == probe) return true;
  }
  return false;
}

// errno of a TCP connection; 0: it was taken.
int connect_error(const sockaddr_storage& to, socklen_t length) {
  const UniqueFd fd(::socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return errno;
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), length) == 0) return 0;
  if (errno != EINPROGRESS) return errno;
  pollfd waiting{fd.get(), POLLOUT, 0};
  if (::poll(&waiting, 1, kPatienceMs) != 1) return ETIMEDOUT;
  int error = 0;
  socklen_t size = sizeof(error);
  return ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

}  // namespace

DoctorCheck check_multicast(bool lsd) {
  if (!lsd) return {"multicast", "ok", "discovery is off (lsd = false); neighbours come from `peer`"};
  const auto own = way_out();
  const std::string instead = ", so neighbours are not found by themselves; name one with `peer`";
  if (!own) {
    return {"multicast", "warning",
            std::string("no way to ") + kLsdGroup + " (" + std::strerror(errno) + ")" + instead};
  }
  if (is_loopback(*own)) {
    return {"multicast", "warning",
            "the way to " + std::string(kLsdGroup) + " ends at this machine" + instead};
  }
  const std::string group = std::string(kLsdGroup) + ":" + std::to_string(kLsdPort);
  if (!hears_itself(*own)) {
    return {"multicast", "warning",
            "what goes out by " + text_of(*own) + " to " + group +
                " does not come back, so neighbours are not found by themselves: let a firewall pass it "
                "(UDP), or "
                "name a neighbour with `peer`"};
  }
  return {"multicast", "ok", "discovery goes out by " + text_of(*own) + " to " + group + " and is heard"};
}

DoctorCheck check_swarm_port(const Endpoint& swarm) {
  Endpoint at = swarm;
  if (at.address == "0.0.0.0" || at.address == "::") {
    const auto own = way_out();
    at.address = own ? text_of(*own) : "127.0.0.1";
  }
  sockaddr_storage to{};
  auto* v4 = reinterpret_cast<sockaddr_in*>(&to);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&to);
  socklen_t length = sizeof(*v4);
  if (inet_pton(AF_INET, at.address.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(at.port);
  } else if (inet_pton(AF_INET6, at.address.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(at.port);
    length = sizeof(*v6);
  } else {
    return {"swarm port", "warning", "'" + at.address + "' is no address; set `swarm`"};
  }
  if (const int error = connect_error(to, length); error != 0) {
    return {"swarm port", "bad",
            "no connection to " + at.text() + " (" + std::strerror(error) +
                "), so no neighbour reaches this machine: let a firewall pass TCP to it, or set `swarm`"};
  }
  return {"swarm port", "ok", "neighbours connect to " + at.text() + " (TCP; a firewall must let them)"};
}

}  // namespace shoal
