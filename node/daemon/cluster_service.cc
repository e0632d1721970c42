#include "node/daemon/cluster_service.h"

#include "node/core/invite_token.h"
#include "node/trust/crl.h"
#include "node/trust/join_client.h"

#include <algorithm>
#include <memory>
#include <utility>

namespace shoal {
namespace {

ClusterMember member_of(const CertificateInfo& info, bool revoked) {
  return {info.node, info.name, info.serial, info.not_after, revoked};
}

Unexpected<Error> not_the_authority(bool closed) {
  return shoal::fail(
      Code::invalid,
      closed ? "this machine is a member, not the authority: run it where `shoal cluster init` was run"
             : "this node is in no closed cluster: `shoal cluster init` makes one");
}

// Everything of joining that blocks: the key is made here and stays here.
Result<void> join_now(const TrustFolder& folder, const ClusterService::Self& self, const ClusterJoin& join) {
  const auto token = parse_token(join.token);
  if (!token) return shoal::fail(token.error());
  auto key = make_key();
  if (!key) return shoal::fail(key.error());
  auto request = make_request(*key, self.node);
  if (!request) return shoal::fail(request.error());
  const auto answer = ask_to_join(join.host, join.port, token->authority,
                                  {token->secret, self.node, self.name, self.cluster, std::move(*request)});
  if (!answer) return shoal::fail(answer.error());
  const Keyed node{std::move(*key), answer->cert_pem};
  const auto print = fingerprint(answer->authority_pem);
  if (!print || *print != token->authority)
    return shoal::fail(Code::unauthorized, "the answer is of another authority than the token");
  const auto info = check_node(answer->authority_pem, node);
  if (!info) return shoal::fail(info.error());
  if (info->node != self.node) return shoal::fail(Code::unauthorized, "the certificate is another node's");
  if (!answer->revoked_der.empty()) {
    if (const auto list = read_crl(answer->authority_pem, answer->revoked_der); !list)
      return shoal::fail(list.error());
  }
  return folder.join(answer->authority_pem, node, answer->revoked_der);
}

}  // namespace

ClusterService::ClusterService(Loop& loop, EventLog& events, TrustFolder folder, Self self,
                               std::optional<Membership> membership, Hooks hooks)
    : loop_(loop),
      events_(events),
      folder_(std::move(folder)),
      self_(std::move(self)),
      membership_(std::move(membership)),
      hooks_(std::move(hooks)) {}

ClusterService::~ClusterService() = default;

Result<void> ClusterService::open_authority() {
  if (!membership_) return {};
  auto opened = Authority::open(folder_, membership_->revoked);
  if (opened) {
    authority_ = std::move(*opened);
    return {};
  }
  if (opened.error().code == Code::not_found) return {};
  return shoal::fail(opened.error());
}

// ---- who was put out

void ClusterService::on_neighbour_up(NodeId node) {
  if (membership_ && !membership_->revoked_der.empty())
    hooks_.send(node, msg::Revocations{membership_->revoked_der});
}

void ClusterService::on_revocations(NodeId from, msg::Revocations message) {
  // One at a time of each: a signature costs 0.1 ms, and honest neighbours send a list when it changed.
  if (!membership_ || message.list == membership_->revoked_der || !checking_.insert(from).second) return;
  // Shared, not copied and moved: which of two arguments is made first is not laid down.
  const auto der = std::make_shared<const std::vector<std::byte>>(std::move(message.list));
  loop_.run([authority = membership_->authority_pem, der] { return read_crl(authority, *der); },
            [this, from, der](Result<RevocationList> list) {
              checking_.erase(from);
              if (!list) {
                events_.warn("bad_revocations",
                             "neighbour " + from.short_hex() + ": " + list.error().message);
              } else if (list->replaces(membership_->revoked)) {
                take_list(std::move(*list), *der, from);
              }
            });
}

void ClusterService::take_list(RevocationList list, std::vector<std::byte> der, NodeId from) {
  membership_->revoked = std::move(list);
  membership_->revoked_der = std::move(der);
  hooks_.on_revoked(membership_->revoked);
  if (from != NodeId{}) {
    loop_.record([folder = folder_, bytes = membership_->revoked_der] { return folder.save_revoked(bytes); },
                 [this](const Result<void>& saved) {
                   if (!saved) events_.warn("disk_trouble", saved.error().message);
                 });
  }
  events_.info("revocations",
               "certificates that are good no more: " + std::to_string(membership_->revoked.serials.size()) +
                   " (list " + std::to_string(membership_->revoked.number) + ")");
  if (membership_->revoked.contains(membership_->info.serial))
    events_.warn("put_out", "this machine was put out of the cluster; a new invitation lets it in again");
  for (const NodeId node : hooks_.alive()) {
    if (node != from) hooks_.send(node, msg::Revocations{membership_->revoked_der});
  }
}

void ClusterService::revoke(std::string node, Reply<ClusterRevoked> reply) {
  loop_.post([this, node = std::move(node), reply = std::move(reply)] {
    if (!authority_) return reply(not_the_authority(membership_.has_value()));
    loop_.record([authority = authority_, node,
                  self = self_.node] { return authority->revoke(node, self, wall_clock_now()); },
                 [this, reply](Result<Authority::Revoked> revoked) {
                   if (!revoked) return reply(shoal::fail(revoked.error()));
                   ClusterRevoked out;
                   out.list_number = revoked->list.number;
                   for (const CertificateInfo& info : revoked->members)
                     out.members.push_back(member_of(info, true));
                   events_.warn("machine_put_out",
                                out.members.front().name + " (" + out.members.front().node.short_hex() + ")");
                   take_list(std::move(revoked->list), std::move(revoked->der), NodeId{});
                   reply(std::move(out));
                 });
  });
}

// ---- founding and joining

void ClusterService::become_member(const Result<void>& done, const char* event, const std::string& text,
                                   const Reply<void>& reply) {
  changing_ = false;
  if (done) events_.info(event, text);
  reply(done);
  if (done) hooks_.start_over();
}

void ClusterService::init_cluster(Reply<void> reply) {
  loop_.post([this, reply = std::move(reply)] {
    if (membership_ || changing_)
      return reply(
          shoal::fail(Code::changed, "this node is in the closed cluster " + self_.cluster + " already"));
    changing_ = true;
    loop_.run(
        [folder = folder_, self = self_] {
          return found_cluster(folder, self.cluster, self.node, self.name, wall_clock_now());
        },
        [this, reply](const Result<void>& done) {
          become_member(done, "cluster_founded", "the cluster " + self_.cluster + " is closed from now on",
                        reply);
        });
  });
}

void ClusterService::join_cluster(ClusterJoin join, Reply<void> reply) {
  loop_.post([this, join = std::move(join), reply = std::move(reply)] {
    if (membership_ || changing_) {
      return reply(shoal::fail(Code::changed, "this node is in the closed cluster " + self_.cluster +
                                                  " already; to leave it stop shoald and remove `trust` from "
                                                  "its state directory"));
    }
    changing_ = true;
    loop_.run([folder = folder_, self = self_, join] { return join_now(folder, self, join); },
              [this, reply, join](const Result<void>& done) {
                become_member(done, "cluster_joined",
                              "this machine was let into the cluster " + self_.cluster + " by " + join.host,
                              reply);
              });
  });
}

// ---- letting in

void ClusterService::invite(std::chrono::seconds life, Reply<ClusterInvite> reply) {
  loop_.post([this, life, reply = std::move(reply)] {
    if (!authority_) return reply(not_the_authority(membership_.has_value()));
    if (auto opened = open_join_port(std::chrono::steady_clock::now()); !opened)
      return reply(shoal::fail(opened.error()));
    auto invite = authority_->invite(life, wall_clock_now());
    if (!invite) return reply(shoal::fail(invite.error()));
    unused_since_.reset();
    reply(ClusterInvite{std::move(invite->token), {invite->expires_at * 1000}, port_->endpoint()});
  });
}

Result<void> ClusterService::open_join_port(Time now) {
  if (port_ && now - port_opened_ < kListenerRenewal) return {};
  const auto shown = authority_->listener(wall_clock_now());
  if (!shown) return shoal::fail(shown.error());
  port_.reset();  // before the new one listens at the same place
  auto port = JoinListener::start(
      self_.join_listen, *shown, membership_->authority_pem,
      [this](const std::string& request, const std::string& remote) { return answer_join(request, remote); });
  if (!port) return shoal::fail(port.error());
  port_ = std::move(*port);
  port_opened_ = now;
  return {};
}

std::string ClusterService::answer_join(const std::string& request, const std::string& remote) {
  const auto parsed = parse_join_request(request);
  auto joined = parsed ? authority_->let_in(*parsed, wall_clock_now())
                       : Result<Authority::Joined>(shoal::fail(parsed.error()));
  // Never the secret: only what was decided.
  std::string text = joined ? joined->info.name + " (" + joined->info.node.short_hex() + ") at " + remote
                            : remote + ": " + joined.error().message;
  loop_.post([this, ok = joined.has_value(), text = std::move(text)] {
    if (ok) {
      events_.info("machine_let_in", text);
    } else {
      events_.warn("join_refused", text);
    }
  });
  return joined ? format_join_answer(joined->answer) : format_join_refusal(joined.error());
}

void ClusterService::tick(Time now) {
  if (!port_) return;
  if (authority_->open_invites(wall_clock_now()) == 0) {
    if (!unused_since_) unused_since_ = now;
    if (now - *unused_since_ >= kPortLinger) port_.reset();
    return;
  }
  unused_since_.reset();
  if (auto opened = open_join_port(now); !opened) {
    events_.warn("join_port", opened.error().message);
  }
}

// ---- status

ClusterState ClusterService::state() const {
  ClusterState out;
  out.cluster = self_.cluster;
  out.node = self_.node;
  out.closed = membership_.has_value();
  if (!membership_) return out;
  out.is_authority = authority_ != nullptr;
  out.authority = membership_->authority;
  out.serial = membership_->info.serial;
  out.not_after = membership_->info.not_after;
  out.revoked = membership_->revoked.contains(membership_->info.serial);
  out.list_number = membership_->revoked.number;
  out.revoked_count = membership_->revoked.serials.size();
  if (authority_) out.open_invites = authority_->open_invites(wall_clock_now());
  if (port_) out.join_at = port_->endpoint();
  return out;
}

void ClusterService::cluster_state(Reply<ClusterState> reply) {
  loop_.post([this, reply = std::move(reply)] {
    if (!authority_) return reply(state());
    loop_.run([authority = authority_] { return authority->members(); },
              [this, reply](Result<std::vector<Authority::Member>> members) {
                if (!members) return reply(shoal::fail(members.error()));
                ClusterState out = state();
                for (const auto& member : *members)
                  out.members.push_back(member_of(member.info, member.revoked));
                reply(std::move(out));
              });
  });
}

}  // namespace shoal
