#include "node/api/http_server.h"

#include "node/api/http_connection.h"
#include "node/api/json_answer.h"

#include <algorithm>
#include <atomic>
#include <cctype>
#include <set>
#include <thread>
#include <utility>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <fcntl.h>
#include <pthread.h>

namespace shoal {
namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

// Beyond connections_max, this many more are told "too many connections"; the rest are closed without a word.
constexpr std::size_t kRefusalsMax = 64;
constexpr std::chrono::milliseconds kAcceptRetry{100};  // after EMFILE and the like

// A program that the process starts must not keep the port or a client's connection open.
void close_on_exec(int fd) {
  fcntl(fd, F_SETFD, FD_CLOEXEC);
}

}  // namespace

class HttpServer::Core : public std::enable_shared_from_this<HttpServer::Core> {
 public:
  Core(HttpServerOptions options, HttpHandler handler) : handler_(std::move(handler)) {
    for (std::string& name : options.host_names) {
      std::transform(name.begin(), name.end(), name.begin(),
                     [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    }
    host_.rules = {options.host_names, options.bearer_token};
    host_.sender = std::make_unique<FileSender>(options.file_threads);
    host_.options = std::move(options);
    host_.dispatch = [this](const auto& connection, const HttpRequest& request, std::uint64_t number) {
      handler_(request, responder(connection, number));
    };
    host_.closed = [this](const auto& connection) {
      connections_.erase(connection);
      count_ = connections_.size();
    };
  }

  Result<void> listen() {
    boost::system::error_code error;
    const Endpoint& where = host_.options.listen;
    const auto address = asio::ip::make_address(where.address, error);
    if (error) return fail(Code::invalid, "'" + where.address + "' is not an address to listen on");
    if (!address.is_loopback() && host_.options.bearer_token.empty()) {
      return fail(Code::invalid, "the API must not listen on " + where.text() + " without a token");
    }
    const tcp::endpoint endpoint(address, where.port);
    acceptor_.open(endpoint.protocol(), error);
    if (!error) close_on_exec(acceptor_.native_handle());
    if (!error) acceptor_.set_option(asio::socket_base::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(128, error);
    tcp::endpoint bound;
    if (!error) bound = acceptor_.local_endpoint(error);
    if (error) {
      return fail(Code::unavailable, "cannot listen on " + where.text() + ": " + error.message(),
                  error.value());
    }
    endpoint_ = {bound.address().to_string(), bound.port()};
    return {};
  }

  void run() {
    accept();
    thread_ = std::thread([this] {
      pthread_setname_np(pthread_self(), "api");
      io_->run();
    });
  }

  void stop() {
    asio::post(*io_, [this] {
      boost::system::error_code ignored;
      acceptor_.close(ignored);
      retry_timer_.cancel();
      const auto connections = connections_;  // close() takes itself out of the set
      for (const auto& connection : connections) connection->close();
      work_.reset();
    });
    thread_.join();
  }

  [[nodiscard]] Endpoint endpoint() const { return endpoint_; }
  [[nodiscard]] std::size_t count() const { return count_; }

 private:
  // One request's way back. Dropped without an answer it says so to the client.
  class Answer {
   public:
    Answer(std::shared_ptr<Core> core, std::weak_ptr<HttpConnection> connection, std::uint64_t number)
        : core_(std::move(core)), connection_(std::move(connection)), number_(number) {}
    ~Answer() { send(error_answer(500, "io", "the node dropped the request")); }
    Answer(const Answer&) = delete;
    Answer& operator=(const Answer&) = delete;

    void send(HttpResponse response) {
      if (sent_.exchange(true)) return;
      // The queued task holds no strong reference to anything, so one that never runs keeps nothing alive.
      asio::post(*core_->io_,
                 [connection = connection_, number = number_, response = std::move(response)]() mutable {
                   if (auto alive = connection.lock()) alive->answer(number, std::move(response));
                 });
    }

   private:
    std::shared_ptr<Core> core_;
    std::weak_ptr<HttpConnection> connection_;
    std::uint64_t number_;
    std::atomic<bool> sent_{false};
  };

  Responder responder(const std::shared_ptr<HttpConnection>& connection, std::uint64_t number) {
    auto answer = std::make_shared<Answer>(shared_from_this(), connection, number);
    return [answer](HttpResponse response) { answer->send(std::move(response)); };
  }

  void accept() {
    acceptor_.async_accept([this](boost::system::error_code error, tcp::socket socket) {
      if (error == asio::error::operation_aborted || !acceptor_.is_open()) return;
      if (error) {
        retry_timer_.expires_after(kAcceptRetry);
        retry_timer_.async_wait([this](boost::system::error_code stopped) {
          if (!stopped) accept();
        });
        return;
      }
      close_on_exec(socket.native_handle());
      const std::size_t limit = host_.options.connections_max;
      if (connections_.size() < limit + kRefusalsMax) {
        const bool refuse = connections_.size() >= limit;
        auto connection = std::make_shared<HttpConnection>(io_, std::move(socket), host_, refuse);
        connections_.insert(connection);
        count_ = connections_.size();
        connection->start();
      }
      accept();
    });
  }

  // Constant after construction.
  ConnectionHost host_;
  HttpHandler handler_;
  Endpoint endpoint_;

  std::shared_ptr<asio::io_context> io_ = std::make_shared<asio::io_context>(1);
  asio::executor_work_guard<asio::io_context::executor_type> work_{io_->get_executor()};
  std::thread thread_;
  std::atomic<std::size_t> count_{0};

  // Server thread.
  tcp::acceptor acceptor_{*io_};
  asio::steady_timer retry_timer_{*io_};
  std::set<std::shared_ptr<HttpConnection>> connections_;
};

Result<std::unique_ptr<HttpServer>> HttpServer::start(HttpServerOptions options, HttpHandler handler) {
  auto core = std::make_shared<Core>(std::move(options), std::move(handler));
  if (auto listening = core->listen(); !listening) return fail(listening.error());
  core->run();
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(core)));
}

HttpServer::HttpServer(std::shared_ptr<Core> core) : core_(std::move(core)) {}

HttpServer::~HttpServer() {
  core_->stop();
}

Endpoint HttpServer::endpoint() const {
  return core_->endpoint();
}

std::size_t HttpServer::connections() const {
  return core_->count();
}

}  // namespace shoal
