#include "node/trust/join_listener.h"

#include "node/trust/join_text.h"

#include <optional>
#include <thread>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <pthread.h>

namespace shoal {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using Tcp = asio::ip::tcp;

// One connection, from the handshake to its end.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(Tcp::socket socket, asio::ssl::context& tls, const JoinListener::Handler& handler,
          std::shared_ptr<int> place)
      : stream_(std::move(socket), tls),
        timer_(stream_.get_executor(), JoinListener::kPatience),
        handler_(handler),
        place_(std::move(place)) {}
  ~Session() { --*place_; }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void run() {
    timer_.async_wait([self = shared_from_this()](error_code ec) {
      if (!ec) self->close();
    });
    stream_.async_handshake(asio::ssl::stream_base::server, [self = shared_from_this()](error_code ec) {
      if (ec) return self->close();
      self->read();
    });
  }

 private:
  void read() {
    asio::async_read_until(stream_, asio::dynamic_buffer(request_, kJoinRequestMax), "\n\n",
                           [self = shared_from_this()](error_code ec, std::size_t) {
                             if (ec) return self->close();
                             self->answer();
                           });
  }
  void answer() {
    error_code ignored;
    const auto remote = stream_.lowest_layer().remote_endpoint(ignored);
    answer_ = handler_(request_, remote.address().to_string());
    asio::async_write(stream_, asio::buffer(answer_),
                      [self = shared_from_this()](error_code ec, std::size_t) {
                        if (ec) return self->close();
                        self->stream_.async_shutdown([self](error_code) { self->close(); });
                      });
  }
  void close() {
    error_code ignored;
    timer_.cancel();
    stream_.lowest_layer().close(ignored);
  }

  asio::ssl::stream<Tcp::socket> stream_;
  asio::steady_timer timer_;
  const JoinListener::Handler& handler_;
  std::shared_ptr<int> place_;
  std::string request_;
  std::string answer_;
};

}  // namespace

class JoinListener::Impl {
 public:
  explicit Impl(Handler handler) : handler_(std::move(handler)) {}
  ~Impl() {
    context_.stop();
    if (thread_.joinable()) thread_.join();
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  Result<void> start(const Endpoint& listen, const Keyed& shown, const std::string& authority_pem) {
    error_code ec;
    tls_.set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_tlsv1 |
                     asio::ssl::context::no_tlsv1_1);
    tls_.use_certificate_chain(asio::buffer(shown.cert_pem + authority_pem), ec);
    if (!ec) tls_.use_private_key(asio::buffer(shown.key_pem), asio::ssl::context::pem, ec);
    if (ec) return fail(Code::invalid, "the certificate of the join port cannot be used: " + ec.message());
    const auto address = asio::ip::make_address(listen.address, ec);
    if (ec) return fail(Code::invalid, "'" + listen.address + "' is no address to listen on");
    const Tcp::endpoint endpoint(address, listen.port);
    acceptor_.open(endpoint.protocol(), ec);
    if (!ec) acceptor_.set_option(Tcp::acceptor::reuse_address(true), ec);
    if (!ec) acceptor_.bind(endpoint, ec);
    if (!ec) acceptor_.listen(kSessions, ec);
    if (ec) {
      return fail(Code::unavailable, "cannot listen on " + listen.text() + " for machines that join: " +
                                         ec.message() + "; set another with --join-listen");
    }
    endpoint_ = {listen.address, acceptor_.local_endpoint(ec).port()};
    accept();
    thread_ = std::thread([this] {
      pthread_setname_np(pthread_self(), "join");
      context_.run();
    });
    return {};
  }
  [[nodiscard]] Endpoint endpoint() const { return endpoint_; }

 private:
  void accept() {
    acceptor_.async_accept([this](error_code ec, Tcp::socket socket) {
      if (ec == asio::error::operation_aborted) return;
      if (!ec && *sessions_ < kSessions) {
        ++*sessions_;
        std::make_shared<Session>(std::move(socket), tls_, handler_, sessions_)->run();
      }
      if (!ec) return accept();
      // Out of descriptors, say: not at once again and again.
      retry_.expires_after(std::chrono::seconds(1));
      retry_.async_wait([this](error_code stopped) {
        if (!stopped) accept();
      });
    });
  }

  const Handler handler_;
  Endpoint endpoint_;
  std::shared_ptr<int> sessions_ = std::make_shared<int>(0);  // on its thread only
  asio::ssl::context tls_{asio::ssl::context::tls_server};
  asio::io_context context_{1};
  Tcp::acceptor acceptor_{context_};
  asio::steady_timer retry_{context_};
  std::thread thread_;
};

JoinListener::JoinListener(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
JoinListener::~JoinListener() = default;

Endpoint JoinListener::endpoint() const {
  return impl_->endpoint();
}

Result<std::unique_ptr<JoinListener>> JoinListener::start(const Endpoint& listen, const Keyed& shown,
                                                          const std::string& authority_pem, Handler handler) {
  auto impl = std::make_unique<Impl>(std::move(handler));
  if (auto started = impl->start(listen, shown, authority_pem); !started) return fail(started.error());
  return std::unique_ptr<JoinListener>(new JoinListener(std::move(impl)));
}

}  // namespace shoal
