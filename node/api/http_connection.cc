#include "node/api/http_connection.h"

#include "node/api/json_answer.h"
#include "node/api/request_target.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>

namespace shoal {
namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;

namespace {

// Of a client that keeps sending after it was refused, so much is read and thrown away, that the refusal is
// not lost in a connection reset.
constexpr std::size_t kLingerBytesMax = 8 * 1024 * 1024;
constexpr std::chrono::seconds kLingerTime{2};
constexpr std::size_t kReadAtOnce = 4096;

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

std::string_view view(beast::string_view text) {
  return {text.data(), text.size()};
}

bool is_clean(const std::string& text) {
  return text.find_first_of("\r\n") == std::string::npos && text.find('\0') == std::string::npos;
}

// One chunk of a chunked body.
std::string chunk(const std::string& bytes) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  std::string size;
  for (std::size_t n = bytes.size(); n > 0; n /= 16) size.insert(size.begin(), kHex[n % 16]);
  return size + "\r\n" + bytes + "\r\n";
}

template <typename Message>
HttpRequest to_request(const Message& message, RequestTarget target, const std::string& remote) {
  HttpRequest out;
  out.method = view(message.method_string());
  out.head = out.method == "HEAD";
  if (out.head) out.method = "GET";
  out.path = std::move(target.path);
  out.raw_path = std::move(target.raw_path);
  out.query = std::move(target.query);
  out.remote = remote;
  for (const auto& field : message) {
    auto& value = out.headers[lower(view(field.name_string()))];
    if (!value.empty()) value += ", ";
    value += view(field.value());
  }
  return out;
}

}  // namespace

HttpConnection::HttpConnection(std::shared_ptr<asio::io_context> io, asio::ip::tcp::socket socket,
                               ConnectionHost& host, bool refuse)
    : io_(std::move(io)),
      stream_(std::move(socket)),
      host_(host),
      refuse_(refuse),
      timer_(stream_.get_executor()),
      buffer_(host.options.header_bytes_max + kReadAtOnce) {
  ErrorCode error;
  if (const auto end = stream_.socket().remote_endpoint(error); !error) remote_ = end.address().to_string();
  if (const auto end = stream_.socket().local_endpoint(error); !error) local_ = end.address().to_string();
  // Answers are written in one go; waiting for more would only add latency.
  stream_.socket().set_option(asio::ip::tcp::no_delay(true), error);
}

void HttpConnection::start() {
  wait_for_request();
}

void HttpConnection::close() {
  if (closed_) return;
  closed_ = true;
  timer_.cancel();
  stream_body_.reset();
  file_body_.reset();
  region_ = {};
  ErrorCode ignored;
  stream_.socket().shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
  if (!sending_) stream_.close();
  host_.closed(shared_from_this());
}

void HttpConnection::wait_for_request() {
  if (buffer_.size() > 0) return read_header();
  // The first request is due at once; later ones may take the idle time.
  const auto& options = host_.options;
  stream_.expires_after(request_ == 0 ? options.header_timeout : options.idle_timeout);
  stream_.async_read_some(buffer_.prepare(kReadAtOnce),
                          [self = shared_from_this()](ErrorCode error, std::size_t bytes) {
                            if (error) return self->close();
                            self->buffer_.commit(bytes);
                            self->read_header();
                          });
}

// A read that had ended well before close() is reported after it; whatever it would begin (the wait for an
// answer above all) would keep the server from ending.
void HttpConnection::read_header() {
  if (closed_) return;
  parser_.emplace();
  parser_->header_limit(static_cast<std::uint32_t>(host_.options.header_bytes_max));
  parser_->body_limit(host_.options.body_bytes_max);
  ++request_;
  head_ = false;
  keep_alive_ = false;
  stream_.expires_after(host_.options.header_timeout);
  http::async_read_header(
      stream_, buffer_, *parser_,
      [self = shared_from_this()](ErrorCode error, std::size_t) { self->on_header(error); });
}

void HttpConnection::on_header(ErrorCode error) {
  if (closed_) return;
  if (error) return refuse_input(error);
  const auto& message = parser_->get();
  keep_alive_ = message.keep_alive() && !refuse_;
  head_ = message.method() == http::verb::head;
  auto target = parse_request_target(view(message.target()));
  if (!target) {
    keep_alive_ = false;
    return write(error_answer(400, "invalid", "the request target is not a valid path"));
  }
  if (refuse_) {
    auto full = error_answer(503, "unavailable", "too many connections; try again later");
    return write(std::move(full.with("Retry-After", "1")));
  }
  const HttpRequest request = to_request(message, std::move(*target), remote_);
  if (auto refusal = refuse_request(host_.rules, request, local_)) {
    keep_alive_ = false;  // its body was not read
    return write(std::move(*refusal));
  }
  if (lower(view(message[http::field::expect])) != "100-continue" || parser_->is_done()) return read_body();
  static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
  write_bytes(kContinue, [self = shared_from_this()] { self->read_body(); });
}

void HttpConnection::read_body() {
  stream_.expires_after(host_.options.body_timeout);
  http::async_read(stream_, buffer_, *parser_, [self = shared_from_this()](ErrorCode error, std::size_t) {
    if (error) return self->refuse_input(error);
    self->on_request();
  });
}

void HttpConnection::refuse_input(ErrorCode error) {
  if (closed_) return;
  keep_alive_ = false;
  if (error == http::error::header_limit || error == http::error::buffer_overflow) {
    return write(error_answer(431, "invalid", "the request's header is too large"));
  }
  if (error == http::error::body_limit) {
    return write(error_answer(
        413, "invalid",
        "the request's body is larger than " + std::to_string(host_.options.body_bytes_max) + " bytes"));
  }
  // A broken request deserves an answer; a lost, silent or slow client gets none.
  if (error.category() == http::make_error_code(http::error::bad_method).category() &&
      error != http::error::end_of_stream && error != http::error::partial_message) {
    return write(error_answer(400, "invalid", "this is not valid HTTP: " + error.message()));
  }
  close();
}

void HttpConnection::on_request() {
  if (closed_) return;
  stream_.expires_never();
  auto message = parser_->release();
  auto target = parse_request_target(view(message.target()));
  if (!target) return close();
  HttpRequest request = to_request(message, std::move(*target), remote_);
  request.body = std::move(message.body());
  // The API's own token has done its work; what is left of the header is a program's token for the Hub.
  if (!host_.rules.bearer_token.empty()) request.headers.erase("authorization");
  waiting_for_answer_ = true;
  timer_.expires_after(host_.options.handler_timeout);
  timer_.async_wait([self = shared_from_this(), number = request_](ErrorCode error) {
    if (error) return;
    self->answer(number, error_answer(504, "timeout", "the node did not answer in time"));
  });
  host_.dispatch(shared_from_this(), request, request_);
}

void HttpConnection::answer(std::uint64_t request, HttpResponse response) {
  if (closed_ || !waiting_for_answer_ || request != request_) return;
  waiting_for_answer_ = false;
  timer_.cancel();
  write(std::move(response));
}

void HttpConnection::write(HttpResponse response) {
  header_ = {};
  header_.version(11);
  header_.result(response.status);
  header_.set(http::field::server, host_.options.server_name);
  header_.set("X-Content-Type-Options", "nosniff");
  for (const auto& [name, value] : response.headers) {
    if (is_clean(name) && is_clean(value)) header_.insert(name, value);
  }
  header_.keep_alive(keep_alive_);
  body_.clear();
  stream_body_.reset();
  file_body_.reset();
  const bool bodiless = head_ || response.status == 204 || response.status == 304;
  if (auto* text = std::get_if<std::string>(&response.body)) {
    if (response.status != 204 && response.status != 304) {
      header_.content_length(head_ && response.head_length ? *response.head_length : text->size());
    }
    if (!bodiless) body_ = std::move(*text);
  } else if (auto* file = std::get_if<std::shared_ptr<FileStream>>(&response.body)) {
    stream_left_ = (*file)->length();
    header_.content_length(*stream_left_);
    if (!bodiless) file_body_ = std::move(*file);
  } else {
    auto body = std::get<std::shared_ptr<BodyStream>>(std::move(response.body));
    stream_left_ = body->length();
    if (stream_left_) {
      header_.content_length(*stream_left_);
    } else {
      header_.chunked(true);
    }
    if (!bodiless) stream_body_ = std::move(body);
  }
  serializer_.emplace(header_);
  stream_.expires_after(host_.options.write_timeout);
  http::async_write_header(stream_, *serializer_, [self = shared_from_this()](ErrorCode error, std::size_t) {
    if (error) return self->close();
    if (self->stream_body_ || self->file_body_) self->watch_for_hangup();
    if (self->stream_body_) return self->pump();
    if (self->file_body_) return self->next_region();
    self->write_bytes(self->body_, [self] { self->finish(); });
  });
}

// In steps, each with its own deadline: a client may be slow, but not still.
void HttpConnection::write_bytes(std::string_view bytes, std::function<void()> then) {
  if (bytes.empty()) return then();
  stream_.expires_after(host_.options.write_timeout);
  stream_.async_write_some(asio::buffer(bytes.data(), bytes.size()),
                           [self = shared_from_this(), bytes, then = std::move(then)](
                               ErrorCode error, std::size_t written) mutable {
                             if (error) return self->close();
                             self->write_bytes(bytes.substr(written), std::move(then));
                           });
}

void HttpConnection::pump() {
  if (closed_ || !stream_body_) return;
  stream_.expires_never();
  arm_keepalive();
  std::weak_ptr<HttpConnection> weak = weak_from_this();
  stream_body_->next([weak, number = request_](Result<std::string> bytes) mutable {
    auto alive = weak.lock();
    if (!alive) return;
    // The queued task holds only the weak reference, so one that never runs keeps nothing alive.
    asio::post(*alive->io_, [weak, number, bytes = std::move(bytes)]() mutable {
      if (auto self = weak.lock()) self->on_stream_bytes(number, std::move(bytes));
    });
  });
}

void HttpConnection::on_stream_bytes(std::uint64_t request, Result<std::string> bytes) {
  if (closed_ || request != request_ || !stream_body_) return;
  if (keepalive_in_flight_) {
    arrived_ = std::move(bytes);
    return;
  }
  timer_.cancel();
  if (!bytes) return cut();
  if (bytes->empty()) {
    stream_body_.reset();
    if (stream_left_) return *stream_left_ == 0 ? finish() : close();
    body_ = "0\r\n\r\n";
    return write_bytes(body_, [self = shared_from_this()] { self->finish(); });
  }
  if (stream_left_) {
    if (bytes->size() > *stream_left_) return close();
    *stream_left_ -= bytes->size();
    body_ = std::move(*bytes);
  } else {
    body_ = chunk(*bytes);
  }
  write_bytes(body_, [self = shared_from_this()] { self->pump(); });
}

void HttpConnection::arm_keepalive() {
  if (stream_left_) return;  // a body of known length has no room for more
  timer_.expires_after(host_.options.stream_keepalive);
  timer_.async_wait([weak = weak_from_this(), number = request_](ErrorCode error) {
    auto self = weak.lock();
    if (!self || error || self->closed_ || self->request_ != number || !self->stream_body_) return;
    const std::string text = self->stream_body_->keepalive();
    if (text.empty()) return;
    self->keepalive_in_flight_ = true;
    self->body_ = chunk(text);
    self->write_bytes(self->body_, [self, number] {
      self->keepalive_in_flight_ = false;
      self->stream_.expires_never();
      if (!self->arrived_) return self->arm_keepalive();
      auto bytes = std::move(*self->arrived_);
      self->arrived_.reset();
      self->on_stream_bytes(number, std::move(bytes));
    });
  });
}

// While a stream waits for something to say, nobody would notice that its client left.
void HttpConnection::watch_for_hangup() {
  stream_.socket().async_wait(asio::ip::tcp::socket::wait_read,
                              [weak = weak_from_this(), number = request_](ErrorCode error) {
                                auto self = weak.lock();
                                if (!self || error || self->closed_ || self->request_ != number) return;
                                ErrorCode ignored;
                                const bool streaming = self->stream_body_ || self->file_body_;
                                if (streaming && self->stream_.socket().available(ignored) == 0)
                                  self->close();
                              });
}

// The header is gone already; ending the connection is the one way left to say that the body is not whole.
// Not by a reset, which clients take for trouble of the network and some of them answer by starting over.
void HttpConnection::cut() {
  stream_body_.reset();
  file_body_.reset();
  keep_alive_ = false;
  finish();
}

void HttpConnection::finish() {
  if (closed_) return;
  body_.clear();
  if (keep_alive_) {
    // Bytes of a refused or unread body must not be taken for the next request.
    return wait_for_request();
  }
  ErrorCode ignored;
  stream_.socket().shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  discarded_ = 0;
  buffer_.clear();
  stream_.expires_after(kLingerTime);
  linger();
}

void HttpConnection::linger() {
  stream_.async_read_some(buffer_.prepare(kReadAtOnce),
                          [self = shared_from_this()](ErrorCode error, std::size_t bytes) {
                            self->discarded_ += bytes;
                            if (error || self->discarded_ > kLingerBytesMax) return self->close();
                            self->linger();
                          });
}

}  // namespace shoal
