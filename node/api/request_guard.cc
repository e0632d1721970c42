#include "node/api/request_guard.h"

#include "node/api/json_answer.h"
#include "node/api/page_assets.h"

#include <algorithm>
#include <array>
#include <cctype>

#include <arpa/inet.h>

namespace shoal {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

// Takes the same time wherever the first difference is.
bool equal_secret(std::string_view a, std::string_view b) {
  unsigned difference = a.size() == b.size() ? 0U : 1U;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const char other = b.empty() ? '\0' : b[i % b.size()];
    difference |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(other);
  }
  return difference == 0;
}

bool same_address(std::string_view a, std::string_view b) {
  std::array<unsigned char, 16> x{};
  std::array<unsigned char, 16> y{};
  for (const int family : {AF_INET, AF_INET6}) {
    if (inet_pton(family, std::string(a).c_str(), x.data()) == 1 &&
        inet_pton(family, std::string(b).c_str(), y.data()) == 1) {
      return x == y;
    }
  }
  return false;
}

bool host_allowed(const GuardRules& rules, const std::string& host, std::string_view local_address) {
  if (host == "localhost" || is_loopback_address(host) || same_address(host, local_address)) return true;
  return std::find(rules.host_names.begin(), rules.host_names.end(), host) != rules.host_names.end();
}

// A person who follows a link to the status page: the answer goes to a window of its own, where the other
// site cannot read it, and nothing is changed.
bool is_plain_navigation(const HttpRequest& request) {
  return request.method == "GET" && request.header("sec-fetch-mode") == "navigate" &&
         request.header("sec-fetch-dest") == "document" && request.header("origin").empty();
}

// Without the token: whether the node lives, and the page's program, which then asks for the token itself.
bool is_open_to_all(std::string_view path) {
  if (path == "/healthz" || path == "/") return true;
  if (!path.starts_with("/page/")) return false;
  path.remove_prefix(6);
  // Exactly the parts: there may be a repo called "page".
  return std::ranges::any_of(page_assets(), [&](const PageAsset& asset) { return asset.name == path; });
}

}  // namespace

bool is_loopback_address(std::string_view address) {
  if (address.starts_with("::ffff:")) address.remove_prefix(7);
  const std::string text(address);
  in_addr v4{};
  if (inet_pton(AF_INET, text.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24U) == 127;
  in6_addr v6{};
  return inet_pton(AF_INET6, text.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

std::optional<std::string> host_of(std::string_view header) {
  std::string_view host = header;
  std::string_view port;
  if (header.starts_with('[')) {
    const auto end = header.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    host = header.substr(1, end - 1);
    port = header.substr(end + 1);
  } else {
    host = header.substr(0, header.find(':'));
    port = header.substr(host.size());
  }
  const bool port_ok = port.empty() || (port.front() == ':' && port.size() <= 6 &&
                                        std::all_of(port.begin() + 1, port.end(),
                                                    [](unsigned char c) { return std::isdigit(c) != 0; }));
  if (host.empty() || !port_ok) return std::nullopt;
  auto out = lower(host);
  if (out.ends_with('.')) out.pop_back();
  return out;
}

std::optional<HttpResponse> refuse_request(const GuardRules& rules, const HttpRequest& request,
                                           std::string_view local_address) {
  const auto host = host_of(request.header("host"));
  if (!host) return error_answer(400, "invalid", "the request has no valid Host header");
  if (!host_allowed(rules, *host, local_address)) {
    return error_answer(403, "foreign_host",
                        "the Host header names '" + host->substr(0, 100) +
                            "', which is not this node; --api-host adds a name it may be called by");
  }
  if (const auto origin = request.header("origin"); !origin.empty()) {
    const auto scheme = origin.find("://");
    const auto authority = scheme == std::string_view::npos ? origin : origin.substr(scheme + 3);
    if (scheme == std::string_view::npos || lower(authority) != lower(request.header("host"))) {
      return error_answer(403, "foreign_origin", "requests from other web pages are refused");
    }
  }
  const auto site = request.header("sec-fetch-site");
  if (!site.empty() && site != "same-origin" && site != "none" && !is_plain_navigation(request)) {
    return error_answer(403, "foreign_origin", "requests from other web pages are refused");
  }
  if (!rules.bearer_token.empty() && !is_open_to_all(request.path)) {
    const auto given = request.header("authorization");
    if (!given.starts_with("Bearer ") || !equal_secret(given.substr(7), rules.bearer_token)) {
      auto answer =
          error_answer(401, "unauthorized", "this API wants its token: Authorization: Bearer TOKEN");
      return answer.with("WWW-Authenticate", "Bearer realm=\"shoal\"");
    }
  }
  return std::nullopt;
}

}  // namespace shoal
