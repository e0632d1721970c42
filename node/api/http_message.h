// One HTTP request and its answer, free of any HTTP library's types.
#pragma once

#include "node/core/ports.h"
#include "node/core/result.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace shoal {

struct HttpRequest {
  std::string method;                                      // "GET"; HEAD reaches handlers as GET
  std::string path;                                        // decoded, begins with '/'
  std::string raw_path;                                    // as sent, without the query
  std::vector<std::pair<std::string, std::string>> query;  // decoded, in order
  std::map<std::string, std::string> headers;              // lower-case names; repeated ones joined by ", "
  std::string body;
  std::string remote;  // address of the client
  bool head = false;

  [[nodiscard]] std::string_view header(const std::string& lower_case_name) const;
  [[nodiscard]] std::optional<std::string> query_value(std::string_view name) const;
};

// A body that is made while it is sent: a file, or events.
//
// Threads: next() is called on the API's thread, one call at a time, and must not block; `ready` may be
// called from any thread, once per call. The server drops its reference when the client is gone or the server
// stops; a late `ready` is harmless.
class BodyStream {
 public:
  using Ready = std::function<void(Result<std::string>)>;  // an empty string ends the body; an error cuts it

  virtual ~BodyStream() = default;
  // Known length: sent as Content-Length; nullopt: chunked.
  [[nodiscard]] virtual std::optional<std::uint64_t> length() const { return std::nullopt; }
  virtual void next(Ready ready) = 0;
  // Sent when next() has been waiting for a while, so that a vanished client is noticed. Empty: nothing.
  [[nodiscard]] virtual std::string keepalive() const { return {}; }
};

// A run of bytes of a file.
struct FileRegion {
  std::shared_ptr<BlobFile> file;  // its descriptor() is sent from
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};

// A body of known length out of a file that is here, or is still coming in: regions in order, each as soon as
// its bytes may be sent. They go from the page cache to the socket (sendfile); no byte is held in memory.
//
// Threads: as BodyStream. An error, or a region of length 0, cuts the body: the connection ends short of
// Content-Length, which is how a client learns that the body is not whole.
class FileStream {
 public:
  using Ready = std::function<void(Result<FileRegion>)>;

  virtual ~FileStream() = default;
  [[nodiscard]] virtual std::uint64_t length() const = 0;
  virtual void next(Ready ready) = 0;
};

struct HttpResponse {
  unsigned status = 200;
  std::vector<std::pair<std::string, std::string>> headers;
  std::variant<std::string, std::shared_ptr<BodyStream>, std::shared_ptr<FileStream>> body;
  // Content-Length of an answer to HEAD, where there is no body to take it from.
  std::optional<std::uint64_t> head_length = std::nullopt;

  HttpResponse& with(std::string name, std::string value) {
    headers.emplace_back(std::move(name), std::move(value));
    return *this;
  }
};

// Sends the answer; callable once, from any thread. If every copy is dropped without a call, the client gets
// a 500, so that no request hangs.
using Responder = std::function<void(HttpResponse)>;
using HttpHandler = std::function<void(const HttpRequest&, Responder)>;

}  // namespace shoal
