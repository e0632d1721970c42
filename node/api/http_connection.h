// One client's connection: reads a request, hands it on, writes the answer, and again.
//
// Private to the HTTP server. Everything runs on the server's thread.
#pragma once

#include "node/api/file_sender.h"
#include "node/api/http_server.h"
#include "node/api/request_guard.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

namespace shoal {

class HttpConnection;

// What a connection needs of its server. `dispatch` hands a request to the handler with a Responder that
// finds its way back to answer().
struct ConnectionHost {
  HttpServerOptions options;
  GuardRules rules;
  std::unique_ptr<FileSender> sender;
  std::function<void(const std::shared_ptr<HttpConnection>&, const HttpRequest&, std::uint64_t request)>
      dispatch;
  std::function<void(const std::shared_ptr<HttpConnection>&)> closed;
};

class HttpConnection : public std::enable_shared_from_this<HttpConnection> {
 public:
  // `refuse`: the server is full; answer 503 to the first request and close. `host` outlives the connection's
  // use. `io` is what the socket lives on, kept so that the socket never outlives it.
  HttpConnection(std::shared_ptr<boost::asio::io_context> io, boost::asio::ip::tcp::socket socket,
                 ConnectionHost& host, bool refuse);

  void start();
  // Ends everything at once; pending operations finish with an error.
  void close();
  // The handler's answer to the request of that number; a second or late one is dropped.
  void answer(std::uint64_t request, HttpResponse response);

  [[nodiscard]] bool refusing() const { return refuse_; }

 private:
  using ErrorCode = boost::system::error_code;

  void wait_for_request();
  void read_header();
  void on_header(ErrorCode error);
  void read_body();
  void on_request();
  void refuse_input(ErrorCode error);

  void write(HttpResponse response);
  void write_bytes(std::string_view bytes, std::function<void()> then);
  void pump();
  void arm_keepalive();
  void on_stream_bytes(std::uint64_t request, Result<std::string> bytes);
  void watch_for_hangup();
  void finish();
  void cut();

  // http_file_body.cc
  void next_region();
  void on_region(std::uint64_t request, Result<FileRegion> region);
  void send_region();
  void on_sent(FileSender::Outcome outcome);
  void wait_until_writable();
  void linger();

  std::shared_ptr<boost::asio::io_context> io_;
  boost::beast::tcp_stream stream_;
  ConnectionHost& host_;
  const bool refuse_;
  boost::asio::steady_timer timer_;  // for the handler's answer, then for keepalives
  boost::beast::flat_buffer buffer_;
  std::optional<boost::beast::http::request_parser<boost::beast::http::string_body>> parser_;
  std::string remote_;
  std::string local_;

  std::uint64_t request_ = 0;  // counts requests, so that a late answer cannot meet the next one
  bool waiting_for_answer_ = false;
  bool head_ = false;
  bool keep_alive_ = false;
  bool closed_ = false;
  std::size_t discarded_ = 0;

  boost::beast::http::response<boost::beast::http::empty_body> header_;
  std::optional<boost::beast::http::response_serializer<boost::beast::http::empty_body>> serializer_;
  std::string body_;
  std::shared_ptr<BodyStream> stream_body_;
  std::optional<std::uint64_t> stream_left_;  // nullopt: chunked
  std::shared_ptr<FileStream> file_body_;
  FileRegion region_;     // of file_body_: what is left of the present one
  bool sending_ = false;  // a thread of the sender has the socket: it must not be closed
  bool keepalive_in_flight_ = false;
  std::optional<Result<std::string>> arrived_;  // the stream's bytes that came meanwhile
};

}  // namespace shoal
