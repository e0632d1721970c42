// An HTTP server on loopback that answers as a test says, records what it was asked, and can misbehave: cut,
// reset, hang, trickle.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace shoal::testing_hub {

struct SeenRequest {
  std::string method;
  std::string target;
  std::map<std::string, std::string> headers;  // names in lower case
  int connection = 0;                          // counted from 0

  [[nodiscard]] std::string header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? std::string() : found->second;
  }
  [[nodiscard]] std::string path() const { return target.substr(0, target.find('?')); }
};

struct ScriptedReply {
  enum class End { keep_alive, close, reset, hang };
  std::string bytes;  // head and body as they go over the wire
  std::string drip;   // then these, one every few milliseconds, until the client leaves
  End end = End::keep_alive;
};

class ScriptedServer {
 public:
  using Handler = std::function<ScriptedReply(const SeenRequest&)>;

  explicit ScriptedServer(Handler handler);
  ~ScriptedServer();
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  [[nodiscard]] std::vector<SeenRequest> seen() const;
  [[nodiscard]] int count(std::string_view method, std::string_view path_part = {}) const;
  // False after two seconds.
  [[nodiscard]] bool wait_for_requests(std::size_t count) const;

 private:
  void accept_loop();
  void serve(int socket, int connection);
  bool answer(int socket, const ScriptedReply& reply);

  Handler handler_;
  int listener_ = -1;
  std::uint16_t port_ = 0;

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::vector<SeenRequest> seen_;
  std::vector<int> sockets_;  // open ones
  std::vector<std::thread> workers_;
  bool stopping_ = false;

  std::thread acceptor_;
};

using Headers = std::vector<std::pair<std::string, std::string>>;

// A whole answer with Content-Length.
[[nodiscard]] ScriptedReply reply(int status, const Headers& headers = {}, const std::string& body = {});
// As a correct file server: 200, 206 or 416 by the request's Range.
[[nodiscard]] ScriptedReply file_reply(const SeenRequest& request, const std::string& content,
                                       const Headers& headers = {});
// First and last byte of "bytes=a-b".
struct AskedRange {
  std::size_t first = 0;
  std::size_t last = 0;
};
[[nodiscard]] AskedRange asked_range(const SeenRequest& request);

}  // namespace shoal::testing_hub
