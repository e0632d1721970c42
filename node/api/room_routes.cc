// The routes of docs/api.md that make room and keep it: gc and pins.
#include "node/api/api_server.h"
#include "node/api/json_answer.h"
#include "node/api/json_rows.h"
#include "node/api/request_args.h"

#include <utility>

#include <nlohmann/json.hpp>

namespace shoal {
namespace {

using Json = nlohmann::ordered_json;

Json to_json(const EvictionChoice& choice) {
  return Json{{"repo", choice.repo.name},
              {"type", to_string(choice.repo.type)},
              {"commit_id", choice.commit},
              {"evict", choice.verdict == Verdict::evict},
              {"reason", to_string(choice.verdict)},
              {"frees", choice.frees},
              {"last_copies", choice.last_copies},
              {"last_used_at", time_json(choice.last_used)}};
}

Json to_json(const GcResult& result) {
  Json choices = Json::array();
  for (const EvictionChoice& choice : result.choices) choices.push_back(to_json(choice));
  return Json{{"dry_run", result.dry_run},           {"bytes_held", result.bytes_held},
              {"bytes_needed", result.bytes_needed}, {"bytes_freed", result.bytes_freed},
              {"neighbours", result.neighbours},     {"choices", std::move(choices)}};
}

Json to_json(const RepoRef& repo) {
  return Json{{"repo", repo.name}, {"type", to_string(repo.type)}};
}

void set_pinned(ApiBackend& backend, RepoRef repo, bool pinned, Responder respond) {
  Json answer = to_json(repo);
  answer["pinned"] = pinned;
  backend.set_pinned(std::move(repo), pinned,
                     [respond = std::move(respond), answer = std::move(answer)](const Result<void>& done) {
                       respond(done ? json_answer(200, dump(answer)) : error_answer(done.error()));
                     });
}

}  // namespace

void add_room_routes(Router& router, ApiBackend& backend) {
  router.add("POST", "/shoal/v1/gc", [&backend](const HttpRequest& r, const PathParams&, Responder respond) {
    auto request = read_gc_request(r);
    if (!request) return respond(error_answer(request.error()));
    backend.collect_garbage(*request, [respond = std::move(respond)](const Result<GcResult>& result) {
      respond(result ? json_answer(200, dump(to_json(*result))) : error_answer(result.error()));
    });
  });
  router.add("GET", "/shoal/v1/pins", [&backend](const HttpRequest& r, const PathParams&, Responder respond) {
    if (auto known = check_query(r, {}); !known) return respond(error_answer(known.error()));
    backend.pins([respond = std::move(respond)](const Result<std::vector<RepoRef>>& repos) {
      if (!repos) return respond(error_answer(repos.error()));
      Json rows = Json::array();
      for (const RepoRef& repo : *repos) rows.push_back(to_json(repo));
      respond(json_answer(200, dump(Json{{"pins", std::move(rows)}})));
    });
  });
  router.add("POST", "/shoal/v1/pins",
             [&backend](const HttpRequest& r, const PathParams&, Responder respond) {
               auto repo = read_pin_request(r);
               if (!repo) return respond(error_answer(repo.error()));
               set_pinned(backend, std::move(*repo), true, std::move(respond));
             });
  router.add("DELETE", "/shoal/v1/pins/{type}/{repo...}",
             [&backend](const HttpRequest& r, const PathParams& p, Responder respond) {
               auto request = read_remove_request(p.at("type"), p.at("repo"), r);
               if (!request) return respond(error_answer(request.error()));
               set_pinned(backend, std::move(request->repo), false, std::move(respond));
             });
}

}  // namespace shoal
