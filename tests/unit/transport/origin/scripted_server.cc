#include "tests/unit/transport/origin/scripted_server.h"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdlib>
#include <stdexcept>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace shoal::testing_hub {
namespace {

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

bool send_all(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

SeenRequest parse_request(const std::string& head) {
  SeenRequest request;
  std::size_t at = 0;
  bool first = true;
  while (at < head.size()) {
    const std::size_t end = head.find("\r\n", at);
    const std::string line = head.substr(at, end - at);
    at = end == std::string::npos ? head.size() : end + 2;
    if (line.empty()) break;
    if (first) {
      const std::size_t one = line.find(' ');
      const std::size_t two = line.rfind(' ');
      request.method = line.substr(0, one);
      request.target = line.substr(one + 1, two - one - 1);
      first = false;
      continue;
    }
    const std::size_t colon = line.find(':');
    request.headers[lower(line.substr(0, colon))] = line.substr(line.find_first_not_of(' ', colon + 1));
  }
  return request;
}

}  // namespace

ScriptedServer::ScriptedServer(Handler handler) : handler_(std::move(handler)) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* raw = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener_, raw, length) != 0 || ::listen(listener_, 64) != 0 ||
      ::getsockname(listener_, raw, &length) != 0) {
    throw std::runtime_error("no loopback port for the scripted server");
  }
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept_loop(); });
}

ScriptedServer::~ScriptedServer() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (const int socket : sockets_) ::shutdown(socket, SHUT_RDWR);
    changed_.notify_all();
  }
  ::shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  for (std::thread& worker : workers_) worker.join();
  ::close(listener_);
}

std::vector<SeenRequest> ScriptedServer::seen() const {
  const std::lock_guard lock(mutex_);
  return seen_;
}

int ScriptedServer::count(std::string_view method, std::string_view path_part) const {
  const std::lock_guard lock(mutex_);
  return static_cast<int>(std::ranges::count_if(seen_, [&](const SeenRequest& r) {
    return r.method == method && r.target.find(path_part) != std::string::npos;
  }));
}

bool ScriptedServer::wait_for_requests(std::size_t count) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::seconds(2), [&] { return seen_.size() >= count; });
}

void ScriptedServer::accept_loop() {
  for (int connection = 0;; ++connection) {
    const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    const std::lock_guard lock(mutex_);
    if (socket < 0 || stopping_) {
      if (socket >= 0) ::close(socket);
      return;
    }
    const int yes = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    sockets_.push_back(socket);
    workers_.emplace_back([this, socket, connection] { serve(socket, connection); });
  }
}

void ScriptedServer::serve(int socket, int connection) {
  std::string buffer;
  bool open = true;
  while (open) {
    const std::size_t end = buffer.find("\r\n\r\n");
    if (end == std::string::npos) {
      char chunk[4096];
      const ssize_t got = ::recv(socket, chunk, sizeof chunk, 0);
      if (got <= 0) break;
      buffer.append(chunk, static_cast<std::size_t>(got));
      continue;
    }
    SeenRequest request = parse_request(buffer.substr(0, end + 4));
    buffer.erase(0, end + 4);
    request.connection = connection;
    ScriptedReply scripted;
    {
      const std::lock_guard lock(mutex_);
      scripted = handler_(request);
      seen_.push_back(request);
      changed_.notify_all();
    }
    if (request.method == "HEAD") scripted.bytes.resize(scripted.bytes.find("\r\n\r\n") + 4);
    open = answer(socket, scripted);
  }
  const std::lock_guard lock(mutex_);
  std::erase(sockets_, socket);
  ::close(socket);
}

bool ScriptedServer::answer(int socket, const ScriptedReply& scripted) {
  if (!send_all(socket, scripted.bytes)) return false;
  for (const char& c : scripted.drip) {
    if (!send_all(socket, {&c, 1})) return false;
    std::unique_lock lock(mutex_);
    if (changed_.wait_for(lock, std::chrono::milliseconds(3), [this] { return stopping_; })) return false;
  }
  switch (scripted.end) {
    case ScriptedReply::End::keep_alive:
      return true;
    case ScriptedReply::End::close:
      ::shutdown(socket, SHUT_WR);
      break;
    case ScriptedReply::End::reset: {
      const linger hard{1, 0};
      ::setsockopt(socket, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
      return false;
    }
    case ScriptedReply::End::hang:
      break;
  }
  char ignored[4096];
  while (::recv(socket, ignored, sizeof ignored, 0) > 0) {
  }
  return false;
}

ScriptedReply reply(int status, const Headers& headers, const std::string& body) {
  std::string bytes = "HTTP/1.1 " + std::to_string(status) + " Whatever\r\n";
  bool has_length = false;
  for (const auto& [name, value] : headers) {
    bytes += name + ": " + value + "\r\n";
    has_length = has_length || lower(name) == "content-length" || lower(name) == "transfer-encoding";
  }
  if (!has_length) bytes += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  return {bytes + "\r\n" + body, {}, ScriptedReply::End::keep_alive};
}

AskedRange asked_range(const SeenRequest& request) {
  const std::string range = request.header("range");
  const std::size_t equals = range.find('=');
  const std::size_t dash = range.find('-');
  if (equals == std::string::npos || dash == std::string::npos) return {};
  return {std::strtoull(range.c_str() + equals + 1, nullptr, 10),
          std::strtoull(range.c_str() + dash + 1, nullptr, 10)};
}

ScriptedReply file_reply(const SeenRequest& request, const std::string& content, const Headers& headers) {
  if (request.header("range").empty()) return reply(200, headers, content);
  const AskedRange range = asked_range(request);
  if (range.first >= content.size()) {
    return reply(416, {{"Content-Range", "bytes */" + std::to_string(content.size())}});
  }
  const std::size_t last = std::min(range.last, content.size() - 1);
  Headers all = headers;
  all.emplace_back("Content-Range", "bytes " + std::to_string(range.first) + "-" + std::to_string(last) +
                                        "/" + std::to_string(content.size()));
  return reply(206, all, content.substr(range.first, last - range.first + 1));
}

}  // namespace shoal::testing_hub
