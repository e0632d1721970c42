// Answers in the Hub's form: headers that its clients look for, and its errors (reference sections 3 and 6).
#pragma once

#include "node/api/http_message.h"
#include "node/core/result.h"
#include "node/endpoint/endpoint_backend.h"

#include <string>
#include <string_view>

namespace shoal {

[[nodiscard]] HttpResponse hub_json_answer(std::string body);
// `code` is the X-Error-Code, empty for none. In the API the body is JSON, elsewhere plain text.
[[nodiscard]] HttpResponse hub_error(unsigned status, std::string_view code, std::string_view message,
                                     bool api);
[[nodiscard]] HttpResponse entry_not_found(std::string_view message, const std::string& commit, bool api);
// Why the Hub could not be asked: 429, 502, 503 or 504, never a 404 and never an X-Error-Code.
[[nodiscard]] HttpResponse hub_unreachable(const Error& error, bool api);
// What the Hub said, without what leads around the node. `base`: the address the program used.
[[nodiscard]] HttpResponse pass_on(const HubReply& reply, std::string_view base, bool api);

// The program's token: what follows "Bearer ".
[[nodiscard]] std::string token_of(const HttpRequest& request);
// "http://" and the Host header: where the program reached this node.
[[nodiscard]] std::string base_of(const HttpRequest& request);
// The query as it would be sent again.
[[nodiscard]] std::string query_text(const HttpRequest& request);

}  // namespace shoal
