// From method and path to a handler.
//
// Patterns are literal segments, `{name}` for one segment and a last `{name...}` for the rest. The first
// match in order of registration wins. A path that exists with another method answers 405 with Allow; an
// unknown one 404. Exceptions of a handler become a 500.
#pragma once

#include "node/api/http_message.h"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace shoal {

using PathParams = std::map<std::string, std::string>;  // decoded
using RouteHandler = std::function<void(const HttpRequest&, const PathParams&, Responder)>;

class Router {
 public:
  void add(std::string method, std::string_view pattern, RouteHandler handler);
  // Gets what no pattern matches, whatever the method. False: it does not answer that, which makes it a 404.
  using Fallback = std::function<bool(const HttpRequest&, const Responder&)>;
  void set_fallback(Fallback handler) { fallback_ = std::move(handler); }
  void handle(const HttpRequest& request, Responder respond) const;

 private:
  struct Route {
    std::string method;
    std::vector<std::string> segments;
    RouteHandler handler;
  };
  [[nodiscard]] static bool match(const Route& route, const std::vector<std::string>& segments,
                                  PathParams& params);
  std::vector<Route> routes_;
  Fallback fallback_;
};

}  // namespace shoal
