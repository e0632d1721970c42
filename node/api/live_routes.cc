// Routes for whoever watches: all but `repos` and `doctor` are answered from the newest snapshot, without the
// daemon's loop.
#include "node/api/api_server.h"
#include "node/api/event_feed.h"
#include "node/api/json_answer.h"
#include "node/api/json_rows.h"
#include "node/api/live_rows.h"
#include "node/api/metrics.h"
#include "node/api/request_args.h"

#include <string>
#include <utility>

#include <nlohmann/json.hpp>

namespace shoal {
namespace {

using Json = nlohmann::ordered_json;

HttpResponse rates_answer(const StatusSnapshot& snapshot, bool minutes) {
  Json rows = Json::array();
  if (snapshot.rates) {
    for (const RateSample& sample : minutes ? snapshot.rates->minutes() : snapshot.rates->seconds()) {
      rows.push_back(to_json(sample));
    }
  }
  return json_answer(200, dump(Json{{"rates", std::move(rows)}}));
}

}  // namespace

void add_live_routes(Router& router, ApiBackend& backend, std::shared_ptr<EventFeed> progress) {
  router.add("GET", "/shoal/v1/progress",
             [&backend, feed = std::move(progress)](const HttpRequest& r, const PathParams&,
                                                    const Responder& respond) {
               if (auto known = check_query(r, {}); !known) return respond(error_answer(known.error()));
               if (r.header("accept").find("text/event-stream") == std::string_view::npos) {
                 return respond(json_answer(200, dump(progress_json(*backend.snapshot()))));
               }
               HttpResponse answer;
               answer.with("Content-Type", "text/event-stream").with("Cache-Control", "no-store");
               if (!r.head) {  // a HEAD must not take one of the places
                 auto stream = feed->subscribe(progress_frame(*backend.snapshot()));
                 if (!stream) {
                   return respond(error_answer(503, "unavailable", "too many clients watch already"));
                 }
                 answer.body = std::move(stream);
               }
               respond(std::move(answer));
             });
  router.add("GET", "/metrics", [&backend](const HttpRequest&, const PathParams&, const Responder& respond) {
    HttpResponse answer;
    answer.with("Content-Type", "text/plain; version=0.0.4; charset=utf-8").with("Cache-Control", "no-store");
    answer.body = metrics_text(*backend.snapshot());
    respond(std::move(answer));
  });
  router.add("GET", "/shoal/v1/rates",
             [&backend](const HttpRequest& r, const PathParams&, const Responder& respond) {
               if (auto known = check_query(r, {"series"}); !known)
                 return respond(error_answer(known.error()));
               const auto series = r.query_value("series").value_or("seconds");
               if (series != "seconds" && series != "minutes") {
                 return respond(error_answer(400, "invalid", "'series' must be seconds or minutes"));
               }
               respond(rates_answer(*backend.snapshot(), series == "minutes"));
             });
  router.add("GET", "/shoal/v1/pulls/{id}/pieces",
             [&backend](const HttpRequest& r, const PathParams& p, const Responder& respond) {
               if (auto known = check_query(r, {}); !known) return respond(error_answer(known.error()));
               const auto id = read_id(p.at("id"));
               if (!id) return respond(error_answer(id.error()));
               const auto json = pieces_json(*backend.snapshot(), PullId{*id});
               if (!json) {
                 return respond(error_answer(404, "not_found", "there is no pull " + std::to_string(*id)));
               }
               respond(json_answer(200, dump(*json)));
             });
  router.add("GET", "/shoal/v1/doctor",
             [&backend](const HttpRequest& r, const PathParams&, Responder respond) {
               if (auto known = check_query(r, {}); !known) return respond(error_answer(known.error()));
               backend.doctor([respond = std::move(respond)](const Result<std::vector<DoctorCheck>>& checks) {
                 if (!checks) return respond(error_answer(checks.error()));
                 Json rows = Json::array();
                 for (const DoctorCheck& c : *checks) {
                   rows.push_back({{"check", c.check}, {"result", c.result}, {"text", c.text}});
                 }
                 respond(json_answer(200, dump(Json{{"checks", std::move(rows)}})));
               });
             });
  router.add("GET", "/shoal/v1/repos",
             [&backend](const HttpRequest& r, const PathParams&, Responder respond) {
               if (auto known = check_query(r, {}); !known) return respond(error_answer(known.error()));
               backend.repos([respond = std::move(respond)](const Result<std::vector<RepoSummary>>& repos) {
                 if (!repos) return respond(error_answer(repos.error()));
                 Json rows = Json::array();
                 for (const RepoSummary& repo : *repos) rows.push_back(to_json(repo));
                 respond(json_answer(200, dump(Json{{"repos", std::move(rows)}})));
               });
             });
}

}  // namespace shoal
