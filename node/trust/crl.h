// The list of machines that were put out, as an X.509 certificate revocation list (RFC 5280, DER): signed by
// the authority, so that any node may pass it on. `openssl crl -inform DER -text` shows it.
//
// Threads: any.
#pragma once

#include "node/core/admission.h"
#include "node/core/result.h"
#include "node/core/time.h"
#include "node/trust/certificates.h"

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace shoal {

// Errors: invalid (more than a message carries: msg::Revocations), io.
[[nodiscard]] Result<std::vector<std::byte>> make_crl(const Keyed& authority, const RevocationList& list,
                                                      WallTime now);
// Errors: invalid (no list, or too long), unauthorized (not signed by this authority).
[[nodiscard]] Result<RevocationList> read_crl(const std::string& authority_pem,
                                              std::span<const std::byte> der);

}  // namespace shoal
