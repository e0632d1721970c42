// The routes of docs/api.md about exported files.
#include "node/api/export_backend.h"
#include "node/api/json_answer.h"
#include "node/api/json_rows.h"
#include "node/api/request_args.h"
#include "node/api/router.h"
#include "node/core/base64.h"

#include <utility>

#include <nlohmann/json.hpp>

namespace shoal {
namespace {

using Json = nlohmann::ordered_json;

Json to_json(const ExportedFile& file) {
  return Json{{"repo", file.repo.name},
              {"type", to_string(file.repo.type)},
              {"path", file.path},
              {"blob_id", file.blob.text()},
              {"size", file.blob.size},
              {"piece_size", file.piece_size},
              {"info_hash", file.info_hash.hex()},
              {"magnet", file.magnet}};
}

}  // namespace

void add_export_routes(Router& router, ExportBackend& backend) {
  router.add(
      "GET", "/shoal/v1/exports", [&backend](const HttpRequest& r, const PathParams&, Responder respond) {
        if (auto known = check_query(r, {}); !known) return respond(error_answer(known.error()));
        backend.exports([respond = std::move(respond)](const Result<std::vector<ExportedFile>>& files) {
          if (!files) return respond(error_answer(files.error()));
          Json rows = Json::array();
          for (const ExportedFile& file : *files) rows.push_back(to_json(file));
          respond(json_answer(200, dump(Json{{"exports", std::move(rows)}})));
        });
      });
  router.add("POST", "/shoal/v1/exports",
             [&backend](const HttpRequest& r, const PathParams&, Responder respond) {
               auto request = read_export_request(r);
               if (!request) return respond(error_answer(request.error()));
               backend.start_export(std::move(*request),
                                    [respond = std::move(respond)](const Result<ExportAnswer>& answer) {
                                      if (!answer) return respond(error_answer(answer.error()));
                                      Json out = to_json(answer->file);
                                      out["torrent"] = to_base64(std::as_bytes(std::span(answer->torrent)));
                                      respond(json_answer(200, dump(out)));
                                    });
             });
  router.add("DELETE", "/shoal/v1/exports/{info_hash}",
             [&backend](const HttpRequest&, const PathParams& params, Responder respond) {
               const auto hash = Hash256::parse(params.at("info_hash"));
               if (!hash)
                 return respond(error_answer(Error{Code::invalid, "an info-hash has 64 hex digits", 0}));
               backend.stop_export(*hash,
                                   [respond = std::move(respond), hash = *hash](const Result<void>& done) {
                                     respond(done ? json_answer(200, dump(Json{{"info_hash", hash.hex()}}))
                                                  : error_answer(done.error()));
                                   });
             });
}

}  // namespace shoal
