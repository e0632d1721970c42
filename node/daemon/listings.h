// What repos look like at their commits, for programs that use the endpoint: asked of the Hub once for the
// whole site, kept on the disk, given to neighbours (decision 0012).
//
// Who may see what:
// - A repo that the Hub gives to strangers is everybody's: its listings are shared, and answered without
// asking.
// - Any other repo is answered only to a program whose own token the Hub has just accepted for it; that is
//   believed for kGrantTime, since a program asks several times for each file. Nothing of it is shared.
//
// Owned by the loop thread.
#pragma once

#include "node/core/ids.h"
#include "node/core/messages.h"
#include "node/core/time.h"
#include "node/daemon/listing_exchange.h"
#include "node/daemon/loop.h"
#include "node/daemon/share_rules.h"
#include "node/endpoint/endpoint_backend.h"
#include "transport/origin/hub_client.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace shoal {

class ListingStore;
class StateDb;

// SHA-256 of "<type>/<name>@<commit>".
[[nodiscard]] Hash256 listing_key(const RepoRef& repo, const std::string& commit);

// What this machine holds of a revision, as a listing without the rest; null when that is nothing. Blocks on
// the disk.
[[nodiscard]] ListingPtr listing_of_held_files(StateDb& db, const RepoRef& repo, const std::string& revision);

class Listings {
 public:
  // How long a branch or tag is taken for what the Hub said: HEAD and GET of one file agree, and a snapshot's
  // files are one commit's.
  static constexpr std::chrono::seconds kRevisionTime{10};
  static constexpr std::chrono::seconds kGrantTime{60};
  static constexpr std::size_t kGrantsMax = 4096;               // tokens times repos
  static constexpr std::size_t kRevisionsMax = 4096;            // in memory
  static constexpr std::size_t kMemoryMax = 64U * 1024 * 1024;  // bytes of listings in memory
  static constexpr std::size_t kTreePagesMax = 400;             // as many as 400,000 entries take

  using Found = std::function<void(FoundListing)>;
  using Refusal = std::optional<std::variant<HubReply, Error>>;
  // The Hub said whether anyone may download a repo.
  using OnAccess = std::function<void(const RepoRef&, bool is_public)>;

  Listings(Loop& loop, ListingStore& store, StateDb& db, HubClient& hub, Swarm& swarm, ShareRules& rules,
           std::shared_ptr<ListingExchange> exchange, OnAccess on_access);

  void find(RepoRef repo, std::string revision, std::string token, Found found);
  void check_access(const ListingPtr& listing, std::string path, std::string token,
                    std::function<void(Refusal)> done);
  void ask_hub(HubQuery query, std::function<void(Result<HubReply>)> done);
  void known_revisions(const RepoRef& repo,
                       std::function<void(std::vector<std::pair<std::string, std::string>>)> done);

  // The Hub has another file where a listing names this blob: listings with it that neighbours told are lies,
  // and are forgotten.
  void distrust(const BlobId& blob);

  void on_ask(NodeId from, const msg::AskListing& ask);

 private:
  using RevisionKey = std::pair<RepoRef, std::string>;
  using Question = std::tuple<RepoRef, std::string, std::string>;  // repo, revision, token
  using CommitKey = std::pair<RepoRef, std::string>;
  using Loaded = std::function<void(ListingPtr)>;  // null: not here
  using Fetched = std::function<void(Result<ListingPtr>)>;

  [[nodiscard]] bool may_see(const RepoRef& repo, const std::string& token) const;
  void grant(const RepoRef& repo, const std::string& token);
  void answer(const Question& question, const FoundListing& found);

  void look_here(const Question& question);
  // `with_files`: the description also says what stands under which name, to hold a listing against.
  void ask_info(const Question& question, bool with_files);
  void on_info(const Question& question, bool with_files, Result<HubReply> reply);
  void on_info_read(const Question& question, bool with_files, Result<InfoAnswer> info);
  // Answers with the listing of the commit that the Hub has just named, once it agrees with what the Hub
  // says.
  void settle(const Question& question, const std::shared_ptr<const InfoAnswer>& info,
              const ListingPtr& listing);
  [[nodiscard]] bool is_verified(const RepoRef& repo, const std::string& commit) const;
  // The Hub cannot be asked: what is known here has to do.
  void fall_back(const Question& question, FoundListing otherwise);

  void answer_held(const Question& question, FoundListing otherwise);

  void load(const RepoRef& repo, const std::string& commit, Loaded done);
  // From a neighbour, or the Hub. `info`: what the Hub has said already; empty: only neighbours are asked,
  // and not_found is answered when they do not have it. `from_hub`: neighbours are not asked.
  void fetch(const RepoRef& repo, const std::string& commit, std::string info, std::string token,
             Fetched done, bool from_hub = false);
  void on_document(const CommitKey& key, std::optional<std::string> document);
  void ask_tree(const CommitKey& key, std::string query, std::size_t pages);
  void on_tree_page(const CommitKey& key, std::size_t pages, Result<HubReply> reply);
  void fetched(const CommitKey& key, Result<ListingPtr> result, std::size_t document_size);
  void ask_whether_public(const ListingPtr& listing, std::function<void()> then);
  void ask_stranger(const ListingPtr& listing, const std::string& path, std::string token,
                    std::function<void(Refusal)> done);
  void keep(const ListingPtr& listing, std::function<void(std::size_t size)> then);
  void remember(const ListingPtr& listing);
  void forget(const ListingPtr& listing);
  void drop_from_memory(const ListingPtr& listing);
  void ask(HubClient::Ask ask, std::function<void(Result<HubReply>)> done);
  void send_part(NodeId to, const Hash256& key, std::uint64_t offset, const std::string& document);

  Loop& loop_;
  ListingStore& store_;
  StateDb& db_;
  HubClient& hub_;
  Swarm& swarm_;
  ShareRules& rules_;
  const std::shared_ptr<ListingExchange> exchange_;
  OnAccess on_access_;

  std::map<Question, std::vector<Found>> open_;  // bounded by the endpoint's connections
  struct Fetch {
    std::string info;
    std::string token;
    std::vector<ListingEntry> entries;
    std::vector<Fetched> waiting;
  };
  std::map<CommitKey, Fetch> fetches_;
  std::map<RevisionKey, std::pair<std::string, Time>> revisions_;  // with when the Hub said so
  std::map<std::pair<RepoRef, std::string>, Time> grants_;         // by token, until when
  struct Kept {
    ListingPtr listing;
    std::list<CommitKey>::iterator use;
  };
  std::map<CommitKey, Kept> memory_;
  std::list<CommitKey> by_use_;  // front: used last
  std::size_t memory_bytes_ = 0;
  struct OnDisk {
    RepoRef repo;
    std::string commit;
    std::uint64_t size = 0;
  };
  std::map<Hash256, OnDisk> on_disk_;
  std::pair<Hash256, std::shared_ptr<const std::string>> last_sent_;  // a large one is asked for in parts
};

}  // namespace shoal
