#include "node/trust/join_client.h"

#include "node/trust/certificates.h"
#include "node/trust/openssl_types.h"

#include <functional>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/write.hpp>

namespace shoal {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using Tcp = asio::ip::tcp;

// Whether the other side showed a certificate for the join port, signed by that authority.
Result<void> check_shown(SSL* tls, const Hash256& authority) {
  // On the client's side the chain begins with the other side's own certificate.
  STACK_OF(X509)* chain = SSL_get_peer_cert_chain(tls);
  X509* root = nullptr;
  for (int i = 0; i < sk_X509_num(chain); ++i) {
    X509* cert = sk_X509_value(chain, i);
    if (trust::fingerprint_of(*cert) == authority) root = cert;
  }
  if (root == nullptr) {
    return fail(Code::unauthorized,
                "that machine is not the authority that gave out this token; nothing was told to it");
  }
  X509* shown = sk_X509_value(chain, 0);
  if (auto good = trust::check_signed(*root, *shown, X509_PURPOSE_SSL_SERVER); !good) return good;
  if (trust::name_entry(X509_get_subject_name(shown), NID_commonName) != kListenerName)
    return fail(Code::unauthorized, "that machine is a node of the cluster, but not its authority");
  return {};
}

class Client {
 public:
  Client(const Hash256& authority, std::string request)
      : authority_(authority), request_(std::move(request)) {}

  Result<std::string> run(const std::string& host, std::uint16_t port, std::chrono::seconds patience) {
    resolver_.async_resolve(host, std::to_string(port), [this](error_code ec, const auto& found) {
      if (ec) return end(ec, "the name cannot be found");
      asio::async_connect(stream_.lowest_layer(), found, [this](error_code failed, const Tcp::endpoint&) {
        if (failed) return end(failed, "cannot connect");
        shake_hands();
      });
    });
    context_.run_for(patience);
    if (!done_) {
      // The operations' handlers refer to this object: they end before it does.
      error_code ignored;
      resolver_.cancel();
      stream_.lowest_layer().close(ignored);
      context_.restart();
      context_.run_for(std::chrono::seconds(1));
      return fail(Code::timeout, "no answer within " + std::to_string(patience.count()) + " s");
    }
    if (failed_) return fail(*failed_);
    return std::move(answer_);
  }

 private:
  void shake_hands() {
    stream_.async_handshake(asio::ssl::stream_base::client, [this](error_code ec) {
      if (ec) return end(ec, "it does not speak TLS as the port for joining does");
      if (auto good = check_shown(stream_.native_handle(), authority_); !good) return end(good.error());
      asio::async_write(stream_, asio::buffer(request_), [this](error_code failed, std::size_t) {
        if (failed) return end(failed, "it hung up");
        read();
      });
    });
  }
  void read() {
    asio::async_read_until(stream_, asio::dynamic_buffer(answer_, kJoinAnswerMax), "\n\n",
                           [this](error_code ec, std::size_t) {
                             if (ec) return end(ec, "it hung up before it answered");
                             done_ = true;
                             error_code ignored;
                             stream_.lowest_layer().close(ignored);
                           });
  }
  void end(const error_code& ec, const char* what) {
    end(Error{Code::unavailable, std::string(what) + " (" + ec.message() + ")", 0});
  }
  void end(Error error) {
    done_ = true;
    failed_ = std::move(error);
    error_code ignored;
    stream_.lowest_layer().close(ignored);
  }

  const Hash256 authority_;
  const std::string request_;
  std::string answer_;
  std::optional<Error> failed_;
  bool done_ = false;
  asio::io_context context_{1};
  // No verification by Asio: the authority is known by its fingerprint only, and check_shown() does it.
  asio::ssl::context tls_{asio::ssl::context::tls_client};
  Tcp::resolver resolver_{context_};
  asio::ssl::stream<Tcp::socket> stream_{context_, tls_};
};

}  // namespace

Result<JoinAnswer> ask_to_join(const std::string& host, std::uint16_t port, const Hash256& authority,
                               const JoinRequest& request, std::chrono::seconds patience) {
  Client client(authority, format_join_request(request));
  const auto answer = client.run(host, port, patience);
  if (!answer) {
    return fail(answer.error().code, host + ":" + std::to_string(port) + ": " + answer.error().message);
  }
  return parse_join_answer(*answer);
}

}  // namespace shoal
