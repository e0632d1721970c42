// Addresses that neighbours tell and names that people write (transport/swarm/address_rules.h).
#include "tests/fuzz/fuzz_target.h"
#include "transport/swarm/address_rules.h"

using namespace shoal;

SHOAL_FUZZ_TARGET(addresses, 1) {
  const auto text = fuzz::as_text(input);
  constexpr std::string_view kNumeric = "0123456789abcdefABCDEF:.";
  if (is_numeric_address(text)) {
    FUZZ_REQUIRE(text.find_first_not_of(kNumeric) == std::string_view::npos && text.size() <= 45);
  } else {
    FUZZ_REQUIRE(!is_site_address(text) && !is_loopback(text));
  }
  const Endpoint told{std::string(text), 8421};
  if (may_dial(told, "10.0.0.1")) FUZZ_REQUIRE(is_site_address(text) && !is_loopback(text));
  if (may_dial(told, "10.0.0.1", true)) FUZZ_REQUIRE(is_numeric_address(text) && !is_loopback(text));
  if (const auto place = parse_host_port(text)) {
    FUZZ_REQUIRE(place->port != 0 && !place->address.empty() && place->address.size() <= 253);
    const auto again = parse_host_port(place->text());
    FUZZ_REQUIRE(again == place);
  }
}
