// One HTTP request at a time to shoald's API, by libcurl.
//
// Never through a proxy: HTTP_PROXY is meant for the internet, and a proxy would not reach this loopback.
//
// Threads: one. Errors are in the answer, never thrown.
#pragma once

#include "node/cli/exit_status.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

namespace shoal::cli {

using Json = nlohmann::ordered_json;

struct ApiAnswer {
  bool reached = false;  // something that speaks shoal's API answered
  unsigned status = 0;   // of HTTP
  Json body;
  std::string code;     // of the error, as the API names it
  std::string message;  // one sentence for a person; set when not ok()
  std::string version;  // of the daemon; empty when it does not say

  [[nodiscard]] bool ok() const { return reached && status >= 200 && status < 300; }
  [[nodiscard]] ExitStatus exit_status() const;
};

class ApiClient {
 public:
  // `stop` is asked now and then while a request runs; true ends it.
  ApiClient(std::string base_url, std::string token, std::function<bool()> stop = {});
  ~ApiClient();
  ApiClient(const ApiClient&) = delete;
  ApiClient& operator=(const ApiClient&) = delete;

  // `path` begins with a slash and is escaped.
  [[nodiscard]] ApiAnswer get(const std::string& path);
  [[nodiscard]] ApiAnswer post(const std::string& path, const Json& body);
  [[nodiscard]] ApiAnswer del(const std::string& path);

  [[nodiscard]] const std::string& base_url() const { return base_url_; }

 private:
  [[nodiscard]] ApiAnswer request(const char* method, const std::string& path,
                                  const std::optional<std::string>& body);
  void check_version(const ApiAnswer& answer);

  struct Handle;
  const std::string base_url_;
  const std::string token_;
  const std::function<bool()> stop_;
  std::unique_ptr<Handle> handle_;
  bool warned_ = false;
};

}  // namespace shoal::cli
