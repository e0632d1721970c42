#include "node/trust/openssl_types.h"

#include "node/core/admission.h"

#include <array>

#include <openssl/err.h>
#include <openssl/pem.h>

namespace shoal::trust {
namespace {

int no_passphrase(char*, int, int, void*) {
  return -1;
}

}  // namespace

Unexpected<Error> fail_openssl(Code code, const std::string& what) {
  const unsigned long error = ERR_get_error();
  ERR_clear_error();
  std::array<char, 256> text{};
  if (error != 0) ERR_error_string_n(error, text.data(), text.size());
  return fail(code, what + (error == 0 ? "" : std::string(": ") + text.data()));
}

BioPtr read_bio(std::span<const char> bytes) {
  return BioPtr(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())));
}

BioPtr write_bio() {
  return BioPtr(BIO_new(BIO_s_mem()));
}

std::string text_of(BIO& bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(&bio, &data);
  return size <= 0 ? std::string() : std::string(data, static_cast<std::size_t>(size));
}

CertPtr cert_from_pem(const std::string& pem) {
  const auto bio = read_bio(pem);
  CertPtr cert(PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr));
  ERR_clear_error();
  return cert;
}

KeyPtr key_from_pem(const std::string& pem) {
  const auto bio = read_bio(pem);
  KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
  ERR_clear_error();
  return key;
}

RequestPtr request_from_pem(const std::string& pem) {
  const auto bio = read_bio(pem);
  RequestPtr request(PEM_read_bio_X509_REQ(bio.get(), nullptr, no_passphrase, nullptr));
  ERR_clear_error();
  return request;
}

std::string name_entry(const X509_NAME* name, int nid) {
  std::array<char, 256> text{};
  const int size = X509_NAME_get_text_by_NID(name, nid, text.data(), static_cast<int>(text.size()));
  return size <= 0 ? std::string() : std::string(text.data(), static_cast<std::size_t>(size));
}

std::string serial_of(const ASN1_INTEGER& serial) {
  const NumberPtr number(ASN1_INTEGER_to_BN(&serial, nullptr));
  if (number == nullptr) return {};
  char* hex = BN_bn2hex(number.get());
  const std::string out = hex == nullptr ? std::string() : cert_serial(hex);
  OPENSSL_free(hex);
  return out;
}

Hash256 fingerprint_of(const X509& cert) {
  Hash256 out;
  unsigned size = 0;
  X509_digest(&cert, EVP_sha256(), out.bytes.data(), &size);
  return out;
}

Result<void> check_signed(X509& authority, X509& cert, int purpose) {
  const StorePtr store(X509_STORE_new());
  const StoreContextPtr context(X509_STORE_CTX_new());
  if (store == nullptr || context == nullptr || X509_STORE_add_cert(store.get(), &authority) != 1 ||
      X509_STORE_CTX_init(context.get(), store.get(), &cert, nullptr) != 1) {
    return fail_openssl(Code::io, "cannot check a certificate");
  }
  X509_STORE_CTX_set_purpose(context.get(), purpose);
  if (X509_verify_cert(context.get()) == 1) return {};
  const std::string why = X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get()));
  ERR_clear_error();
  return fail(Code::unauthorized, "the certificate is not good: " + why);
}

}  // namespace shoal::trust
