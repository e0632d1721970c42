// The addresses of this machine, as libtorrent's `listen_interfaces` wants them.
//
// 0.0.0.0 and :: are written out as one entry per address, because libtorrent joins the multicast group of
// local discovery only on addresses that are named.
#pragma once

#include "node/core/messages.h"

#include <string>
#include <vector>

namespace shoal {

// Numeric addresses of interfaces that are up. Link-local IPv6 addresses are left out: they need a scope.
struct InterfaceAddresses {
  std::vector<std::string> v4;
  std::vector<std::string> v6;
};
[[nodiscard]] InterfaceAddresses interface_addresses();

// "10.0.0.7:8421,[fd00::7]:8421". Pure. Entries that are no numeric address are left out; loopback comes with
// "all addresses", so that nodes and tests on one machine meet. `tls`: each is marked to speak nothing else,
// "10.0.0.7:8421s".
[[nodiscard]] std::string listen_interfaces(const std::vector<Endpoint>& listen,
                                            const InterfaceAddresses& addresses, bool tls = false);

}  // namespace shoal
