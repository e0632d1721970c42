#include "node/endpoint/hub_answer.h"

#include "node/api/request_target.h"
#include "node/endpoint/hub_json.h"

#include <algorithm>
#include <array>
#include <utility>

namespace shoal {
namespace {

// Of the Hub's answers. Not in it: Xet, cookies, CORS, redirects and whatever names another host.
constexpr std::array<std::string_view, 13> kPassedOn{
    "content-type", "x-error-code", "x-error-message",    "x-repo-commit", "www-authenticate",
    "retry-after",  "ratelimit",    "ratelimit-policy",   "x-request-id",  "x-total-count",
    "x-hf-warning", "etag",         "content-disposition"};

constexpr std::size_t kTokenMax = 4096;  // the Hub's have 37 characters, OAuth's some hundred

std::string header_of(const HubReply& reply, std::string_view name) {
  for (const auto& [key, value] : reply.headers) {
    if (key == name) return value;
  }
  return {};
}

}  // namespace

HttpResponse hub_json_answer(std::string body) {
  HttpResponse out;
  out.with("Content-Type", "application/json; charset=utf-8");
  out.body = std::move(body);
  return out;
}

HttpResponse hub_error(unsigned status, std::string_view code, std::string_view message, bool api) {
  HttpResponse out;
  out.status = status;
  if (!code.empty()) out.with("X-Error-Code", std::string(code));
  out.with("X-Error-Message", std::string(message));
  out.with("Content-Type", api ? "application/json; charset=utf-8" : "text/plain; charset=utf-8");
  if (status == 401) {
    out.with("WWW-Authenticate", "Bearer realm=\"Authentication required\", charset=\"UTF-8\"");
  }
  out.body = api ? error_json(message) : std::string(message);
  return out;
}

HttpResponse entry_not_found(std::string_view message, const std::string& commit, bool api) {
  auto out = hub_error(404, "EntryNotFound", message, api);
  // Only with the commit do clients remember that the file is missing.
  return std::move(out.with("X-Repo-Commit", commit));
}

HttpResponse hub_unreachable(const Error& error, bool api) {
  unsigned status = 503;
  if (error.code == Code::timeout) status = 504;
  if (error.code == Code::invalid || error.code == Code::changed) status = 502;
  if (error.code == Code::rate_limited) status = 429;
  if (error.code == Code::no_space) status = 507;
  auto out = hub_error(status, "", error.message, api);
  if (status == 429 || status == 503) out.with("Retry-After", "5");
  return out;
}

HttpResponse pass_on(const HubReply& reply, std::string_view base, bool api) {
  HttpResponse out;
  out.status = static_cast<unsigned>(reply.status);
  for (const auto& [name, value] : reply.headers) {
    if (std::ranges::find(kPassedOn, name) != kPassedOn.end()) out.with(name, value);
  }
  if (auto link = next_link(header_of(reply, "link"), base); !link.empty()) out.with("Link", std::move(link));
  // Python takes a bare 401 for "repository not found" only from https (reference section 6).
  const bool bad_token = header_of(reply, "x-error-message").starts_with("Invalid credentials");
  if (reply.status == 401 && header_of(reply, "x-error-code").empty() && !bad_token) {
    out.with("X-Error-Code", "RepoNotFound");
  }
  if (reply.status >= 300 && reply.status < 400) {
    // Where it leads has been followed as far as it stays on the Hub; the rest is no client's business.
    return hub_error(502, "", "the Hub redirects this to another host", api);
  }
  out.body = api ? without_xet(reply.body) : reply.body;
  return out;
}

std::string token_of(const HttpRequest& request) {
  const auto header = request.header("authorization");
  if (header.size() < 7 || header.size() > kTokenMax) return {};
  if (!std::ranges::equal(header.substr(0, 7), std::string_view("bearer "),
                          [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b; })) {
    return {};
  }
  auto token = header.substr(7);
  while (token.starts_with(' ')) token.remove_prefix(1);
  // It is put into a header again.
  if (!std::ranges::all_of(token, [](char c) { return c > ' ' && c < 127; })) return {};
  return std::string(token);
}

std::string base_of(const HttpRequest& request) {
  return "http://" + std::string(request.header("host"));
}

std::string query_text(const HttpRequest& request) {
  std::string out;
  for (const auto& [name, value] : request.query) {
    out += (out.empty() ? "" : "&") + percent_encode(name, false) + "=" + percent_encode(value, false);
  }
  return out;
}

}  // namespace shoal
