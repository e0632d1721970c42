// Who may come into a closed cluster, once TLS has found that the certificate is the cluster's. Pure.
//
// A certificate of the cluster's authority proves only that a machine was let in at some time. It still has
// to be the machine that it says it is, and must not have been put out since.
#pragma once

#include "node/core/ids.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace shoal {

// A certificate's serial number: lower-case hex without leading zeros, as `openssl x509 -serial` shows it but
// for the case. At most 40 digits (RFC 5280: 20 bytes).
using CertSerial = std::string;
inline constexpr std::size_t kSerialDigitsMax = 40;
[[nodiscard]] bool is_cert_serial(std::string_view text);
// From any hex, "0A1B" say. Empty if it is none.
[[nodiscard]] CertSerial cert_serial(std::string_view hex);

// What a certificate says of its owner.
struct Credential {
  NodeId node;
  CertSerial serial;
  bool operator==(const Credential&) const = default;
};

// Machines that were put out: the certificates' serials, and a number that grows with each change. Lists of a
// higher number replace those of a lower one, whoever brings them; the authority's signature is checked
// before a list becomes one of these.
struct RevocationList {
  std::uint64_t number = 0;
  std::set<CertSerial> serials;
  [[nodiscard]] bool contains(const CertSerial& serial) const { return serials.contains(serial); }
  // A list that leaves out what was revoked before is refused whatever its number: nobody is let in again by
  // forgetting.
  [[nodiscard]] bool replaces(const RevocationList& older) const;
};

enum class Admission : std::uint8_t { admitted, no_certificate, revoked, other_node };
// "its certificate was revoked".
[[nodiscard]] std::string_view to_string(Admission admission);

// `claimed`: who the other side says it is; zero while it has not said.
[[nodiscard]] Admission admit(const std::optional<Credential>& shown, NodeId claimed,
                              const RevocationList& revoked);

}  // namespace shoal
