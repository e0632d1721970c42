#include "node/trust/authority.h"

#include "node/trust/crl.h"
#include "node/trust/openssl_types.h"

#include <algorithm>
#include <set>
#include <utility>

#include <openssl/rand.h>

namespace shoal {
namespace {

constexpr std::size_t kPrefixMin = 8;  // hex digits of a node id, as `shoal peers` shows them

std::int64_t seconds_of(WallTime now) {
  return now.ms / 1000;
}

bool fits(const CertificateInfo& info, const std::string& node) {
  return info.name == node || (node.size() >= kPrefixMin && info.node.hex().starts_with(node));
}

}  // namespace

Authority::Authority(TrustFolder folder, Keyed keyed, RevocationList revoked)
    : folder_(std::move(folder)), keyed_(std::move(keyed)), revoked_(std::move(revoked)) {}

Result<std::unique_ptr<Authority>> Authority::open(const TrustFolder& folder, const RevocationList& revoked) {
  auto keyed = folder.load_authority();
  if (!keyed) return fail(keyed.error());
  return std::unique_ptr<Authority>(new Authority(folder, std::move(*keyed), revoked));
}

Result<Authority::Invite> Authority::invite(std::chrono::seconds life, WallTime now) {
  if (life < kLifeMin || life > kLifeMax)
    return fail(Code::invalid, "an invitation is good for 10 seconds to 7 days");
  auto print = fingerprint(keyed_.cert_pem);
  if (!print) return fail(print.error());
  InviteToken token;
  token.authority = *print;
  token.expires_at = seconds_of(now) + life.count();
  if (RAND_bytes(token.secret.data(), static_cast<int>(token.secret.size())) != 1)
    return trust::fail_openssl(Code::io, "cannot draw a secret");
  const std::lock_guard lock(mutex_);
  if (auto added = invitations_.add(token.secret, token.expires_at, seconds_of(now)); !added)
    return fail(added.error());
  return Invite{format_token(token), token.expires_at};
}

std::size_t Authority::open_invites(WallTime now) const {
  const std::lock_guard lock(mutex_);
  return invitations_.open(seconds_of(now));
}

Result<Keyed> Authority::listener(WallTime now) const {
  return issue_listener(keyed_, now);
}

Result<Authority::Joined> Authority::let_in(const JoinRequest& request, WallTime now) {
  const std::lock_guard lock(mutex_);
  if (auto known = invitations_.check(request.secret, seconds_of(now)); !known) return fail(known.error());
  // What a person can put right does not cost the token.
  const auto cluster = cluster_of(keyed_.cert_pem);
  if (!cluster) return fail(cluster.error());
  if (request.cluster != *cluster) {
    return fail(Code::invalid, "this is the cluster " + *cluster + " and the machine is configured for " +
                                   request.cluster + ": start its shoald with --cluster " + *cluster +
                                   ", then join again with the same token");
  }
  if (auto taken = invitations_.take(request.secret, seconds_of(now)); !taken) return fail(taken.error());
  auto cert = issue_node(keyed_, request.request_pem, request.node, request.name, now);
  if (!cert) return fail(cert.error());
  auto info = describe_certificate(*cert);
  if (!info) return fail(info.error());
  if (auto saved = folder_.save_issued(info->serial, *cert); !saved) return fail(saved.error());
  Joined out{std::move(*info), {keyed_.cert_pem, std::move(*cert), {}}};
  if (revoked_.number > 0) {
    auto der = make_crl(keyed_, revoked_, now);
    if (!der) return fail(der.error());
    out.answer.revoked_der = std::move(*der);
  }
  return out;
}

Result<Authority::Revoked> Authority::revoke(const std::string& node, NodeId self, WallTime now) {
  const auto issued = folder_.issued();
  if (!issued) return fail(issued.error());
  Revoked out;
  std::set<NodeId> nodes;
  for (const CertificateInfo& info : *issued) {
    if (!fits(info, node)) continue;
    nodes.insert(info.node);
    out.members.push_back(info);
  }
  if (nodes.empty())
    return fail(Code::not_found, "no machine '" + node + "' was let in; `shoal cluster status` lists them");
  if (nodes.size() > 1)
    return fail(Code::invalid, std::to_string(nodes.size()) + " machines are called '" + node +
                                   "': give the node id, `shoal cluster status` shows it");
  if (nodes.contains(self))
    return fail(Code::invalid, "this machine is the authority: it cannot put itself out");

  const std::lock_guard lock(mutex_);
  RevocationList next = revoked_;
  for (const CertificateInfo& info : out.members) next.serials.insert(info.serial);
  ++next.number;
  auto der = make_crl(keyed_, next, now);
  if (!der) return fail(der.error());
  if (auto saved = folder_.save_revoked(*der); !saved) return fail(saved.error());
  revoked_ = next;
  out.list = std::move(next);
  out.der = std::move(*der);
  return out;
}

Result<std::vector<Authority::Member>> Authority::members() const {
  auto issued = folder_.issued();
  if (!issued) return fail(issued.error());
  const std::lock_guard lock(mutex_);
  std::vector<Member> out;
  for (CertificateInfo& info : *issued) {
    const bool revoked = revoked_.contains(info.serial);
    out.push_back({std::move(info), revoked});
  }
  std::ranges::sort(out, {},
                    [](const Member& member) { return std::pair(member.info.name, member.info.serial); });
  return out;
}

Result<void> found_cluster(const TrustFolder& folder, const std::string& cluster, NodeId node,
                           const std::string& name, WallTime now) {
  const auto there = folder.load();
  if (!there) return fail(there.error());
  if (*there)
    return fail(Code::changed, "this node is in the closed cluster " + (*there)->cluster + " already");
  auto authority = make_authority(cluster, now);
  if (!authority) return fail(authority.error());
  auto key = make_key();
  if (!key) return fail(key.error());
  auto request = make_request(*key, node);
  if (!request) return fail(request.error());
  auto cert = issue_node(*authority, *request, node, name, now);
  if (!cert) return fail(cert.error());
  auto info = describe_certificate(*cert);
  if (!info) return fail(info.error());
  if (auto saved = folder.save_authority(*authority); !saved) return saved;
  if (auto saved = folder.save_issued(info->serial, *cert); !saved) return saved;
  return folder.join(authority->cert_pem, {std::move(*key), std::move(*cert)}, {});
}

}  // namespace shoal
