#include "transport/swarm/listen_addresses.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

namespace shoal {
namespace {

bool is_numeric(const std::string& address) {
  std::array<unsigned char, 16> bytes{};
  return inet_pton(AF_INET, address.c_str(), bytes.data()) == 1 ||
         inet_pton(AF_INET6, address.c_str(), bytes.data()) == 1;
}

// The socket address is read through a copy: its declared type is only a header.
template <typename T>
T copy_as(const sockaddr* address) {
  T out{};
  std::memcpy(&out, address, sizeof out);
  return out;
}

void add(std::vector<std::string>& to, int family, const void* address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (inet_ntop(family, address, text.data(), text.size()) != nullptr) to.emplace_back(text.data());
}

}  // namespace

InterfaceAddresses interface_addresses() {
  InterfaceAddresses out;
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return out;
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(list, &freeifaddrs);
  for (const ifaddrs* i = list; i != nullptr; i = i->ifa_next) {
    if (i->ifa_addr == nullptr || (i->ifa_flags & IFF_UP) == 0) continue;
    if (i->ifa_addr->sa_family == AF_INET) {
      const auto v4 = copy_as<sockaddr_in>(i->ifa_addr);
      add(out.v4, AF_INET, &v4.sin_addr);
    } else if (i->ifa_addr->sa_family == AF_INET6) {
      const auto v6 = copy_as<sockaddr_in6>(i->ifa_addr);
      if (v6.sin6_scope_id == 0) add(out.v6, AF_INET6, &v6.sin6_addr);
    }
  }
  return out;
}

std::string listen_interfaces(const std::vector<Endpoint>& listen, const InterfaceAddresses& addresses,
                              bool tls) {
  std::vector<Endpoint> all;
  for (const auto& endpoint : listen) {
    if (endpoint.address == "0.0.0.0") {
      for (const auto& address : addresses.v4) all.push_back({address, endpoint.port});
    } else if (endpoint.address == "::") {
      for (const auto& address : addresses.v6) all.push_back({address, endpoint.port});
    } else if (is_numeric(endpoint.address)) {
      all.push_back(endpoint);
    }
  }
  std::ranges::sort(all);
  const auto repeated = std::ranges::unique(all);
  all.erase(repeated.begin(), repeated.end());
  std::string out;
  for (const auto& endpoint : all) out += (out.empty() ? "" : ",") + endpoint.text() + (tls ? "s" : "");
  return out;
}

}  // namespace shoal
