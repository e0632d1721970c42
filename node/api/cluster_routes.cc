// The routes of docs/api.md about closed clusters.
#include "node/api/cluster_backend.h"
#include "node/api/json_answer.h"
#include "node/api/json_rows.h"
#include "node/api/request_args.h"
#include "node/api/router.h"

#include <utility>

#include <nlohmann/json.hpp>

namespace shoal {
namespace {

using Json = nlohmann::ordered_json;

Json to_json(const std::vector<ClusterMember>& members) {
  Json rows = Json::array();
  for (const ClusterMember& member : members) {
    rows.push_back({{"node", member.node.hex()},
                    {"name", member.name},
                    {"serial", member.serial},
                    {"not_after", time_json(member.not_after)},
                    {"revoked", member.revoked}});
  }
  return rows;
}

Json to_json(const ClusterState& state) {
  Json out{{"cluster", state.cluster}, {"node", state.node.hex()}, {"closed", state.closed}};
  if (!state.closed) return out;
  out["authority"] = state.authority.hex();
  out["is_authority"] = state.is_authority;
  out["serial"] = state.serial;
  out["not_after"] = time_json(state.not_after);
  out["revoked"] = state.revoked;
  out["revocations"] = {{"number", state.list_number}, {"certificates", state.revoked_count}};
  if (!state.is_authority) return out;
  out["open_invites"] = state.open_invites;
  out["join_at"] = state.join_at ? Json(state.join_at->text()) : Json();
  out["members"] = to_json(state.members);
  return out;
}

// Answers a request that brings nothing back.
ClusterBackend::Reply<void> done_reply(Responder respond) {
  return [respond = std::move(respond)](const Result<void>& done) {
    respond(done ? json_answer(200, dump(Json{{"closed", true}})) : error_answer(done.error()));
  };
}

}  // namespace

void add_cluster_routes(Router& router, ClusterBackend& backend) {
  router.add("GET", "/shoal/v1/cluster",
             [&backend](const HttpRequest& r, const PathParams&, Responder respond) {
               if (auto known = check_query(r, {}); !known) return respond(error_answer(known.error()));
               backend.cluster_state([respond = std::move(respond)](const Result<ClusterState>& state) {
                 respond(state ? json_answer(200, dump(to_json(*state))) : error_answer(state.error()));
               });
             });
  router.add("POST", "/shoal/v1/cluster/init",
             [&backend](const HttpRequest& r, const PathParams&, Responder respond) {
               if (auto empty = read_empty_request(r); !empty) return respond(error_answer(empty.error()));
               backend.init_cluster(done_reply(std::move(respond)));
             });
  router.add("POST", "/shoal/v1/cluster/join",
             [&backend](const HttpRequest& r, const PathParams&, Responder respond) {
               auto join = read_cluster_join_request(r);
               if (!join) return respond(error_answer(join.error()));
               backend.join_cluster(std::move(*join), done_reply(std::move(respond)));
             });
  router.add("POST", "/shoal/v1/cluster/invite",
             [&backend](const HttpRequest& r, const PathParams&, Responder respond) {
               const auto life = read_invite_request(r);
               if (!life) return respond(error_answer(life.error()));
               backend.invite(*life, [respond = std::move(respond)](const Result<ClusterInvite>& invite) {
                 if (!invite) return respond(error_answer(invite.error()));
                 respond(json_answer(200, dump(Json{{"token", invite->token},
                                                    {"expires_at", time_json(invite->expires_at)},
                                                    {"join_at", invite->join_at.text()}})));
               });
             });
  router.add("POST", "/shoal/v1/cluster/revoke",
             [&backend](const HttpRequest& r, const PathParams&, Responder respond) {
               auto node = read_revoke_request(r);
               if (!node) return respond(error_answer(node.error()));
               backend.revoke(std::move(*node),
                              [respond = std::move(respond)](const Result<ClusterRevoked>& revoked) {
                                if (!revoked) return respond(error_answer(revoked.error()));
                                respond(json_answer(200, dump(Json{{"members", to_json(revoked->members)},
                                                                   {"number", revoked->list_number}})));
                              });
             });
}

}  // namespace shoal
