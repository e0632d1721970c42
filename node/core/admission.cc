#include "node/core/admission.h"

#include <algorithm>

namespace shoal {

bool is_cert_serial(std::string_view text) {
  return !text.empty() && text.size() <= kSerialDigitsMax && text.front() != '0' &&
         std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

CertSerial cert_serial(std::string_view hex) {
  hex.remove_prefix(std::min(hex.find_first_not_of('0'), hex.size()));
  CertSerial out(hex);
  for (char& c : out) c = c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
  return is_cert_serial(out) ? out : CertSerial();
}

bool RevocationList::replaces(const RevocationList& older) const {
  return number > older.number && std::ranges::includes(serials, older.serials);
}

std::string_view to_string(Admission admission) {
  switch (admission) {
    case Admission::admitted:
      return "it is let in";
    case Admission::no_certificate:
      return "it has no certificate of this cluster";
    case Admission::revoked:
      return "its certificate was revoked";
    case Admission::other_node:
      return "it says it is another node than its certificate says";
  }
  return "it is not let in";
}

Admission admit(const std::optional<Credential>& shown, NodeId claimed, const RevocationList& revoked) {
  if (!shown) return Admission::no_certificate;
  if (revoked.contains(shown->serial)) return Admission::revoked;
  if (claimed != NodeId{} && claimed != shown->node) return Admission::other_node;
  return Admission::admitted;
}

}  // namespace shoal
