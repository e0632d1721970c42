// The status page at `/`, its parts at `/page/...`, and the description of the API.
#include "node/api/api_server.h"
#include "node/api/json_answer.h"
#include "node/api/page_assets.h"

#include <string>

namespace shoal {
namespace {

// Nothing from elsewhere, nothing inline, in nobody's frame: what a repo or neighbour is called can then be
// shown without becoming a program, and no other page can dress up as this one.
constexpr const char* kContentSecurityPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

HttpResponse page_answer(const HttpRequest& request, const PageAsset& asset) {
  HttpResponse out;
  out.with("Content-Type", std::string(asset.content_type))
      .with("ETag", std::string(asset.etag))
      // Always asked for again, nearly always answered with 304: an upgrade shows at the next load.
      .with("Cache-Control", "no-cache")
      .with("Content-Security-Policy", kContentSecurityPolicy)
      .with("Referrer-Policy", "no-referrer")
      .with("Cross-Origin-Opener-Policy", "same-origin");
  if (request.header("if-none-match").find(asset.etag) != std::string_view::npos) {
    out.status = 304;
  } else {
    out.body = std::string(asset.bytes);
  }
  return out;
}

}  // namespace

void add_page_routes(Router& router) {
  for (const PageAsset& asset : page_assets()) {
    std::string path = "/page/" + std::string(asset.name);
    if (asset.name == "index.html") path = "/";
    if (asset.name == "openapi.json") path = "/shoal/v1/openapi.json";
    router.add("GET", path, [asset](const HttpRequest& request, const PathParams&, const Responder& respond) {
      respond(page_answer(request, asset));
    });
  }
}

}  // namespace shoal
