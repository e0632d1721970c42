// One HTTP request and its answer, on one easy handle. Redirects are not followed here, nothing is retried.
//
// Belongs to the loop's thread. Destroying it gives the request up; its connection is closed if the answer
// was not whole, and kept for reuse otherwise.
#pragma once

#include "node/core/result.h"
#include "transport/origin/curl_loop.h"
#include "transport/origin/response_head.h"
#include "transport/origin/url.h"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace shoal {

// The same for all requests of a client.
struct HttpSettings {
  std::string user_agent;
  std::string ca_file;
  std::string ca_dir;
  std::optional<std::string> proxy;
  std::chrono::milliseconds connect_timeout{};
  std::size_t max_header_bytes = 0;
};

struct ExchangeSpec {
  Url url;
  bool head = false;
  std::string token;                  // sent as it is: the caller has held the URL's origin against the Hub's
  std::string range;                  // "0-99"; empty: the whole
  const std::string* post = nullptr;  // body of a POST; outlives the exchange
  std::string content_type{};         // of that body
  bool own_connection = false;        // HTTP/1.1
  std::chrono::milliseconds time_allowed{};  // for all of it; 0: no limit
};

// How an exchange ended. No error: an answer of whatever status came, whole.
struct ExchangeEnd {
  std::optional<Error> error;  // names the host, never the URL
  bool passing = false;        // worth another try
};

class Exchange {
 public:
  enum class Take : std::uint8_t { taken, pause, stop };

  class Client {
   public:
    virtual ~Client() = default;
    // The final answer's status and headers, before its body. False: give up; on_end follows.
    virtual bool on_head(const ResponseHead& head) = 0;
    // `pause`: the same bytes come again after resume().
    virtual Take on_body(std::span<const std::byte> bytes) = 0;
    // Last call; the exchange may be destroyed in it.
    virtual void on_end(ExchangeEnd end) = 0;
  };

  // Starts at once. A failure to start is told by on_end, later.
  Exchange(CurlLoop& loop, const HttpSettings& settings, const ExchangeSpec& spec, Client& client);
  ~Exchange();
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  void resume();
  // Its connection is closed at the end instead of being kept for the next request.
  void do_not_reuse();

  // For CurlLoop: the transfer is over with this CURLcode.
  void finish(int curl_code);

  // For libcurl's callbacks: bytes taken, or what makes libcurl stop or pause.
  std::size_t take_header(std::string_view line);
  std::size_t take_body(std::span<const std::byte> bytes);

 private:
  struct Slist;
  void set_up(const HttpSettings& settings, const ExchangeSpec& spec);
  void detach();
  void end_later(int curl_code);

  CurlLoop& loop_;
  Client& client_;
  const std::string host_;  // for messages
  const std::size_t max_header_bytes_;
  void* easy_ = nullptr;
  std::unique_ptr<Slist> headers_;
  std::array<char, 256> error_text_{};  // libcurl's CURL_ERROR_SIZE
  ResponseHead head_;
  std::size_t header_bytes_ = 0;
  bool head_done_ = false;
  bool head_too_long_ = false;
  bool stopped_ = false;
  std::shared_ptr<Exchange*> self_;  // null inside once destroyed; for deferred tasks
};

}  // namespace shoal
