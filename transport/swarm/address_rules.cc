#include "transport/swarm/address_rules.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include <arpa/inet.h>
#include <netinet/in.h>

namespace shoal {
namespace {

// An IPv4 address is held as its v4-mapped IPv6 form, so that there is one comparison for all.
using Bytes = std::array<std::uint8_t, 16>;

std::optional<Bytes> parse(std::string_view text) {
  // inet_pton would stop at a NUL and not see what follows.
  if (text.find('\0') != std::string_view::npos) return std::nullopt;
  const std::string owned(text);
  Bytes bytes{};
  if (inet_pton(AF_INET6, owned.c_str(), bytes.data()) == 1) return bytes;
  in_addr v4{};
  if (inet_pton(AF_INET, owned.c_str(), &v4) != 1) return std::nullopt;
  bytes[10] = 0xff;
  bytes[11] = 0xff;
  std::memcpy(&bytes[12], &v4, 4);
  return bytes;
}

bool within(const Bytes& address, std::string_view first, std::string_view last) {
  return *parse(first) <= address && address <= *parse(last);
}

// libtorrent's filter keeps IPv4 and IPv6 apart, so ranges are written in the family they belong to.
constexpr std::array kSiteRanges{
    AddressRange{"10.0.0.0", "10.255.255.255"},                         // RFC 1918
    AddressRange{"100.64.0.0", "100.127.255.255"},                      // RFC 6598, overlay networks
    AddressRange{"127.0.0.0", "127.255.255.255"},                       // loopback
    AddressRange{"169.254.0.0", "169.254.255.255"},                     // RFC 3927, link-local
    AddressRange{"172.16.0.0", "172.31.255.255"},                       // RFC 1918
    AddressRange{"192.168.0.0", "192.168.255.255"},                     // RFC 1918
    AddressRange{"::1", "::1"},                                         // loopback
    AddressRange{"fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},  // RFC 4193, unique local
    AddressRange{"fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},  // link-local
};

std::optional<std::uint16_t> parse_port(std::string_view text) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value == 0 || value > 65535)
    return std::nullopt;
  return static_cast<std::uint16_t>(value);
}

bool is_host_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
         c == '_';
}

}  // namespace

std::span<const AddressRange> site_ranges() {
  return kSiteRanges;
}

bool is_numeric_address(std::string_view address) {
  return parse(address).has_value();
}

bool is_site_address(std::string_view address) {
  const auto bytes = parse(address);
  return bytes && std::ranges::any_of(kSiteRanges, [&](const AddressRange& range) {
           return within(*bytes, range.first, range.last);
         });
}

bool is_loopback(std::string_view address) {
  const auto bytes = parse(address);
  return bytes && (within(*bytes, "127.0.0.0", "127.255.255.255") || within(*bytes, "::1", "::1"));
}

bool may_dial(const Endpoint& told, std::string_view teller_address, bool any_address) {
  const auto bytes = parse(told.address);
  if (!bytes || told.port == 0) return false;
  if (within(*bytes, "fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff")) return false;
  // Not unicast: 0/8, 224/4 and above, ::, ff00::/8.
  if (within(*bytes, "0.0.0.0", "0.255.255.255") || within(*bytes, "224.0.0.0", "255.255.255.255"))
    return false;
  if (within(*bytes, "::", "::") || (*bytes)[0] == 0xff) return false;
  if (is_loopback(told.address)) return is_loopback(teller_address);
  return any_address || is_site_address(told.address);
}

std::optional<Endpoint> parse_host_port(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  auto host = text.substr(0, colon);
  const auto port = parse_port(text.substr(colon + 1));
  if (!port) return std::nullopt;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
    if (host.find(':') == std::string_view::npos || !parse(host)) return std::nullopt;
    return Endpoint{std::string(host), *port};
  }
  // 253 is the longest name DNS has.
  if (host.empty() || host.size() > 253 || !std::ranges::all_of(host, is_host_character)) return std::nullopt;
  return Endpoint{std::string(host), *port};
}

}  // namespace shoal
