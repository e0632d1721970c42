// Which content neighbours may hear of (design section 8): in an open cluster only what anyone may download
// from the Hub, in a closed one whatever a repo names, since only machines that were let in hear of it.
//
// The answer is per repo and comes from the Hub itself, asked without a token; it is remembered, so that a
// node whose Hub is out of reach still knows. A blob may be shared while one of the repos that name it is
// public. Owned by the loop thread.
#pragma once

#include "node/core/ids.h"

#include <map>
#include <optional>
#include <set>
#include <vector>

namespace shoal {

class ShareRules {
 public:
  // In a closed cluster. Before anything is added.
  void set_closed_cluster() { closed_cluster_ = true; }
  [[nodiscard]] bool shares(const RepoRef& repo) const {
    return closed_cluster_ || is_public(repo).value_or(false);
  }

  // Returns the blobs that this answer closes: they were shareable and are not any more.
  std::vector<BlobId> set_public(const RepoRef& repo, bool is_public) {
    const auto before = is_public_.find(repo);
    const bool closes = before != is_public_.end() && before->second && !is_public;
    is_public_[repo] = is_public;
    std::vector<BlobId> closed;
    if (!closes) return closed;
    for (const auto& [blob, repos] : named_by_) {
      if (repos.contains(repo) && !shareable(blob)) closed.push_back(blob);
    }
    return closed;
  }
  [[nodiscard]] std::optional<bool> is_public(const RepoRef& repo) const {
    const auto it = is_public_.find(repo);
    return it == is_public_.end() ? std::nullopt : std::optional(it->second);
  }

  void add_blob(const BlobId& blob, const RepoRef& repo) { named_by_[blob].insert(repo); }
  void remove_blob(const BlobId& blob) { named_by_.erase(blob); }
  [[nodiscard]] bool shareable(const BlobId& blob) const {
    const auto it = named_by_.find(blob);
    if (it == named_by_.end()) return false;
    for (const RepoRef& repo : it->second) {
      if (shares(repo)) return true;
    }
    return false;
  }

 private:
  bool closed_cluster_ = false;
  std::map<RepoRef, bool> is_public_;
  std::map<BlobId, std::set<RepoRef>> named_by_;
};

}  // namespace shoal
