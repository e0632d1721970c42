// Lists the files of a commit page by page, and holds the whole against its limits.
//
// The loop's thread only. Keeps itself alive until it has called `done`.
#pragma once

#include "transport/origin/hub_call.h"

#include <functional>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

namespace shoal {

class TreeListing : public std::enable_shared_from_this<TreeListing> {
 public:
  using Done = HubClient::Done<std::vector<RepoFile>>;

  TreeListing(OriginContext& context, HubCalls& calls, RepoRef repo, std::string commit, Done done);
  void start();

 private:
  void ask(const Url& page);
  void on_page(Result<HubAnswer> answer);
  // Errors: invalid.
  Result<void> add(std::vector<RepoFile> files);

  OriginContext& context_;
  HubCalls& calls_;
  const RepoRef repo_;
  const std::string commit_;
  const Done done_;
  std::vector<RepoFile> files_;
  std::unordered_set<std::string> names_;    // of files
  std::unordered_set<std::string> folders_;  // above them: a file may not stand where a folder does
  int pages_ = 0;
};

}  // namespace shoal
