// The list of revoked certificates that neighbours pass on (node/trust/crl.h).
#include "node/core/messages.h"
#include "node/trust/crl.h"
#include "tests/fuzz/fuzz_authority.h"
#include "tests/fuzz/fuzz_target.h"

using namespace shoal;

SHOAL_FUZZ_TARGET(revocations, 40) {
  // Nobody but the authority can make one, whatever is sent.
  FUZZ_REQUIRE(!read_crl(fuzz::authority().cert_pem, std::as_bytes(input)));
  // What the authority makes of any serials is read as it was.
  fuzz::Input fields(input);
  RevocationList list;
  list.number = fields.u64() >> 1U;
  while (!fields.empty() && list.serials.size() < 40) {
    auto serial = cert_serial(to_hex(fields.take(1U + fields.u8() % 20U)));
    if (is_cert_serial(serial)) list.serials.insert(std::move(serial));
  }
  const auto der = make_crl(fuzz::authority(), list, fuzz::now());
  FUZZ_REQUIRE(der.has_value() && der->size() <= limits::kRevocationBytes);
  const auto read = read_crl(fuzz::authority().cert_pem, *der);
  FUZZ_REQUIRE(read.has_value() && read->number == list.number && read->serials == list.serials);
  // One flipped bit, and it is nobody's.
  auto flipped = *der;
  flipped[input.size() % flipped.size()] ^= std::byte{0x10};
  const auto forged = read_crl(fuzz::authority().cert_pem, flipped);
  FUZZ_REQUIRE(!forged || (forged->number == list.number && forged->serials == list.serials));
}
