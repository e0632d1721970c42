// Answers of the API: a JSON body, or the one form every error has.
#pragma once

#include "node/api/http_message.h"
#include "node/core/result.h"

#include <string>
#include <string_view>

namespace shoal {

// The HTTP status that tells a client the same as the code does.
[[nodiscard]] unsigned http_status_of(Code code);

[[nodiscard]] HttpResponse json_answer(unsigned status, std::string body);
// {"error":{"code":..., "message":...}}
[[nodiscard]] HttpResponse error_answer(unsigned status, std::string_view code, std::string_view message);
[[nodiscard]] HttpResponse error_answer(const Error& error);

}  // namespace shoal
