// What clients ask for: the target of a request (node/api/request_target.h), and which question of the Hub it
// is (node/endpoint/hub_route.h).
#include "node/api/request_target.h"
#include "node/endpoint/hub_route.h"
#include "tests/fuzz/fuzz_target.h"

using namespace shoal;

namespace {

void check(const HubRoute& route) {
  using Kind = HubRoute::Kind;
  if (route.kind == Kind::none || route.kind == Kind::bad || route.kind == Kind::trifle ||
      route.kind == Kind::other_api) {
    return;
  }
  // A path of the cache is made of these.
  FUZZ_REQUIRE(is_valid_repo_name(route.repo.name));
  FUZZ_REQUIRE(is_valid_revision(route.revision));
  FUZZ_REQUIRE(route.path.empty() || is_valid_repo_path(route.path));
  if (route.kind == Kind::resolve || route.kind == Kind::raw) FUZZ_REQUIRE(!route.path.empty());
}

}  // namespace

SHOAL_FUZZ_TARGET(request_target, 1) {
  const auto text = fuzz::as_text(input);
  FUZZ_REQUIRE(text.find('\0') != std::string_view::npos ||
               percent_decode(percent_encode(text, false), true) == std::string(text));
  const auto target = parse_request_target(text);
  auto route = parse_hub_route(target ? std::string_view(target->raw_path) : text);
  check(route);
  if (route.kind == HubRoute::Kind::tree) {
    for (int i = 0; i < 4 && lengthen_revision(route); ++i) check(route);
  }
  if (!target) return;
  FUZZ_REQUIRE(target->path.starts_with('/') && target->path.find('\0') == std::string::npos);
  FUZZ_REQUIRE(target->query.size() <= 64);
  // Written again, the path is the same one.
  const auto again = parse_request_target(percent_encode(target->path, true));
  FUZZ_REQUIRE(again.has_value() && again->path == target->path && again->query.empty());
}
