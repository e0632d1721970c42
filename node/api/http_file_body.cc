// Bodies out of files: region by region, from the page cache to the socket.
#include "node/api/http_connection.h"

#include <cerrno>
#include <utility>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>

namespace shoal {
namespace asio = boost::asio;

void HttpConnection::next_region() {
  if (closed_ || !file_body_) return;
  if (*stream_left_ == 0) {
    file_body_.reset();
    return finish();
  }
  stream_.expires_never();
  file_body_->next([weak = weak_from_this(), io = std::weak_ptr<asio::io_context>(io_),
                    number = request_](Result<FileRegion> region) mutable {
    const auto alive = io.lock();
    if (!alive) return;
    // The queued task holds only the weak reference, so one that never runs keeps nothing alive.
    asio::post(*alive, [weak, number, region = std::move(region)]() mutable {
      if (auto self = weak.lock()) self->on_region(number, std::move(region));
    });
  });
}

void HttpConnection::on_region(std::uint64_t request, Result<FileRegion> region) {
  if (closed_ || request != request_ || !file_body_) return;
  if (!region || region->length == 0 || region->length > *stream_left_) return cut();
  region_ = std::move(*region);
  ErrorCode ignored;
  stream_.socket().native_non_blocking(true, ignored);
  send_region();
}

void HttpConnection::send_region() {
  sending_ = true;
  // The job keeps the connection, and the server's thread running, until its outcome is heard.
  host_.sender->send(
      stream_.socket().native_handle(), region_,
      [self = shared_from_this(), work = asio::make_work_guard(*io_)](FileSender::Outcome outcome) {
        asio::post(*self->io_, [self, outcome] { self->on_sent(outcome); });
      });
}

void HttpConnection::on_sent(FileSender::Outcome outcome) {
  sending_ = false;
  if (closed_) {
    stream_.close();
    return;
  }
  region_.offset += outcome.sent;
  region_.length -= outcome.sent;
  *stream_left_ -= outcome.sent;
  if (outcome.error == EAGAIN || outcome.error == EWOULDBLOCK) return wait_until_writable();
  if (outcome.error == EIO) return cut();
  if (outcome.error != 0) return close();
  if (region_.length > 0) return send_region();
  region_ = {};
  next_region();
}

void HttpConnection::wait_until_writable() {
  timer_.expires_after(host_.options.file_stall_timeout);
  timer_.async_wait([weak = weak_from_this(), number = request_](ErrorCode error) {
    auto self = weak.lock();
    if (self && !error && self->request_ == number && !self->sending_) self->close();
  });
  stream_.socket().async_wait(asio::ip::tcp::socket::wait_write,
                              [self = shared_from_this()](ErrorCode error) {
                                if (self->closed_) return;
                                self->timer_.cancel();
                                if (error) return self->close();
                                self->send_region();
                              });
}

}  // namespace shoal
