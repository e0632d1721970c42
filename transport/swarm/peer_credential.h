// Who is at the other end of a TLS connection, by its certificate. On libtorrent's network thread.
//
// libtorrent's TLS has already found that the certificate is the authority's and good now; what is read here
// is whose it is.
#pragma once

#include "node/core/admission.h"
#include "transport/swarm/libtorrent_all.h"

#include <optional>

namespace shoal {

// nullopt: the connection is no TLS, or is not through with its handshake, or the certificate is no node's.
[[nodiscard]] std::optional<Credential> credential_of(const lt::peer_connection_handle& connection);

// libtorrent leaves Nagle's algorithm on. Handshakes, requests and our messages are small and answered by
// small ones, so that each exchange waits for a delayed acknowledgement: 40 ms, three times the transfer of a
// 16 MiB segment. libtorrent already collects what it has to say into one write.
void set_no_delay(const lt::peer_connection_handle& connection);

}  // namespace shoal
