// The routes of docs/api.md: each reads its arguments, asks the backend, and turns the reply into JSON.
#include "node/api/api_server.h"
#include "node/api/event_feed.h"
#include "node/api/json_answer.h"
#include "node/api/json_rows.h"
#include "node/api/request_args.h"
#include "node/version.h"

#include <algorithm>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

namespace shoal {
namespace {

using Json = nlohmann::ordered_json;

// Rows in one answer. 100,000 rows of status are 50 MB of JSON: as much as one request may make.
constexpr std::size_t kRowsNormal = 10'000;
constexpr std::size_t kRowsMax = 100'000;
constexpr std::size_t kPullsNormal = 100;
constexpr std::size_t kPullsMax = 1'000;
constexpr std::size_t kEventsNormal = 100;
constexpr std::size_t kEventsMax = 10'000;  // as many as are kept

template <typename Rows>
Json rows_json(const Rows& rows) {
  Json out = Json::array();
  for (const auto& row : rows) out.push_back(to_json(row));
  return out;
}

// A reply that answers with what `make` makes of the value.
template <typename T, typename Make>
ApiBackend::Reply<T> reply_with(Responder respond, Make make) {
  return [respond = std::move(respond), make = std::move(make)](Result<T> result) {
    if (!result) return respond(error_answer(result.error()));
    if constexpr (std::is_void_v<T>) {
      respond(make());
    } else {
      respond(make(*result));
    }
  };
}

HttpResponse accepted(const char* resource, std::int64_t id) {
  auto answer = json_answer(202, dump(Json{{"id", id}}));
  answer.with("Location", std::string("/shoal/v1/") + resource + "/" + std::to_string(id));
  return answer;
}

// Which files of a pull an answer lists.
Result<std::string> read_files_choice(const HttpRequest& request) {
  auto choice = request.query_value("files").value_or("all");
  if (choice == "all" || choice == "active" || choice == "none") return choice;
  return fail(Code::invalid, "'files' must be all, active or none");
}

bool is_chosen(const FileStatus& file, const std::string& choice) {
  if (choice == "all") return true;
  return choice == "active" && (file.state == FileState::fetching || file.state == FileState::checking ||
                                file.state == FileState::failed);
}

Json pull_detail_json(const PullDetail& detail, const std::string& choice, std::size_t limit, WallTime at) {
  Json out = to_json(detail.pull);
  Json files = Json::array();
  bool truncated = false;
  for (const FileStatus& file : detail.files) {
    if (!is_chosen(file, choice)) continue;
    if (files.size() >= limit) {
      truncated = true;
      break;
    }
    files.push_back(to_json(file, at));
  }
  // `files` is the column with their number.
  out["status"] = std::move(files);
  out["truncated"] = truncated;
  return out;
}

void add_pull_routes(Router& router, ApiBackend& backend) {
  router.add(
      "GET", "/shoal/v1/pulls", [&backend](const HttpRequest& r, const PathParams&, Responder respond) {
        if (auto known = check_query(r, {"limit"}); !known) return respond(error_answer(known.error()));
        const auto limit = read_limit(r, kPullsNormal, kPullsMax);
        if (!limit) return respond(error_answer(limit.error()));
        backend.pulls(*limit, reply_with<std::vector<PullStatus>>(std::move(respond), [](const auto& pulls) {
          return json_answer(200, dump(Json{{"pulls", rows_json(pulls)}}));
        }));
      });
  router.add("POST", "/shoal/v1/pulls",
             [&backend](const HttpRequest& r, const PathParams&, Responder respond) {
               auto request = read_pull_request(r);
               if (!request) return respond(error_answer(request.error()));
               backend.start_pull(std::move(*request), reply_with<PullId>(std::move(respond), [](PullId id) {
                                    return accepted("pulls", to_int(id));
                                  }));
             });
  router.add("GET", "/shoal/v1/pulls/{id}",
             [&backend](const HttpRequest& r, const PathParams& p, Responder respond) {
               if (auto known = check_query(r, {"files", "limit", "wait_ms"}); !known)
                 return respond(error_answer(known.error()));
               const auto id = read_id(p.at("id"));
               if (!id) return respond(error_answer(id.error()));
               auto choice = read_files_choice(r);
               if (!choice) return respond(error_answer(choice.error()));
               const auto limit = read_limit(r, kRowsNormal, kRowsMax);
               if (!limit) return respond(error_answer(limit.error()));
               const auto wait = read_wait(r);
               if (!wait) return respond(error_answer(wait.error()));
               backend.pull(
                   PullId{*id}, *wait,
                   reply_with<PullDetail>(std::move(respond), [&backend, choice = *choice,
                                                               limit = *limit](const PullDetail& detail) {
                     const WallTime at = backend.snapshot()->at;
                     return json_answer(200, dump(pull_detail_json(detail, choice, limit, at)));
                   }));
             });
  router.add("DELETE", "/shoal/v1/pulls/{id}",
             [&backend](const HttpRequest&, const PathParams& p, Responder respond) {
               const auto id = read_id(p.at("id"));
               if (!id) return respond(error_answer(id.error()));
               backend.cancel_pull(PullId{*id}, reply_with<void>(std::move(respond), [id = *id] {
                                     return json_answer(200, dump(Json{{"id", id}}));
                                   }));
             });
}

void add_row_routes(Router& router, ApiBackend& backend) {
  router.add(
      "GET", "/shoal/v1/status", [&backend](const HttpRequest& r, const PathParams&, Responder respond) {
        if (auto known = check_query(r, {"repo", "type", "limit"}); !known)
          return respond(error_answer(known.error()));
        auto filter = read_repo_filter(r);
        if (!filter) return respond(error_answer(filter.error()));
        const auto limit = read_limit(r, kRowsNormal, kRowsMax);
        if (!limit) return respond(error_answer(limit.error()));
        backend.status(
            filter->repo, filter->type, *limit,
            reply_with<StatusPage>(std::move(respond), [](const StatusPage& page) {
              Json rows = Json::array();
              for (const StatusRow& row : page.rows) rows.push_back(to_json(row.file, row.updated_at));
              return json_answer(200, dump(Json{{"status", std::move(rows)}, {"truncated", page.truncated}}));
            }));
      });
  router.add("GET", "/shoal/v1/blobs",
             [&backend](const HttpRequest& r, const PathParams&, Responder respond) {
               if (auto known = check_query(r, {"repo", "type", "limit"}); !known)
                 return respond(error_answer(known.error()));
               auto filter = read_repo_filter(r);
               if (!filter) return respond(error_answer(filter.error()));
               const auto limit = read_limit(r, kRowsNormal, kRowsMax);
               if (!limit) return respond(error_answer(limit.error()));
               backend.holdings(filter->repo, filter->type, *limit,
                                reply_with<HoldingsPage>(std::move(respond), [](const HoldingsPage& page) {
                                  return json_answer(200, dump(Json{{"blobs", rows_json(page.rows)},
                                                                    {"truncated", page.truncated},
                                                                    {"blobs_held", page.blobs_held},
                                                                    {"bytes_held", page.bytes_held}}));
                                }));
             });
  router.add("GET", "/shoal/v1/peers",
             [&backend](const HttpRequest& r, const PathParams&, const Responder& respond) {
               if (auto known = check_query(r, {}); !known) return respond(error_answer(known.error()));
               respond(json_answer(200, dump(Json{{"peers", rows_json(backend.snapshot()->peers)}})));
             });
  router.add("GET", "/shoal/v1/node", [&backend](const HttpRequest& r, const PathParams&, Responder respond) {
    if (auto known = check_query(r, {}); !known) return respond(error_answer(known.error()));
    backend.info(reply_with<NodeInfo>(
        std::move(respond), [](const NodeInfo& info) { return json_answer(200, dump(to_json(info))); }));
  });
  router.add("GET", "/shoal/v1/load",
             [&backend](const HttpRequest& r, const PathParams&, const Responder& respond) {
               if (auto known = check_query(r, {}); !known) return respond(error_answer(known.error()));
               respond(json_answer(200, dump(to_json(backend.snapshot()->load))));
             });
  router.add("POST", "/shoal/v1/load",
             [&backend](const HttpRequest& r, const PathParams&, Responder respond) {
               auto request = read_load_request(r);
               if (!request) return respond(error_answer(request.error()));
               backend.set_busy(request->busy, request->duration,
                                reply_with<void>(std::move(respond), [busy = request->busy] {
                                  return json_answer(200, dump(Json{{"busy", busy}}));
                                }));
             });
}

void add_job_routes(Router& router, ApiBackend& backend) {
  const auto started = [](JobId id) { return accepted("jobs", static_cast<std::int64_t>(id)); };
  router.add("POST", "/shoal/v1/seed",
             [&backend, started](const HttpRequest& r, const PathParams&, Responder respond) {
               auto request = read_seed_request(r);
               if (!request) return respond(error_answer(request.error()));
               backend.start_seed(std::move(*request), reply_with<JobId>(std::move(respond), started));
             });
  router.add("POST", "/shoal/v1/verify",
             [&backend, started](const HttpRequest& r, const PathParams&, Responder respond) {
               auto repo = read_verify_request(r);
               if (!repo) return respond(error_answer(repo.error()));
               backend.start_verify(std::move(*repo), reply_with<JobId>(std::move(respond), started));
             });
  router.add("GET", "/shoal/v1/jobs", [&backend](const HttpRequest&, const PathParams&, Responder respond) {
    backend.jobs(reply_with<std::vector<JobStatus>>(std::move(respond), [](const auto& jobs) {
      return json_answer(200, dump(Json{{"jobs", rows_json(jobs)}}));
    }));
  });
  router.add("GET", "/shoal/v1/jobs/{id}",
             [&backend](const HttpRequest&, const PathParams& p, Responder respond) {
               const auto id = read_id(p.at("id"));
               if (!id) return respond(error_answer(id.error()));
               backend.job(JobId{*id}, reply_with<JobStatus>(std::move(respond), [](const JobStatus& job) {
                             return json_answer(200, dump(to_json(job)));
                           }));
             });
  router.add("DELETE", "/shoal/v1/jobs/{id}",
             [&backend](const HttpRequest&, const PathParams& p, Responder respond) {
               const auto id = read_id(p.at("id"));
               if (!id) return respond(error_answer(id.error()));
               backend.cancel_job(JobId{*id}, reply_with<void>(std::move(respond), [id = *id] {
                                    return json_answer(200, dump(Json{{"id", id}}));
                                  }));
             });
  router.add("DELETE", "/shoal/v1/repos/{type}/{repo...}",
             [&backend](const HttpRequest& r, const PathParams& p, Responder respond) {
               auto request = read_remove_request(p.at("type"), p.at("repo"), r);
               if (!request) return respond(error_answer(request.error()));
               backend.remove(std::move(*request),
                              reply_with<RemoveResult>(std::move(respond), [](const RemoveResult& removed) {
                                return json_answer(200, dump(Json{{"snapshots", removed.snapshots},
                                                                  {"files", removed.files},
                                                                  {"blobs", removed.blobs},
                                                                  {"bytes_freed", removed.bytes_freed}}));
                              }));
             });
}

void add_event_routes(Router& router, ApiBackend& backend, std::shared_ptr<EventFeed> feed) {
  router.add(
      "GET", "/shoal/v1/events",
      [&backend, feed = std::move(feed)](const HttpRequest& r, const PathParams&, Responder respond) {
        if (auto known = check_query(r, {"limit"}); !known) return respond(error_answer(known.error()));
        const auto limit = read_limit(r, kEventsNormal, kEventsMax);
        if (!limit) return respond(error_answer(limit.error()));
        if (r.header("accept").find("text/event-stream") != std::string_view::npos) {
          // A HEAD must not take one of the places.
          auto stream = r.head ? nullptr : feed->subscribe();
          if (!stream && !r.head) {
            return respond(error_answer(503, "unavailable", "too many clients listen to events already"));
          }
          HttpResponse answer;
          answer.with("Content-Type", "text/event-stream").with("Cache-Control", "no-store");
          if (stream) answer.body = std::move(stream);
          return respond(std::move(answer));
        }
        backend.events(*limit, reply_with<std::vector<EventRow>>(std::move(respond), [](const auto& events) {
          return json_answer(200, dump(Json{{"events", rows_json(events)}}));
        }));
      });
}

}  // namespace

std::string_view to_string(JobKind kind) {
  return kind == JobKind::seed ? "seed" : "verify";
}

void add_shoal_routes(Router& router, ApiBackend& backend, std::shared_ptr<EventFeed> feed) {
  router.add("GET", "/healthz", [&backend](const HttpRequest&, const PathParams&, const Responder& respond) {
    const auto snapshot = backend.snapshot();
    respond(json_answer(
        200, dump(Json{{"status", "ok"}, {"version", kVersion}, {"at", time_json(snapshot->at)}})));
  });
  add_pull_routes(router, backend);
  add_row_routes(router, backend);
  add_job_routes(router, backend);
  add_event_routes(router, backend, std::move(feed));
}

}  // namespace shoal
