// A client that sends exactly the bytes a test gives it.
#pragma once

#include "node/core/messages.h"

#include <cerrno>
#include <cstddef>
#include <string>
#include <string_view>

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace shoal {

class RawClient {
 public:
  explicit RawClient(const Endpoint& server) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(server.port);
    inet_pton(AF_INET, server.address.c_str(), &address.sin_addr);
    connected_ = connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  }
  ~RawClient() { close(fd_); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  [[nodiscard]] bool connected() const { return connected_; }

  // False when the server closed before everything was taken.
  bool send(std::string_view bytes) const {
    while (!bytes.empty()) {
      const auto sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  void half_close() const { shutdown(fd_, SHUT_WR); }

  // What arrives until `end` shows up, the server closes, or the deadline passes.
  std::string read_until(std::string_view end, int timeout_ms = 5000) {
    while (received_.find(end) == std::string::npos || end.empty()) {
      pollfd ready{fd_, POLLIN, 0};
      if (poll(&ready, 1, timeout_ms) <= 0) {
        timed_out_ = true;
        break;
      }
      char bytes[4096];
      const auto count = recv(fd_, bytes, sizeof(bytes), 0);
      if (count <= 0) {
        closed_ = true;
        break;
      }
      received_.append(bytes, static_cast<std::size_t>(count));
    }
    return received_;
  }
  // Everything until the server closes.
  std::string read_all(int timeout_ms = 5000) { return read_until({}, timeout_ms); }

  [[nodiscard]] bool closed() const { return closed_; }
  [[nodiscard]] bool timed_out() const { return timed_out_; }
  void forget() { received_.clear(); }

 private:
  int fd_;
  bool connected_ = false;
  bool closed_ = false;
  bool timed_out_ = false;
  std::string received_;
};

}  // namespace shoal
