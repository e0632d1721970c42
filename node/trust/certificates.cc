#include "node/trust/certificates.h"

#include "node/trust/openssl_types.h"

#include <array>
#include <ctime>
#include <utility>

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>

namespace shoal {
namespace {

using namespace trust;

// X.520 gives a common name and an organisational unit 64 characters.
constexpr std::size_t kNameBytesMax = 64;

struct Subject {
  int first = NID_commonName;
  std::string first_text;
  int second = NID_organizationalUnitName;
  std::string second_text;  // empty: left out
  // "*" as the last common name: what libtorrent takes for a certificate that may join any torrent. It would
  // take an alternative name as well, but forgets to free those: 106 bytes for each connection (2.0.8,
  // torrent::verify_peer_cert).
  bool any_torrent = false;
};

Result<KeyPtr> new_key() {
  KeyPtr key(EVP_EC_gen("P-256"));
  if (key == nullptr) return fail_openssl(Code::io, "cannot make a key");
  return key;
}

Result<std::string> key_text(EVP_PKEY& key) {
  const auto bio = write_bio();
  if (PEM_write_bio_PKCS8PrivateKey(bio.get(), &key, nullptr, nullptr, 0, nullptr, nullptr) != 1)
    return fail_openssl(Code::io, "cannot write a key");
  return text_of(*bio);
}

Result<std::string> cert_text(X509& cert) {
  const auto bio = write_bio();
  if (PEM_write_bio_X509(bio.get(), &cert) != 1) return fail_openssl(Code::io, "cannot write a certificate");
  return text_of(*bio);
}

bool add_entry(X509_NAME* name, int nid, const std::string& text) {
  if (text.empty()) return true;
  const auto cut = text.substr(0, kNameBytesMax);
  return X509_NAME_add_entry_by_NID(name, nid, MBSTRING_UTF8,
                                    reinterpret_cast<const unsigned char*>(cut.data()),
                                    static_cast<int>(cut.size()), -1, 0) == 1;
}

bool set_subject(X509& cert, const Subject& subject) {
  X509_NAME* name = X509_get_subject_name(&cert);
  if (!add_entry(name, subject.first, subject.first_text)) return false;
  // What is for people may be no UTF-8, and can be done without.
  if (!add_entry(name, subject.second, subject.second_text)) ERR_clear_error();
  return !subject.any_torrent || add_entry(name, NID_commonName, "*");
}

bool set_serial(X509& cert) {
  // 127 bits: unguessable, and positive.
  const NumberPtr number(BN_new());
  return number != nullptr && BN_rand(number.get(), 127, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
         BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(&cert)) != nullptr;
}

bool set_life(X509& cert, WallTime now, std::chrono::seconds life) {
  const auto at = static_cast<std::time_t>(now.ms / 1000);
  const auto slack = static_cast<std::time_t>(std::chrono::seconds(kClockSlack).count());
  return ASN1_TIME_set(X509_getm_notBefore(&cert), at - slack) != nullptr &&
         ASN1_TIME_set(X509_getm_notAfter(&cert), at + static_cast<std::time_t>(life.count())) != nullptr;
}

bool add_extension(X509& cert, X509& issuer, int nid, const char* value) {
  X509V3_CTX context{};
  X509V3_set_ctx(&context, &issuer, &cert, nullptr, nullptr, 0);
  const ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value));
  return extension != nullptr && X509_add_ext(&cert, extension.get(), -1) == 1;
}

// Everything of a certificate but its extensions and signature. `issuer`: nullptr for one that signs itself.
Result<CertPtr> begin_cert(EVP_PKEY& key, const Subject& subject, X509* issuer, WallTime now,
                           std::chrono::seconds life) {
  CertPtr cert(X509_new());
  if (cert == nullptr || X509_set_version(cert.get(), X509_VERSION_3) != 1 || !set_serial(*cert) ||
      !set_life(*cert, now, life) || !set_subject(*cert, subject) ||
      X509_set_issuer_name(cert.get(), X509_get_subject_name(issuer == nullptr ? cert.get() : issuer)) != 1 ||
      X509_set_pubkey(cert.get(), &key) != 1) {
    return fail_openssl(Code::io, "cannot make a certificate");
  }
  return cert;
}

struct Issuer {
  CertPtr cert;
  KeyPtr key;
};

Result<Issuer> open_authority(const Keyed& pem) {
  Issuer out{cert_from_pem(pem.cert_pem), key_from_pem(pem.key_pem)};
  if (out.cert == nullptr || out.key == nullptr || X509_check_private_key(out.cert.get(), out.key.get()) != 1)
    return fail_openssl(Code::invalid, "the authority's certificate and key do not belong together");
  return out;
}

Result<std::string> issue(const Issuer& authority, EVP_PKEY& key, const Subject& subject, WallTime now,
                          std::chrono::seconds life, const char* usage) {
  auto cert = begin_cert(key, subject, authority.cert.get(), now, life);
  if (!cert) return fail(cert.error());
  X509& made = **cert;
  X509& issuer = *authority.cert;
  if (!add_extension(made, issuer, NID_basic_constraints, "critical,CA:FALSE") ||
      !add_extension(made, issuer, NID_key_usage, "critical,digitalSignature") ||
      !add_extension(made, issuer, NID_ext_key_usage, usage) ||
      !add_extension(made, issuer, NID_subject_key_identifier, "hash") ||
      !add_extension(made, issuer, NID_authority_key_identifier, "keyid") ||
      X509_sign(&made, authority.key.get(), EVP_sha256()) <= 0) {
    return fail_openssl(Code::io, "cannot sign a certificate");
  }
  return cert_text(made);
}

std::int64_t seconds_of(const ASN1_TIME& time) {
  std::tm parts{};
  return ASN1_TIME_to_tm(&time, &parts) == 1 ? static_cast<std::int64_t>(timegm(&parts)) : 0;
}

CertificateInfo describe(const X509& cert) {
  CertificateInfo out;
  const X509_NAME* subject = X509_get_subject_name(&cert);
  out.node = NodeId::parse(name_entry(subject, NID_commonName)).value_or(NodeId{});
  out.name = name_entry(subject, NID_organizationalUnitName);
  out.serial = serial_of(*X509_get0_serialNumber(&cert));
  out.not_after = {seconds_of(*X509_get0_notAfter(&cert)) * 1000};
  return out;
}

}  // namespace

Result<std::string> make_key() {
  const auto key = new_key();
  if (!key) return fail(key.error());
  return key_text(**key);
}

Result<Keyed> make_authority(const std::string& cluster, WallTime now) {
  const auto key = new_key();
  if (!key) return fail(key.error());
  const Subject subject{NID_commonName, cluster, NID_organizationName, "shoal cluster"};
  auto cert = begin_cert(**key, subject, nullptr, now, kAuthorityLife);
  if (!cert) return fail(cert.error());
  X509& made = **cert;
  if (!add_extension(made, made, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
      !add_extension(made, made, NID_key_usage, "critical,keyCertSign,cRLSign") ||
      !add_extension(made, made, NID_subject_key_identifier, "hash") ||
      X509_sign(&made, key->get(), EVP_sha256()) <= 0) {
    return fail_openssl(Code::io, "cannot make the authority's certificate");
  }
  auto key_pem = key_text(**key);
  if (!key_pem) return fail(key_pem.error());
  auto cert_pem = cert_text(made);
  if (!cert_pem) return fail(cert_pem.error());
  return Keyed{std::move(*key_pem), std::move(*cert_pem)};
}

Result<std::string> make_request(const std::string& key_pem, NodeId node) {
  const auto key = key_from_pem(key_pem);
  const RequestPtr request(X509_REQ_new());
  if (key == nullptr) return fail(Code::invalid, "this is no private key");
  if (request == nullptr ||
      !add_entry(X509_REQ_get_subject_name(request.get()), NID_commonName, node.hex()) ||
      X509_REQ_set_pubkey(request.get(), key.get()) != 1 ||
      X509_REQ_sign(request.get(), key.get(), EVP_sha256()) <= 0) {
    return fail_openssl(Code::io, "cannot make a request for a certificate");
  }
  const auto bio = write_bio();
  if (PEM_write_bio_X509_REQ(bio.get(), request.get()) != 1)
    return fail_openssl(Code::io, "cannot write a request for a certificate");
  return text_of(*bio);
}

Result<std::string> issue_node(const Keyed& authority, const std::string& request_pem, NodeId node,
                               const std::string& name, WallTime now) {
  const auto opened = open_authority(authority);
  if (!opened) return fail(opened.error());
  const auto request = request_from_pem(request_pem);
  EVP_PKEY* key = request == nullptr ? nullptr : X509_REQ_get0_pubkey(request.get());
  if (key == nullptr || X509_REQ_verify(request.get(), key) != 1)
    return fail_openssl(Code::invalid, "the request for a certificate is not signed by its own key");
  // One kind of key, so that nobody brings a weak or a costly one.
  std::array<char, 32> group{};
  std::size_t size = 0;
  if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC ||
      EVP_PKEY_get_group_name(key, group.data(), group.size(), &size) != 1 ||
      std::string_view(group.data(), size) != SN_X9_62_prime256v1) {
    return fail(Code::invalid, "the key is no EC P-256 key");
  }
  return issue(*opened, *key, {NID_commonName, node.hex(), NID_organizationalUnitName, name, true}, now,
               kNodeLife, "serverAuth,clientAuth");
}

Result<Keyed> issue_listener(const Keyed& authority, WallTime now) {
  const auto opened = open_authority(authority);
  if (!opened) return fail(opened.error());
  const auto key = new_key();
  if (!key) return fail(key.error());
  // No "*": this certificate opens no torrent.
  auto cert = issue(*opened, **key, {NID_commonName, kListenerName, NID_organizationalUnitName, ""}, now,
                    kListenerLife, "serverAuth");
  if (!cert) return fail(cert.error());
  auto pem = key_text(**key);
  if (!pem) return fail(pem.error());
  return Keyed{std::move(*pem), std::move(*cert)};
}

Result<CertificateInfo> describe_certificate(const std::string& cert_pem) {
  const auto cert = cert_from_pem(cert_pem);
  if (cert == nullptr) return fail(Code::invalid, "this is no certificate");
  return describe(*cert);
}

Result<Hash256> fingerprint(const std::string& cert_pem) {
  const auto cert = cert_from_pem(cert_pem);
  if (cert == nullptr) return fail(Code::invalid, "this is no certificate");
  return fingerprint_of(*cert);
}

Result<std::string> cluster_of(const std::string& authority_pem) {
  const auto cert = cert_from_pem(authority_pem);
  if (cert == nullptr) return fail(Code::invalid, "this is no certificate");
  return name_entry(X509_get_subject_name(cert.get()), NID_commonName);
}

Result<CertificateInfo> check_node(const std::string& authority_pem, const Keyed& node) {
  const auto authority = cert_from_pem(authority_pem);
  const auto cert = cert_from_pem(node.cert_pem);
  const auto key = key_from_pem(node.key_pem);
  if (authority == nullptr || cert == nullptr) return fail(Code::invalid, "this is no certificate");
  if (key == nullptr || X509_check_private_key(cert.get(), key.get()) != 1)
    return fail_openssl(Code::unauthorized, "the certificate is of another key");
  for (const int purpose : {X509_PURPOSE_SSL_SERVER, X509_PURPOSE_SSL_CLIENT}) {
    if (auto good = check_signed(*authority, *cert, purpose); !good) return fail(good.error());
  }
  auto info = describe(*cert);
  if (info.node == NodeId{}) return fail(Code::unauthorized, "the certificate names no node");
  return info;
}

}  // namespace shoal
