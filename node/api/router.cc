#include "node/api/router.h"

#include "node/api/json_answer.h"
#include "node/api/request_target.h"

#include <algorithm>
#include <exception>
#include <optional>
#include <utility>

namespace shoal {
namespace {

std::vector<std::string> split(std::string_view path) {
  std::vector<std::string> out;
  if (path.starts_with('/')) path.remove_prefix(1);
  while (true) {
    const auto slash = path.find('/');
    out.emplace_back(path.substr(0, slash));
    if (slash == std::string_view::npos) return out;
    path.remove_prefix(slash + 1);
  }
}

template <typename Handler>
void guarded(const Responder& respond, const Handler& handler) {
  try {
    handler();
  } catch (const std::exception& e) {
    respond(error_answer(500, "io", std::string("the request could not be handled: ") + e.what()));
  }
}

bool is_parameter(const std::string& segment) {
  return segment.starts_with('{') && segment.ends_with('}');
}

}  // namespace

void Router::add(std::string method, std::string_view pattern, RouteHandler handler) {
  routes_.push_back({std::move(method), split(pattern), std::move(handler)});
}

bool Router::match(const Route& route, const std::vector<std::string>& segments, PathParams& params) {
  params.clear();
  for (std::size_t i = 0; i < route.segments.size(); ++i) {
    const std::string& wanted = route.segments[i];
    if (i >= segments.size()) return false;
    if (!is_parameter(wanted)) {
      if (wanted != segments[i]) return false;
      continue;
    }
    std::string name = wanted.substr(1, wanted.size() - 2);
    if (name.ends_with("...")) {
      std::string rest = segments[i];
      for (std::size_t k = i + 1; k < segments.size(); ++k) rest += "/" + segments[k];
      params[name.substr(0, name.size() - 3)] = std::move(rest);
      return true;
    }
    if (segments[i].empty()) return false;
    params[std::move(name)] = segments[i];
  }
  return segments.size() == route.segments.size();
}

void Router::handle(const HttpRequest& request, Responder respond) const {
  // Split before decoding: an escaped slash belongs to its segment.
  std::vector<std::string> segments;
  for (const std::string& raw : split(request.raw_path)) {
    segments.push_back(percent_decode(raw, false).value_or(raw));
  }
  PathParams params;
  std::string allow;
  for (const Route& route : routes_) {
    if (!match(route, segments, params)) continue;
    if (route.method == request.method) {
      return guarded(respond, [&] { route.handler(request, params, respond); });
    }
    if (allow.find(route.method) == std::string::npos) allow += (allow.empty() ? "" : ", ") + route.method;
    if (route.method == "GET") allow += ", HEAD";
  }
  bool answered = false;
  if (allow.empty() && fallback_) guarded(respond, [&] { answered = fallback_(request, respond); });
  if (answered) return;
  if (allow.empty()) {
    return respond(error_answer(404, "not_found", "there is nothing at " + request.path.substr(0, 200)));
  }
  auto answer =
      error_answer(405, "invalid", request.path.substr(0, 200) + " does not take " + request.method);
  respond(std::move(answer.with("Allow", allow)));
}

}  // namespace shoal
