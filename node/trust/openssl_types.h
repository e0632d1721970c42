// Owners for OpenSSL's objects and its errors as values. Inside node/trust only.
#pragma once

#include "node/core/ids.h"
#include "node/core/result.h"

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

namespace shoal::trust {

template <auto kFree>
struct Freed {
  template <typename T>
  void operator()(T* object) const {
    kFree(object);
  }
};
using KeyPtr = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using KeyContextPtr = std::unique_ptr<EVP_PKEY_CTX, Freed<EVP_PKEY_CTX_free>>;
using CertPtr = std::unique_ptr<X509, Freed<X509_free>>;
using RequestPtr = std::unique_ptr<X509_REQ, Freed<X509_REQ_free>>;
using CrlPtr = std::unique_ptr<X509_CRL, Freed<X509_CRL_free>>;
using RevokedPtr = std::unique_ptr<X509_REVOKED, Freed<X509_REVOKED_free>>;
using BioPtr = std::unique_ptr<BIO, Freed<BIO_free_all>>;
using NumberPtr = std::unique_ptr<BIGNUM, Freed<BN_free>>;
using IntegerPtr = std::unique_ptr<ASN1_INTEGER, Freed<ASN1_INTEGER_free>>;
using TimePtr = std::unique_ptr<ASN1_TIME, Freed<ASN1_TIME_free>>;
using ExtensionPtr = std::unique_ptr<X509_EXTENSION, Freed<X509_EXTENSION_free>>;
using StorePtr = std::unique_ptr<X509_STORE, Freed<X509_STORE_free>>;
using StoreContextPtr = std::unique_ptr<X509_STORE_CTX, Freed<X509_STORE_CTX_free>>;

// `what`, and what OpenSSL has to say about it. Empties its queue of errors.
[[nodiscard]] Unexpected<Error> fail_openssl(Code code, const std::string& what);

[[nodiscard]] BioPtr read_bio(std::span<const char> bytes);
[[nodiscard]] BioPtr write_bio();
[[nodiscard]] std::string text_of(BIO& bio);

// nullptr: it is none. A key with a passphrase is none: nobody is there to type it.
[[nodiscard]] CertPtr cert_from_pem(const std::string& pem);
[[nodiscard]] KeyPtr key_from_pem(const std::string& pem);
[[nodiscard]] RequestPtr request_from_pem(const std::string& pem);

// "cn" of a subject; empty if there is none.
[[nodiscard]] std::string name_entry(const X509_NAME* name, int nid);
[[nodiscard]] std::string serial_of(const ASN1_INTEGER& serial);
[[nodiscard]] Hash256 fingerprint_of(const X509& cert);

// Whether `cert` was signed by `authority` and is good now for a TLS server or client. `purpose`:
// X509_PURPOSE_...
[[nodiscard]] Result<void> check_signed(X509& authority, X509& cert, int purpose);

}  // namespace shoal::trust
