// Keys and certificates of a closed cluster, as PEM text. EC P-256 with SHA-256: small, quick to sign, and
// spoken by every TLS.
//
//     authority   CN = the cluster's name, O = shoal cluster; signs nodes and lists of revoked ones, nothing
//     else node        CN = its node id (32 hex digits), OU = its name for people; DNS name "*" listener CN =
//     shoal-join; lives a day; only of the port where machines join
//
// The DNS name "*" is libtorrent's: it admits a certificate to a torrent whose name it carries, and "*" is
// all torrents of this authority.
//
// Threads: any. Errors: invalid (text that is none of it), unauthorized (does not belong together), io
// (OpenSSL).
#pragma once

#include "node/core/admission.h"
#include "node/core/ids.h"
#include "node/core/result.h"
#include "node/core/time.h"

#include <chrono>
#include <string>

namespace shoal {

// There is no renewal but joining again, and a machine is put out by revoking: long enough not to end in
// somebody's night. Clocks of a site may be a day off.
inline constexpr std::chrono::hours kAuthorityLife{24 * 365 * 30};
inline constexpr std::chrono::hours kNodeLife{24 * 365 * 10};
inline constexpr std::chrono::hours kListenerLife{24};
inline constexpr std::chrono::hours kClockSlack{24};
inline constexpr const char* kListenerName = "shoal-join";

struct Keyed {
  std::string key_pem;  // secret: never logged, never sent
  std::string cert_pem;
};

[[nodiscard]] Result<std::string> make_key();
[[nodiscard]] Result<Keyed> make_authority(const std::string& cluster, WallTime now);
// A PKCS#10 request: the public key, and the proof that its owner has the private one.
[[nodiscard]] Result<std::string> make_request(const std::string& key_pem, NodeId node);
// `name`: for people, cut to 64 bytes. What the request says of names is not used.
[[nodiscard]] Result<std::string> issue_node(const Keyed& authority, const std::string& request_pem,
                                             NodeId node, const std::string& name, WallTime now);
[[nodiscard]] Result<Keyed> issue_listener(const Keyed& authority, WallTime now);

struct CertificateInfo {
  NodeId node;       // zero: it is no node's
  std::string name;  // of a node, for people
  CertSerial serial;
  WallTime not_after;
};
[[nodiscard]] Result<CertificateInfo> describe_certificate(const std::string& cert_pem);
[[nodiscard]] Result<Hash256> fingerprint(const std::string& cert_pem);
// The name that the authority gives its cluster.
[[nodiscard]] Result<std::string> cluster_of(const std::string& authority_pem);
// Whether the certificate is a node's, signed by the authority, good now, and the key is its own.
[[nodiscard]] Result<CertificateInfo> check_node(const std::string& authority_pem, const Keyed& node);

}  // namespace shoal
