#include "tests/unit/transport/origin/tls_server.h"

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <stdexcept>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <unistd.h>

namespace shoal::testing_hub {

struct TlsServer::Keys {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = X509_new();
  SSL_CTX* context = SSL_CTX_new(TLS_server_method());

  Keys() {
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_NAME* name = X509_get_subject_name(certificate);
    const auto* common_name = reinterpret_cast<const unsigned char*>("scripted hub");
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, common_name, -1, -1, 0);
    X509_set_issuer_name(certificate, name);
    X509_EXTENSION* san = X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "IP:127.0.0.1");
    X509_add_ext(certificate, san, -1);
    X509_EXTENSION_free(san);
    X509_sign(certificate, key, EVP_sha256());
    SSL_CTX_use_certificate(context, certificate);
    SSL_CTX_use_PrivateKey(context, key);
  }
  ~Keys() {
    SSL_CTX_free(context);
    X509_free(certificate);
    EVP_PKEY_free(key);
  }
  Keys(const Keys&) = delete;
  Keys& operator=(const Keys&) = delete;
};

TlsServer::TlsServer(std::string answer) : answer_(std::move(answer)), keys_(std::make_unique<Keys>()) {
  std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes without MSG_NOSIGNAL
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* raw = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener_, raw, length) != 0 || ::listen(listener_, 16) != 0 ||
      ::getsockname(listener_, raw, &length) != 0) {
    throw std::runtime_error("no loopback port for the TLS server");
  }
  port_ = ntohs(address.sin_port);
  certificate_path_ = std::filesystem::temp_directory_path() /
                      ("shoal-tls-" + std::to_string(::getpid()) + "-" + std::to_string(port_) + ".pem");
  std::FILE* file = std::fopen(certificate_path_.c_str(), "we");
  PEM_write_X509(file, keys_->certificate);
  std::fclose(file);
  thread_ = std::thread([this] { serve(); });
}

TlsServer::~TlsServer() {
  stopping_ = true;
  ::shutdown(listener_, SHUT_RDWR);
  thread_.join();
  ::close(listener_);
  std::filesystem::remove(certificate_path_);
}

void TlsServer::serve() {
  while (!stopping_) {
    const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (socket < 0) return;
    // A client that stays silent does not hold the test up.
    const timeval patience{2, 0};
    ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    SSL* ssl = SSL_new(keys_->context);
    SSL_set_fd(ssl, socket);
    if (SSL_accept(ssl) == 1) {
      char request[4096];
      if (SSL_read(ssl, request, sizeof request) > 0) {
        ++requests_;
        SSL_write(ssl, answer_.data(), static_cast<int>(answer_.size()));
        SSL_shutdown(ssl);
      }
    }
    SSL_free(ssl);
    ::close(socket);
  }
}

}  // namespace shoal::testing_hub
