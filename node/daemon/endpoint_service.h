// The daemon's side of the Hub-compatible endpoint: finds listings, decides who may read, opens files. Each
// method posts, and the loop replies.
#pragma once

#include "node/daemon/listings.h"
#include "node/daemon/loop.h"
#include "node/daemon/readers.h"
#include "node/endpoint/endpoint_backend.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace shoal {

class BlobStore;
class Pulls;

class EndpointService final : public EndpointBackend {
 public:
  EndpointService(Loop& loop, BlobStore& store, Listings& listings, ShareRules& rules, Pulls& pulls,
                  std::shared_ptr<Readers> readers)
      : loop_(loop),
        store_(store),
        listings_(listings),
        rules_(rules),
        pulls_(pulls),
        readers_(std::move(readers)) {}

  void find_listing(RepoRef repo, std::string revision, std::string token,
                    Reply<FoundListing> reply) override;
  void check_access(ListingPtr listing, std::string path, std::string token,
                    Reply<std::optional<std::variant<HubReply, Error>>> reply) override;
  void open_file(FileWanted wanted, Reply<Result<FileOpened>> reply) override;
  void ask_hub(HubQuery query, Reply<Result<HubReply>> reply) override;
  void known_revisions(RepoRef repo, Reply<std::vector<std::pair<std::string, std::string>>> reply) override;

 private:
  void open_on_loop(FileWanted wanted, Reply<Result<FileOpened>> reply);
  void want(const FileWanted& wanted);

  Loop& loop_;
  BlobStore& store_;
  Listings& listings_;
  ShareRules& rules_;
  Pulls& pulls_;
  const std::shared_ptr<Readers> readers_;
};

}  // namespace shoal
