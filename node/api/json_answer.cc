#include "node/api/json_answer.h"

#include <utility>

#include <nlohmann/json.hpp>

namespace shoal {

unsigned http_status_of(Code code) {
  switch (code) {
    case Code::not_found:
      return 404;
    // Not 401: that would ask for this API's own token, and it is the Hub that refuses.
    case Code::unauthorized:
    case Code::gated:
      return 403;
    case Code::corrupt:
      return 422;
    case Code::no_space:
      return 507;
    case Code::io:
      return 500;
    case Code::timeout:
      return 504;
    case Code::rate_limited:
      return 429;
    case Code::unavailable:
      return 503;
    case Code::cancelled:
    case Code::changed:
      return 409;
    case Code::invalid:
      return 400;
    case Code::expired:
      return 502;
  }
  return 500;
}

HttpResponse json_answer(unsigned status, std::string body) {
  HttpResponse out;
  out.status = status;
  out.with("Content-Type", "application/json").with("Cache-Control", "no-store");
  body.push_back('\n');
  out.body = std::move(body);
  return out;
}

HttpResponse error_answer(unsigned status, std::string_view code, std::string_view message) {
  const nlohmann::json body{{"error", {{"code", code}, {"message", message}}}};
  return json_answer(status, body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

HttpResponse error_answer(const Error& error) {
  return error_answer(http_status_of(error.code), to_string(error.code), error.message);
}

}  // namespace shoal
