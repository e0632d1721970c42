// One HTTPS answer on loopback, under a certificate for 127.0.0.1 that it has made and signed itself.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>

namespace shoal::testing_hub {

class TlsServer {
 public:
  // Gives `answer`, bytes as they go over the wire, to every request.
  explicit TlsServer(std::string answer);
  ~TlsServer();
  TlsServer(const TlsServer&) = delete;
  TlsServer& operator=(const TlsServer&) = delete;

  [[nodiscard]] std::string url() const { return "https://127.0.0.1:" + std::to_string(port_); }
  [[nodiscard]] const std::string& certificate_path() const { return certificate_path_; }
  [[nodiscard]] int requests() const { return requests_; }

 private:
  struct Keys;
  void serve();

  const std::string answer_;
  std::unique_ptr<Keys> keys_;
  std::string certificate_path_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> stopping_ = false;
  std::atomic<int> requests_ = 0;
  std::thread thread_;
};

}  // namespace shoal::testing_hub
