// Which addresses belong to a site. Pure functions.
//
// libtorrent 2.0.8 has a rule of its own that leaves out 100.64.0.0/10 (carrier-grade NAT, used by overlay
// networks), so ours decides.
#pragma once

#include "node/core/messages.h"

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace shoal {

// A range of addresses, both ends included, in libtorrent's and everybody's textual form.
struct AddressRange {
  std::string_view first;
  std::string_view last;
};
// 10/8, 172.16/12, 192.168/16, 100.64/10, 169.254/16, 127/8, ::1, fc00::/7, fe80::/10, and the v4-mapped
// forms.
[[nodiscard]] std::span<const AddressRange> site_ranges();

[[nodiscard]] bool is_numeric_address(std::string_view address);
// Is the numeric address inside one of them? False for anything that is no numeric address.
[[nodiscard]] bool is_site_address(std::string_view address);
[[nodiscard]] bool is_loopback(std::string_view address);

// May we dial an address that a neighbour told us about? It must be numeric, unicast, with a port, and a site
// address unless `any_address`. A loopback address means something only to a neighbour on this machine, and a
// link-local one needs an interface that the message does not carry.
[[nodiscard]] bool may_dial(const Endpoint& told, std::string_view teller_address, bool any_address = false);

// "host:8421", "10.0.0.7:8421", "[fe80::1]:8421". The address may be a name. nullopt: no such thing.
[[nodiscard]] std::optional<Endpoint> parse_host_port(std::string_view text);

}  // namespace shoal
