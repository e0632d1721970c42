// Bodies of clients and answers of the Hub that pass through the endpoint (node/endpoint/hub_json.h).
#include "node/endpoint/hub_json.h"
#include "tests/fuzz/fuzz_target.h"

using namespace shoal;

SHOAL_FUZZ_TARGET(endpoint_json, 2) {
  const auto text = fuzz::as_text(input);
  for (const char* type : {"application/json", "application/x-www-form-urlencoded"}) {
    const auto question = read_paths_question(type, text);
    if (question) FUZZ_REQUIRE(question->paths.size() <= kPathsMax);
  }
  const std::string clean = without_xet(std::string(text));
  FUZZ_REQUIRE(without_xet(clean) == clean);
  const auto link = next_link(text, "http://127.0.0.1:8420");
  // Whatever the Hub's header says: the link leads to this node.
  FUZZ_REQUIRE(link.empty() || link.starts_with("<http://127.0.0.1:8420/api/"));
}
