// A small HTTP/1.1 server with one thread of its own, so that a slow client never touches the node's loop.
//
// It owns connections, limits, timeouts and the refusal of browser requests from elsewhere; what a path means
// is the handler's business (router.h). No TLS: it is meant for loopback.
#pragma once

#include "node/api/http_message.h"
#include "node/core/messages.h"
#include "node/core/result.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace shoal {

struct HttpServerOptions {
  Endpoint listen{"127.0.0.1", 8420};   // port 0: any free one, see HttpServer::endpoint()
  std::vector<std::string> host_names;  // that a Host header may carry besides loopback and own addresses
  std::string bearer_token;  // wanted from everybody when set; REQUIRED unless listening on loopback
  std::string server_name = "shoald";  // the Server header

  // A page, scripts and a scraper use ten; a program that downloads through the node 8 to 100. Each is one
  // descriptor and some 30 KiB.
  std::size_t connections_max = 512;
  std::size_t header_bytes_max = 16 * 1024;          // several times what browsers send
  std::size_t body_bytes_max = 1024 * 1024;          // the largest request is a pull with a list of globs
  std::chrono::milliseconds header_timeout{10'000};  // for the whole header, from its first byte on
  std::chrono::milliseconds body_timeout{30'000};    // for the whole body
  std::chrono::milliseconds idle_timeout{75'000};    // between requests; longer than a scraper's interval
  std::chrono::milliseconds write_timeout{30'000};   // without any byte taken by the client
  // The same in the body of a file: its receiver may be busy writing to a slow disk, and costs no memory
  // here.
  std::chrono::milliseconds file_stall_timeout{120'000};
  int file_threads = 4;  // wait for the disk in sendfile(2): as many as there are cold files read at once
  std::chrono::milliseconds stream_keepalive{15'000};  // for bodies that wait (BodyStream::keepalive)
  std::chrono::milliseconds handler_timeout{60'000};   // for the handler's answer
};

class HttpServer {
 public:
  // Errors of start: invalid (not an address; no token on a wide address), unavailable (the port is taken).
  [[nodiscard]] static Result<std::unique_ptr<HttpServer>> start(HttpServerOptions options,
                                                                 HttpHandler handler);
  // Closes all connections and joins the thread. Responders that are called later do nothing.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  [[nodiscard]] Endpoint endpoint() const;  // with the real port
  [[nodiscard]] std::size_t connections() const;

  class Core;  // defined in http_server.cc; shared with connections and responders

 private:
  explicit HttpServer(std::shared_ptr<Core> core);
  std::shared_ptr<Core> core_;
};

}  // namespace shoal
