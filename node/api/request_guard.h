// Which requests a browser may have been tricked into, and which carry the token.
//
// The API has no login on loopback, so the danger is a web page that talks to it through the user's browser:
// by another site's script (the Origin and Sec-Fetch-Site headers tell), or by DNS rebinding, where the
// attacker's own name resolves to 127.0.0.1 (the Host header tells). Programs that are not browsers send
// neither a foreign Origin nor a foreign Host.
#pragma once

#include "node/api/http_message.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace shoal {

struct GuardRules {
  std::vector<std::string> host_names;  // lower case, without port
  std::string bearer_token;             // empty: none wanted
};

// Numeric address of 127.0.0.0/8 or ::1, also as an IPv4-mapped IPv6 address.
[[nodiscard]] bool is_loopback_address(std::string_view address);

// The host part of a Host header in lower case, without port and brackets; nullopt when malformed.
[[nodiscard]] std::optional<std::string> host_of(std::string_view host_header);

// The answer that refuses the request, or nullopt when it may go on. `local_address` is the address the
// client connected to. /healthz never wants a token, so that a probe needs no secret.
[[nodiscard]] std::optional<HttpResponse> refuse_request(const GuardRules& rules, const HttpRequest& request,
                                                         std::string_view local_address);

}  // namespace shoal
