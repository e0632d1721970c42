// Bodies of the API's own requests (node/api/request_args.h).
#include "node/api/request_args.h"
#include "tests/fuzz/fuzz_target.h"

using namespace shoal;

SHOAL_FUZZ_TARGET(api_request, 2) {
  HttpRequest request;
  request.headers["content-type"] = "application/json";
  request.body = fuzz::as_text(input);
  if (const auto pull = read_pull_request(request)) {
    FUZZ_REQUIRE(is_valid_repo_name(pull->repo.name) && is_valid_revision(pull->revision));
    FUZZ_REQUIRE(pull->include.size() <= kGlobsMax && pull->exclude.size() <= kGlobsMax);
  }
  if (const auto pin = read_pin_request(request)) FUZZ_REQUIRE(is_valid_repo_name(pin->name));
  if (const auto load = read_load_request(request))
    FUZZ_REQUIRE(!load->duration || load->duration->count() >= 0);
  if (const auto seed = read_seed_request(request))
    FUZZ_REQUIRE(seed->path.empty() == seed->repo.has_value());
  if (const auto life = read_invite_request(request)) FUZZ_REQUIRE(life->count() > 0);
  // The others share the same reading of fields.
  static_cast<void>(read_verify_request(request).has_value());
  static_cast<void>(read_gc_request(request).has_value());
  static_cast<void>(read_export_request(request).has_value());
  static_cast<void>(read_empty_request(request).has_value());
  static_cast<void>(read_cluster_join_request(request).has_value());
  static_cast<void>(read_revoke_request(request).has_value());
}
