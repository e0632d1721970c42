#include "node/trust/trust_folder.h"

#include "node/trust/crl.h"
#include "node/trust/private_file.h"

#include <algorithm>
#include <system_error>
#include <utility>

namespace shoal {
namespace {

constexpr unsigned kSecret = 0600;
constexpr unsigned kPublic = 0644;
// A file that somebody put there is no reason to read for ever; a site has 200 machines, and some joined
// again.
constexpr std::size_t kIssuedMax = 20000;

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

Result<void> TrustFolder::make() const {
  std::error_code ec;
  std::filesystem::create_directories(path_ / "issued", ec);
  if (!ec) std::filesystem::permissions(path_, std::filesystem::perms::owner_all, ec);
  if (ec) return fail(Code::io, "cannot make " + path_.string() + ": " + ec.message(), ec.value());
  return {};
}

Result<std::optional<Membership>> TrustFolder::load() const {
  Membership out;
  auto cert = read_whole_file(path_ / "node.pem");
  if (!cert) {
    if (cert.error().code == Code::not_found) return std::optional<Membership>();
    return fail(cert.error());
  }
  auto authority = read_whole_file(path_ / "ca.pem");
  if (!authority) return fail(authority.error());
  auto key = read_secret_file(path_ / "node.key");
  if (!key) return fail(key.error());
  out.authority_pem = std::move(*authority);
  out.node = {std::move(*key), std::move(*cert)};
  auto info = check_node(out.authority_pem, out.node);
  if (!info) {
    return fail(info.error().code, info.error().message + " (" + path_.string() +
                                       "); join the cluster again, or remove the folder to leave it");
  }
  out.info = std::move(*info);
  out.authority = fingerprint(out.authority_pem).value_or(Hash256{});
  out.cluster = cluster_of(out.authority_pem).value_or("");

  const auto list = read_whole_file(path_ / "revoked.crl");
  if (!list) {
    if (list.error().code != Code::not_found) return fail(list.error());
    return std::optional(std::move(out));
  }
  const auto bytes = std::as_bytes(std::span(*list));
  auto revoked = read_crl(out.authority_pem, bytes);
  // Without its list a node would let in whom it should not.
  if (!revoked)
    return fail(revoked.error().code, (path_ / "revoked.crl").string() + ": " + revoked.error().message);
  out.revoked = std::move(*revoked);
  out.revoked_der.assign(bytes.begin(), bytes.end());
  return std::optional(std::move(out));
}

Result<void> TrustFolder::join(const std::string& authority_pem, const Keyed& node,
                               std::span<const std::byte> revoked_der) const {
  if (std::error_code ec; std::filesystem::exists(path_ / "node.pem", ec))
    return fail(Code::changed, "this node is in a closed cluster already");
  if (auto made = make(); !made) return made;
  if (auto done = write_whole_file(path_ / "ca.pem", authority_pem, kPublic); !done) return done;
  if (auto done = write_whole_file(path_ / "node.key", node.key_pem, kSecret); !done) return done;
  if (!revoked_der.empty()) {
    if (auto done = save_revoked(revoked_der); !done) return done;
  }
  return write_whole_file(path_ / "node.pem", node.cert_pem, kPublic);
}

Result<void> TrustFolder::save_revoked(std::span<const std::byte> der) const {
  return write_whole_file(path_ / "revoked.crl", text_of(der), kPublic);
}

Result<Keyed> TrustFolder::load_authority() const {
  auto key = read_secret_file(path_ / "ca.key");
  if (!key) return fail(key.error());
  auto cert = read_whole_file(path_ / "ca.pem");
  if (!cert) return fail(cert.error());
  return Keyed{std::move(*key), std::move(*cert)};
}

Result<void> TrustFolder::save_authority(const Keyed& authority) const {
  if (auto made = make(); !made) return made;
  if (auto done = write_whole_file(path_ / "ca.key", authority.key_pem, kSecret); !done) return done;
  return write_whole_file(path_ / "ca.pem", authority.cert_pem, kPublic);
}

Result<void> TrustFolder::save_issued(const CertSerial& serial, const std::string& cert_pem) const {
  if (!is_cert_serial(serial)) return fail(Code::invalid, "an odd serial number");
  return write_whole_file(path_ / "issued" / (serial + ".pem"), cert_pem, kPublic);
}

Result<std::vector<CertificateInfo>> TrustFolder::issued() const {
  std::vector<CertificateInfo> out;
  std::error_code ec;
  for (const auto& entry : std::filesystem::directory_iterator(path_ / "issued", ec)) {
    if (entry.path().extension() != ".pem" || out.size() >= kIssuedMax) continue;
    const auto pem = read_whole_file(entry.path());
    if (!pem) return fail(pem.error());
    auto info = describe_certificate(*pem);
    // A half-written copy would only be one that cannot be revoked by name; writes are whole, so it is
    // damage.
    if (!info) return fail(Code::invalid, entry.path().string() + ": " + info.error().message);
    out.push_back(std::move(*info));
  }
  if (ec)
    return fail(Code::io, "cannot list " + (path_ / "issued").string() + ": " + ec.message(), ec.value());
  std::ranges::sort(out, {}, &CertificateInfo::serial);
  return out;
}

}  // namespace shoal
