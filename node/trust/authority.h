// The authority of a closed cluster, on the one machine that has its key: it invites, lets in and puts out.
//
// Threads: any; a mutex guards it. Blocks on the disk and for a signature (some 0.1 ms).
#pragma once

#include "node/core/ids.h"
#include "node/core/result.h"
#include "node/core/time.h"
#include "node/trust/invitations.h"
#include "node/trust/join_text.h"
#include "node/trust/trust_folder.h"

#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace shoal {

class Authority {
 public:
  // A token is carried from one terminal to another; a week is the most that a person on holiday needs.
  static constexpr std::chrono::seconds kLifeMin{10};
  static constexpr std::chrono::seconds kLifeMax{7 * 24 * 3600};

  // Errors: not_found (this machine has no authority), and those of reading its files.
  [[nodiscard]] static Result<std::unique_ptr<Authority>> open(const TrustFolder& folder,
                                                               const RevocationList& revoked);

  struct Invite {
    std::string token;
    std::int64_t expires_at = 0;  // seconds since 1970
  };
  // Errors: invalid (life), unavailable (too many are open), io (no randomness).
  [[nodiscard]] Result<Invite> invite(std::chrono::seconds life, WallTime now);
  [[nodiscard]] std::size_t open_invites(WallTime now) const;
  // What the port where machines join shows; good for a day.
  [[nodiscard]] Result<Keyed> listener(WallTime now) const;

  struct Joined {
    CertificateInfo info;
    JoinAnswer answer;
  };
  // The token is burnt before the certificate is made: it is good once whatever happens after. Errors:
  // unauthorized (token), invalid, io.
  [[nodiscard]] Result<Joined> let_in(const JoinRequest& request, WallTime now);

  // `node`: a node id, the beginning of one (at least 8 digits), or a name. All its certificates are revoked.
  // Errors: not_found, invalid (several nodes fit, or it is `self`).
  struct Revoked {
    std::vector<CertificateInfo> members;
    RevocationList list;
    std::vector<std::byte> der;  // signed, saved
  };
  [[nodiscard]] Result<Revoked> revoke(const std::string& node, NodeId self, WallTime now);

  struct Member {
    CertificateInfo info;
    bool revoked = false;
  };
  [[nodiscard]] Result<std::vector<Member>> members() const;

 private:
  Authority(TrustFolder folder, Keyed keyed, RevocationList revoked);

  mutable std::mutex mutex_;
  const TrustFolder folder_;
  const Keyed keyed_;
  Invitations invitations_;  // guarded by mutex_
  RevocationList revoked_;   // guarded by mutex_
};

// Makes an authority and lets this node in: the folder of a new closed cluster. Errors: changed (it is in one
// already), io.
Result<void> found_cluster(const TrustFolder& folder, const std::string& cluster, NodeId node,
                           const std::string& name, WallTime now);

}  // namespace shoal
