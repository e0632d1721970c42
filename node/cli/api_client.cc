#include "node/cli/api_client.h"

#include "node/cli/text.h"
#include "node/version.h"

#include <cstdio>
#include <string_view>
#include <utility>

#include <curl/curl.h>

namespace shoal::cli {
namespace {

constexpr long kConnectTimeoutMs = 5'000;
constexpr long kRequestTimeoutMs = 120'000;  // twice what the daemon allows itself for an answer
constexpr std::size_t kAnswerBytesMax = 256 * 1024 * 1024;  // several times the largest list the API makes

struct Received {
  std::string body;
  std::string version;
};

std::size_t on_body(char* data, std::size_t size, std::size_t count, void* user) {
  auto& received = *static_cast<Received*>(user);
  if (received.body.size() + size * count > kAnswerBytesMax) return 0;
  received.body.append(data, size * count);
  return size * count;
}

std::size_t on_header(char* data, std::size_t size, std::size_t count, void* user) {
  static constexpr std::string_view kServer = "server: shoald/";
  std::string line(data, size * count);
  std::string lower = line.substr(0, kServer.size());
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  if (lower == kServer) {
    line = line.substr(kServer.size());
    while (!line.empty() && (line.back() == '\r' || line.back() == '\n' || line.back() == ' '))
      line.pop_back();
    static_cast<Received*>(user)->version = printable_text(line.substr(0, 32));
  }
  return size * count;
}

int on_progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  const auto& stop = *static_cast<const std::function<bool()>*>(user);
  return stop && stop() ? 1 : 0;
}

void read_error(ApiAnswer& answer) {
  const auto error = answer.body.is_object() ? answer.body.find("error") : answer.body.end();
  if (answer.body.is_object() && error != answer.body.end() && error->is_object()) {
    if (const auto code = error->find("code"); code != error->end() && code->is_string()) answer.code = *code;
    if (const auto text = error->find("message"); text != error->end() && text->is_string())
      answer.message = *text;
  }
  if (answer.message.empty())
    answer.message = "the API answered with HTTP status " + std::to_string(answer.status);
}

}  // namespace

ExitStatus ApiAnswer::exit_status() const {
  if (ok()) return exit_done;
  if (!reached) return exit_no_daemon;
  return exit_status_of(code);
}

struct ApiClient::Handle {
  CURL* curl = curl_easy_init();
  Handle() = default;
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() { curl_easy_cleanup(curl); }
};

ApiClient::ApiClient(std::string base_url, std::string token, std::function<bool()> stop)
    : base_url_(std::move(base_url)),
      token_(std::move(token)),
      stop_(std::move(stop)),
      handle_(std::make_unique<Handle>()) {}

ApiClient::~ApiClient() = default;

ApiAnswer ApiClient::get(const std::string& path) {
  return request("GET", path, std::nullopt);
}

ApiAnswer ApiClient::post(const std::string& path, const Json& body) {
  return request("POST", path, body.dump(-1, ' ', false, Json::error_handler_t::replace));
}

ApiAnswer ApiClient::del(const std::string& path) {
  return request("DELETE", path, std::nullopt);
}

ApiAnswer ApiClient::request(const char* method, const std::string& path,
                             const std::optional<std::string>& body) {
  ApiAnswer answer;
  CURL* curl = handle_->curl;
  if (curl == nullptr) {
    answer.message = "out of memory";
    return answer;
  }
  curl_easy_reset(curl);  // keeps the connection
  Received received;
  const std::string url = base_url_ + path;
  curl_slist* headers = curl_slist_append(nullptr, "Accept: application/json");
  // An empty Expect: the body goes at once, without a question first.
  headers = curl_slist_append(headers, "Expect:");
  if (body) headers = curl_slist_append(headers, "Content-Type: application/json");
  if (!token_.empty()) headers = curl_slist_append(headers, ("Authorization: Bearer " + token_).c_str());
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_PROXY, "");
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, kConnectTimeoutMs);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, kRequestTimeoutMs);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &received);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &received);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &stop_);
  if (body) {
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body->size()));
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body->c_str());
  }
  const CURLcode result = curl_easy_perform(curl);
  curl_slist_free_all(headers);
  if (result != CURLE_OK) {
    answer.message = "no shoald answers at " + base_url_ + " (" + curl_easy_strerror(result) +
                     "): start it with `shoald` or `systemctl start shoald`, or name it with --api";
    return answer;
  }
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  answer.status = static_cast<unsigned>(status);
  answer.version = std::move(received.version);
  answer.body = Json::parse(received.body, nullptr, false);
  if (answer.body.is_discarded() || (answer.version.empty() && !answer.body.is_object())) {
    answer.message = "what answers at " + base_url_ + " is not shoald: name the right address with --api";
    return answer;
  }
  answer.reached = true;
  if (!answer.ok()) read_error(answer);
  check_version(answer);
  return answer;
}

void ApiClient::check_version(const ApiAnswer& answer) {
  if (warned_ || answer.version.empty() || answer.version == kVersion) return;
  warned_ = true;
  std::fprintf(stderr, "shoal: warning: this is shoal %s, the daemon is %s; restart the older one\n",
               kVersion, answer.version.c_str());
}

}  // namespace shoal::cli
