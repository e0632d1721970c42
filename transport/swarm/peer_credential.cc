#include "transport/swarm/peer_credential.h"

#include <array>
#include <memory>
#include <string_view>

#include <openssl/bn.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

namespace shoal {
namespace {

using Tls = lt::ssl_stream<lt::tcp::socket>;

template <auto kFree>
struct Freed {
  template <typename T>
  void operator()(T* object) const {
    kFree(object);
  }
};

void free_text(char* text) {
  OPENSSL_free(text);
}

CertSerial serial_of(const X509& cert) {
  const std::unique_ptr<BIGNUM, Freed<BN_free>> number(
      ASN1_INTEGER_to_BN(X509_get0_serialNumber(&cert), nullptr));
  if (number == nullptr) return {};
  const std::unique_ptr<char, Freed<free_text>> hex(BN_bn2hex(number.get()));
  return hex == nullptr ? CertSerial() : cert_serial(hex.get());
}

}  // namespace

std::optional<Credential> credential_of(const lt::peer_connection_handle& connection) {
  const auto native = connection.native_handle();
  if (native == nullptr) return std::nullopt;
  auto* stream = boost::get<Tls>(&native->get_socket());
  if (stream == nullptr) return std::nullopt;
  const std::unique_ptr<X509, Freed<X509_free>> cert(SSL_get1_peer_certificate(stream->handle()));
  if (cert == nullptr) return std::nullopt;
  std::array<char, 64> name{};
  const int size = X509_NAME_get_text_by_NID(X509_get_subject_name(cert.get()), NID_commonName, name.data(),
                                             static_cast<int>(name.size()));
  if (size <= 0) return std::nullopt;
  const auto node = NodeId::parse(std::string_view(name.data(), static_cast<std::size_t>(size)));
  Credential out{node.value_or(NodeId{}), serial_of(*cert)};
  if (out.node == NodeId{} || out.serial.empty()) return std::nullopt;
  return out;
}

void set_no_delay(const lt::peer_connection_handle& connection) {
  const auto native = connection.native_handle();
  if (native == nullptr) return;
  auto* socket = boost::get<lt::tcp::socket>(&native->get_socket());
  if (auto* tls = boost::get<Tls>(&native->get_socket())) socket = &tls->next_layer();
  lt::error_code ignored;
  if (socket != nullptr && socket->is_open()) socket->set_option(lt::tcp::no_delay(true), ignored);
}

}  // namespace shoal
