// What an answer of the Hub other than 2xx and 3xx means, as an Error whose sentence says what to do
// (reference section 6). Pure.
#pragma once

#include "node/core/ids.h"
#include "node/core/result.h"
#include "transport/origin/response_head.h"

#include <string>
#include <string_view>

namespace shoal {

// What stands before a repo's name in its pages and files: "/", "/datasets/" or "/spaces/".
[[nodiscard]] std::string_view web_prefix(RepoType type);

// What was asked; for the sentence.
struct HubQuestion {
  RepoRef repo;
  std::string revision;  // empty: not part of the question
  std::string path;      // empty: not part of the question
  std::string host;      // the Hub's, as in Url::origin()
  bool with_token = false;

  // "config.json of model org/name at main", as far as it goes.
  [[nodiscard]] std::string text() const;
};

// `X-Error-Code` comes first, the status second, as in Python. Error::raw is the status.
[[nodiscard]] Error hub_error(const HubQuestion& question, const ResponseHead& head);

// The answer may be another one if asked again: 408 and all 5xx but 501 and 505. (429 has its own way.)
[[nodiscard]] bool is_passing_trouble(int status);

}  // namespace shoal
