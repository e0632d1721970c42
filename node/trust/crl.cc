#include "node/trust/crl.h"

#include "node/core/messages.h"
#include "node/trust/openssl_types.h"

#include <cstring>
#include <ctime>

namespace shoal {
namespace {

using namespace trust;

bool set_time(X509_CRL& crl, WallTime now) {
  const TimePtr time(ASN1_TIME_set(nullptr, static_cast<std::time_t>(now.ms / 1000)));
  // The field of the next update is left out: a list is good until a newer one comes.
  return time != nullptr && X509_CRL_set1_lastUpdate(&crl, time.get()) == 1;
}

bool set_number(X509_CRL& crl, std::uint64_t number) {
  const IntegerPtr value(ASN1_INTEGER_new());
  return value != nullptr && ASN1_INTEGER_set_uint64(value.get(), number) == 1 &&
         X509_CRL_add1_ext_i2d(&crl, NID_crl_number, value.get(), 0, 0) == 1;
}

bool add_serial(X509_CRL& crl, const CertSerial& serial, WallTime now) {
  BIGNUM* parsed = nullptr;
  BN_hex2bn(&parsed, serial.c_str());
  const NumberPtr number(parsed);
  RevokedPtr entry(X509_REVOKED_new());
  const IntegerPtr integer(number == nullptr ? nullptr : BN_to_ASN1_INTEGER(number.get(), nullptr));
  const TimePtr time(ASN1_TIME_set(nullptr, static_cast<std::time_t>(now.ms / 1000)));
  if (entry == nullptr || integer == nullptr || time == nullptr ||
      X509_REVOKED_set_serialNumber(entry.get(), integer.get()) != 1 ||
      X509_REVOKED_set_revocationDate(entry.get(), time.get()) != 1 ||
      X509_CRL_add0_revoked(&crl, entry.get()) != 1) {
    return false;
  }
  (void)entry.release();  // the list owns it now
  return true;
}

}  // namespace

Result<std::vector<std::byte>> make_crl(const Keyed& authority, const RevocationList& list, WallTime now) {
  const auto cert = cert_from_pem(authority.cert_pem);
  const auto key = key_from_pem(authority.key_pem);
  const CrlPtr crl(X509_CRL_new());
  if (cert == nullptr || key == nullptr || crl == nullptr)
    return fail_openssl(Code::invalid, "the authority's certificate or key cannot be read");
  bool ok = X509_CRL_set_version(crl.get(), X509_CRL_VERSION_2) == 1 &&
            X509_CRL_set_issuer_name(crl.get(), X509_get_subject_name(cert.get())) == 1 &&
            set_time(*crl, now) && set_number(*crl, list.number);
  for (const CertSerial& serial : list.serials) ok = ok && add_serial(*crl, serial, now);
  unsigned char* der = nullptr;
  int size = -1;
  if (ok && X509_CRL_sort(crl.get()) == 1 && X509_CRL_sign(crl.get(), key.get(), EVP_sha256()) > 0)
    size = i2d_X509_CRL(crl.get(), &der);
  if (size <= 0) return fail_openssl(Code::io, "cannot make the list of revoked certificates");
  std::vector<std::byte> out(static_cast<std::size_t>(size));
  std::memcpy(out.data(), der, out.size());
  OPENSSL_free(der);
  if (out.size() > limits::kRevocationBytes)
    return fail(Code::invalid, "more machines were put out than a list holds: begin a new cluster");
  return out;
}

Result<RevocationList> read_crl(const std::string& authority_pem, std::span<const std::byte> der) {
  if (der.size() > limits::kRevocationBytes)
    return fail(Code::invalid, "the list of revoked certificates is longer than any accepted");
  const auto cert = cert_from_pem(authority_pem);
  if (cert == nullptr) return fail(Code::invalid, "this is no certificate");
  const auto* bytes = reinterpret_cast<const unsigned char*>(der.data());
  const auto* end = bytes + der.size();
  const CrlPtr crl(d2i_X509_CRL(nullptr, &bytes, static_cast<long>(der.size())));
  if (crl == nullptr || bytes != end)
    return fail_openssl(Code::invalid, "this is no list of revoked certificates");
  if (X509_NAME_cmp(X509_CRL_get_issuer(crl.get()), X509_get_subject_name(cert.get())) != 0 ||
      X509_CRL_verify(crl.get(), X509_get0_pubkey(cert.get())) != 1) {
    return fail_openssl(Code::unauthorized,
                        "the list of revoked certificates is not of this cluster's authority");
  }
  RevocationList out;
  const IntegerPtr number(
      static_cast<ASN1_INTEGER*>(X509_CRL_get_ext_d2i(crl.get(), NID_crl_number, nullptr, nullptr)));
  if (number == nullptr || ASN1_INTEGER_get_uint64(&out.number, number.get()) != 1)
    return fail_openssl(Code::invalid, "the list of revoked certificates has no number");
  const auto* entries = X509_CRL_get_REVOKED(crl.get());
  for (int i = 0; i < sk_X509_REVOKED_num(entries); ++i) {
    const auto serial = serial_of(*X509_REVOKED_get0_serialNumber(sk_X509_REVOKED_value(entries, i)));
    if (!is_cert_serial(serial))
      return fail(Code::invalid, "the list of revoked certificates names an odd serial");
    out.serials.insert(serial);
  }
  return out;
}

}  // namespace shoal
