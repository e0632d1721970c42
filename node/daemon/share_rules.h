// Which content neighbours may hear of: only what anyone may download from the Hub (design section 8).
//
// The answer is per repo and comes from the Hub itself, asked without a token; it is remembered, so that a
// node whose Hub is out of reach still knows. A blob may be shared when one of the public repos has it. Owned
// by the loop thread.
#pragma once

#include "node/core/ids.h"

#include <optional>
#include <set>

namespace shoal {

class ShareRules {
 public:
  void set_public(const RepoRef& repo, bool is_public) {
    (is_public ? public_ : closed_).insert(repo);
    (is_public ? closed_ : public_).erase(repo);
  }
  [[nodiscard]] std::optional<bool> is_public(const RepoRef& repo) const {
    if (public_.contains(repo)) return true;
    if (closed_.contains(repo)) return false;
    return std::nullopt;
  }
  void add_blob(const BlobId& blob) { blobs_.insert(blob); }
  void remove_blob(const BlobId& blob) { blobs_.erase(blob); }
  [[nodiscard]] bool shareable(const BlobId& blob) const { return blobs_.contains(blob); }

 private:
  std::set<RepoRef> public_;
  std::set<RepoRef> closed_;
  std::set<BlobId> blobs_;
};

}  // namespace shoal
