// What a node of a closed cluster keeps, in `trust/` of its state directory (mode 0700):
//
//     ca.pem        the authority's certificate
//     node.key      this node's private key (0600); it never leaves the machine
//     node.pem      this node's certificate; written last: it is what makes the node a member
//     revoked.crl   the newest list of revoked certificates, if there ever was one
//     ca.key        the authority's private key (0600), on the one machine that lets others in
//     issued/       there, a copy of each certificate that was given out: <serial>.pem
//
// Threads: any; blocks on the disk.
#pragma once

#include "node/core/admission.h"
#include "node/core/result.h"
#include "node/trust/certificates.h"

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace shoal {

struct Membership {
  std::string authority_pem;
  Keyed node;
  CertificateInfo info;  // of this node
  Hash256 authority;     // fingerprint
  std::string cluster;   // as the authority names it
  RevocationList revoked;
  std::vector<std::byte> revoked_der;  // empty: there is no list yet
};

class TrustFolder {
 public:
  explicit TrustFolder(std::filesystem::path path) : path_(std::move(path)) {}

  // nullopt: the node is in no closed cluster. Errors: invalid or unauthorized (files that do not belong
  // together, or that others may read), io.
  [[nodiscard]] Result<std::optional<Membership>> load() const;
  // Errors: changed (it is a member already), io.
  Result<void> join(const std::string& authority_pem, const Keyed& node,
                    std::span<const std::byte> revoked_der) const;
  Result<void> save_revoked(std::span<const std::byte> der) const;

  // The authority's own key. not_found: this machine is not the one that lets others in.
  [[nodiscard]] Result<Keyed> load_authority() const;
  Result<void> save_authority(const Keyed& authority) const;
  Result<void> save_issued(const CertSerial& serial, const std::string& cert_pem) const;
  // Those that were ever given out, by serial.
  [[nodiscard]] Result<std::vector<CertificateInfo>> issued() const;

 private:
  Result<void> make() const;
  std::filesystem::path path_;
};

}  // namespace shoal
