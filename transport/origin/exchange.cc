#include "transport/origin/exchange.h"

#include "transport/origin/text.h"

#include <algorithm>
#include <utility>

#include <curl/curl.h>

namespace shoal {

struct Exchange::Slist {
  curl_slist* list = nullptr;
  Slist() = default;
  Slist(const Slist&) = delete;
  Slist& operator=(const Slist&) = delete;
  ~Slist() { curl_slist_free_all(list); }
  void add(const std::string& line) {
    if (curl_slist* longer = curl_slist_append(list, line.c_str())) list = longer;
  }
};

namespace {

static_assert(CURL_ERROR_SIZE == 256);

// Large enough that a fast line costs few turns of the loop, small enough that 16 of them do not matter.
constexpr long kReceiveBuffer = 256L * 1024;

std::size_t on_header(char* data, std::size_t size, std::size_t count, void* user) {
  return static_cast<Exchange*>(user)->take_header({data, size * count});
}

std::size_t on_write(char* data, std::size_t size, std::size_t count, void* user) {
  return static_cast<Exchange*>(user)->take_body(std::as_bytes(std::span(data, size * count)));
}

ExchangeEnd describe(CURLcode code, const std::string& host, const char* detail) {
  const auto passing = [&](Code kind, const std::string& what) {
    return ExchangeEnd{Error{kind, host + what, 0}, true};
  };
  const auto lasting = [&](Code kind, const std::string& what) {
    return ExchangeEnd{Error{kind, host + what, 0}, false};
  };
  switch (code) {
    case CURLE_OK:
      return {};
    case CURLE_COULDNT_RESOLVE_HOST:
      return passing(Code::unavailable, " has no address: check the name and the network");
    case CURLE_COULDNT_RESOLVE_PROXY:
      return passing(Code::unavailable, " cannot be reached: the proxy has no address, check https_proxy");
    case CURLE_COULDNT_CONNECT:
      return passing(Code::unavailable, " cannot be reached: check the network and the proxy settings");
    case CURLE_OPERATION_TIMEDOUT:
      return passing(Code::timeout, " did not answer in time");
    case CURLE_PARTIAL_FILE:
      return passing(Code::unavailable, " cut the answer short");
    case CURLE_GOT_NOTHING:
      return passing(Code::unavailable, " closed the connection without an answer");
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
      return lasting(Code::unavailable, std::string(": its certificate was not accepted (") + detail +
                                            "); if a proxy signs for it, name its root in SSL_CERT_FILE");
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
      return lasting(Code::invalid, ": its address is no http or https URL");
    case CURLE_OUT_OF_MEMORY:
    case CURLE_FAILED_INIT:
      return passing(Code::io, ": libcurl has no memory for a request");
    default:
      return passing(Code::unavailable, std::string(": ") + curl_easy_strerror(code));
  }
}

}  // namespace

Exchange::Exchange(CurlLoop& loop, const HttpSettings& settings, const ExchangeSpec& spec, Client& client)
    : loop_(loop),
      client_(client),
      host_(spec.url.origin()),
      max_header_bytes_(settings.max_header_bytes),
      easy_(loop.take_easy()),
      headers_(std::make_unique<Slist>()),
      self_(std::make_shared<Exchange*>(this)) {
  if (!easy_) {
    end_later(CURLE_OUT_OF_MEMORY);
    return;
  }
  set_up(settings, spec);
  if (!loop_.add(easy_)) {
    loop_.give_back_easy(std::exchange(easy_, nullptr));
    end_later(CURLE_OUT_OF_MEMORY);
  }
}

Exchange::~Exchange() {
  *self_ = nullptr;
  detach();
}

void Exchange::set_up(const HttpSettings& settings, const ExchangeSpec& spec) {
  const auto set = [this](CURLoption option, auto value) { curl_easy_setopt(easy_, option, value); };
  set(CURLOPT_PRIVATE, static_cast<void*>(this));
  set(CURLOPT_ERRORBUFFER, error_text_.data());
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_FOLLOWLOCATION, 0L);
  set(CURLOPT_URL, spec.url.text().c_str());
  set(CURLOPT_PATH_AS_IS, 1L);  // what was signed is what is sent
  set(CURLOPT_USERAGENT, settings.user_agent.c_str());
  set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(settings.connect_timeout.count()));
  set(CURLOPT_TIMEOUT_MS, static_cast<long>(spec.time_allowed.count()));
  set(CURLOPT_BUFFERSIZE, kReceiveBuffer);
  set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);

  // A router that forgets an idle connection is noticed, and kept ones stay usable.
  set(CURLOPT_TCP_KEEPALIVE, 1L);
  set(CURLOPT_TCP_KEEPIDLE, 30L);
  set(CURLOPT_TCP_KEEPINTVL, 15L);

  if (!settings.ca_file.empty()) set(CURLOPT_CAINFO, settings.ca_file.c_str());
  if (!settings.ca_dir.empty()) set(CURLOPT_CAPATH, settings.ca_dir.c_str());
  if (settings.proxy) set(CURLOPT_PROXY, settings.proxy->c_str());

  if (spec.own_connection) {
    set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  } else {
    // Not CURLOPT_PIPEWAIT: requests would wait for one that got no answer yet to learn whether it speaks
    // HTTP/2.
    set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
  }
  if (spec.head) set(CURLOPT_NOBODY, 1L);
  if (!spec.range.empty()) set(CURLOPT_RANGE, spec.range.c_str());
  if (spec.post) {
    set(CURLOPT_POST, 1L);
    set(CURLOPT_POSTFIELDS, spec.post->c_str());
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(spec.post->size()));
    headers_->add("Content-Type: " + spec.content_type);
    headers_->add("Expect:");  // the body is short: no round trip for a permission
  }

  // Not CURLOPT_ACCEPT_ENCODING: that would decode as well, and a compressed answer is to be refused.
  headers_->add("Accept-Encoding: identity");
  if (!spec.token.empty()) headers_->add("Authorization: Bearer " + spec.token);
  set(CURLOPT_HTTPHEADER, headers_->list);
  // A CONNECT to a proxy gets none of them.
  set(CURLOPT_HEADEROPT, static_cast<long>(CURLHEADER_SEPARATE));

  set(CURLOPT_HEADERFUNCTION, &on_header);
  set(CURLOPT_HEADERDATA, static_cast<void*>(this));
  set(CURLOPT_WRITEFUNCTION, &on_write);
  set(CURLOPT_WRITEDATA, static_cast<void*>(this));
}

void Exchange::detach() {
  if (!easy_) return;
  loop_.remove(easy_);
  loop_.give_back_easy(std::exchange(easy_, nullptr));
}

void Exchange::end_later(int curl_code) {
  loop_.defer([self = self_, curl_code] {
    if (*self) (*self)->finish(curl_code);
  });
}

void Exchange::resume() {
  if (!easy_ || stopped_) return;
  const CURLcode code = curl_easy_pause(easy_, CURLPAUSE_CONT);
  // libcurl hands the kept bytes over inside that call, and does not end the transfer when they are refused.
  if (stopped_ || code != CURLE_OK) end_later(CURLE_WRITE_ERROR);
}

void Exchange::do_not_reuse() {
  // libcurl looks at it when the transfer ends.
  if (easy_) curl_easy_setopt(easy_, CURLOPT_FORBID_REUSE, 1L);
}

void Exchange::finish(int curl_code) {
  detach();
  const auto code = static_cast<CURLcode>(curl_code);
  ExchangeEnd end;
  if (head_too_long_) {
    end = {Error{Code::invalid,
                 host_ + " sent more than " + std::to_string(max_header_bytes_) + " bytes of headers", 0},
           false};
  } else if (stopped_) {
    end = {Error{Code::cancelled, "the answer of " + host_ + " was given up", 0}, false};
  } else {
    end = describe(code, host_, error_text_.data());
  }
  client_.on_end(std::move(end));
}

std::size_t Exchange::take_header(std::string_view line) {
  const std::size_t all = line.size();
  if (stopped_) return 0;
  header_bytes_ += all;
  if (header_bytes_ > max_header_bytes_) {
    head_too_long_ = true;
    return 0;
  }
  while (!line.empty() && (line.back() == '\r' || line.back() == '\n')) line.remove_suffix(1);

  if (line.starts_with("HTTP/")) {  // also after an interim 1xx answer
    const std::size_t blank = line.find(' ');
    const auto status =
        blank == std::string_view::npos ? std::nullopt : parse_decimal(line.substr(blank + 1, 3));
    head_ = {};
    head_.status = status ? static_cast<int>(*status) : 0;
    head_done_ = false;
    return all;
  }
  if (head_done_) return all;  // trailers after a chunked body
  if (line.empty()) {
    if (head_.status < 200) return all;
    head_done_ = true;
    stopped_ = !client_.on_head(head_);
    return stopped_ ? 0 : all;
  }
  const std::size_t colon = line.find(':');
  if (colon != std::string_view::npos && colon > 0) {
    head_.headers.emplace_back(lower_case(line.substr(0, colon)), trim_blanks(line.substr(colon + 1)));
  }
  return all;
}

std::size_t Exchange::take_body(std::span<const std::byte> bytes) {
  if (stopped_) return 0;
  switch (client_.on_body(bytes)) {
    case Take::taken:
      return bytes.size();
    case Take::pause:
      return CURL_WRITEFUNC_PAUSE;
    case Take::stop:
      break;
  }
  stopped_ = true;
  return 0;
}

}  // namespace shoal
