// The control messages of neighbours (transport/swarm/gossip_codec.h).
#include "tests/fuzz/fuzz_target.h"
#include "transport/swarm/gossip_codec.h"

using namespace shoal;

SHOAL_FUZZ_TARGET(gossip, 1) {
  const auto message = decode(std::as_bytes(input));
  if (!message) {
    FUZZ_REQUIRE(message.error().code == Code::invalid && !message.error().message.empty());
    return;
  }
  if (!*message) return;  // of a later version
  const auto again = encode(**message);
  // Decoding invents nothing: two fields of a heartbeat may be missing and have a value then.
  FUZZ_REQUIRE(again.size() <= input.size() + 2);
  const auto twice = decode(again);
  FUZZ_REQUIRE(twice.has_value() && twice->has_value() && **twice == **message);
}
