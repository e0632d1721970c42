// Listings that are not here yet: from a neighbour, else from the Hub, and to the neighbours that ask.
#include "node/daemon/listings.h"
#include "storage/listing_store.h"
#include "transport/origin/link_header.h"
#include "transport/origin/url.h"

#include <algorithm>
#include <iterator>
#include <span>

#include <spdlog/spdlog.h>

namespace shoal {

void Listings::fetch(const RepoRef& repo, const std::string& commit, std::string info, std::string token,
                     Fetched done, bool from_hub) {
  const CommitKey key{repo, commit};
  const auto running = fetches_.find(key);
  if (running != fetches_.end()) {
    // The first to know what the Hub says brings it in for all.
    if (running->second.info.empty()) {
      running->second.info = std::move(info);
      running->second.token = std::move(token);
    }
    running->second.waiting.push_back(std::move(done));
    return;
  }
  Fetch& fetch = fetches_[key];
  fetch.info = std::move(info);
  fetch.token = std::move(token);
  fetch.waiting.push_back(std::move(done));
  if (from_hub) return ask_tree(key, "recursive=true&expand=false", 1);
  exchange_->ask(listing_key(repo, commit),
                 [this, key](std::optional<std::string> document) { on_document(key, std::move(document)); });
}

void Listings::on_document(const CommitKey& key, std::optional<std::string> document) {
  if (document) {
    loop_.run(
        [key, text = std::move(*document)]() -> Result<ListingPtr> {
          auto listing = read_document(text, key.first, key.second);
          if (!listing) return fail(listing.error());
          listing->told = true;
          return ListingPtr(std::make_shared<const RepoListing>(std::move(*listing)));
        },
        [this, key](Result<ListingPtr> listing) {
          if (!listing) {
            spdlog::warn("a neighbour's listing of {} is no good: {}", key.first.name,
                         listing.error().message);
            return on_document(key, std::nullopt);
          }
          keep(*listing, [this, key, listing](std::size_t size) { fetched(key, listing, size); });
        });
    return;
  }
  const auto it = fetches_.find(key);
  if (it == fetches_.end()) return;
  if (it->second.info.empty()) {
    return fetched(key, fail(Code::not_found, "no neighbour has the listing of " + key.first.name), 0);
  }
  ask_tree(key, "recursive=true&expand=false", 1);
}

void Listings::ask_tree(const CommitKey& key, std::string query, std::size_t pages) {
  HubClient::Ask tree;
  tree.path = "/api/" + std::string(to_string(key.first.type)) + "s/" + escape_path(key.first.name) +
              "/tree/" + key.second;
  tree.query = std::move(query);
  tree.token = fetches_.at(key).token;
  ask(std::move(tree),
      [this, key, pages](Result<HubReply> reply) { on_tree_page(key, pages, std::move(reply)); });
}

void Listings::on_tree_page(const CommitKey& key, std::size_t pages, Result<HubReply> reply) {
  const std::string where = "the Hub's list of files of " + key.first.name;
  if (!reply) return fetched(key, fail(reply.error()), 0);
  if (reply->status != 200) {
    const Code code = reply->status == 429 ? Code::rate_limited : Code::unavailable;
    return fetched(key, fail(code, where + " cannot be had: it answers " + std::to_string(reply->status)), 0);
  }
  auto page = read_tree_page(reply->body);
  if (!page) return fetched(key, fail(Code::invalid, where + ": " + page.error().message), 0);
  Fetch& fetch = fetches_.at(key);
  std::ranges::move(*page, std::back_inserter(fetch.entries));
  if (fetch.entries.size() > RepoListing::kEntriesMax || pages > kTreePagesMax) {
    return fetched(key, fail(Code::invalid, where + " has more entries than are accepted"), 0);
  }
  for (const auto& [name, value] : reply->headers) {
    if (name != "link") continue;
    const auto next = parse_link_next(value);
    // Only its query is used: the page is asked of the Hub that was asked for the first one.
    const auto mark = next ? next->find('?') : std::string::npos;
    if (next && mark != std::string::npos) return ask_tree(key, next->substr(mark + 1), pages + 1);
  }
  auto listing = std::make_shared<RepoListing>();
  listing->repo = key.first;
  listing->commit = key.second;
  listing->info = fetch.info;
  if (auto set = listing->set_entries(std::move(fetch.entries)); !set) {
    return fetched(key, fail(Code::invalid, where + ": " + set.error().message), 0);
  }
  keep(listing,
       [this, key, listing = ListingPtr(listing)](std::size_t size) { fetched(key, listing, size); });
}

void Listings::fetched(const CommitKey& key, Result<ListingPtr> result, std::size_t document_size) {
  const auto it = fetches_.find(key);
  if (it == fetches_.end()) return;
  const auto waiting = std::move(it->second.waiting);
  fetches_.erase(it);
  const Hash256 hash = listing_key(key.first, key.second);
  if (!result || document_size == 0) {
    exchange_->settle(hash, std::nullopt);
  } else {
    // Neighbours that wait hear of it once it is certain that they may.
    ask_whether_public(*result, [this, hash, repo = key.first, document_size] {
      const bool shared = rules_.is_public(repo).value_or(false);
      exchange_->settle(hash, shared ? std::optional<std::uint64_t>(document_size) : std::nullopt);
    });
  }
  for (const Fetched& done : waiting) done(result);
}

void Listings::ask_whether_public(const ListingPtr& listing, std::function<void()> then) {
  const auto& entries = listing->entries();
  const auto file = std::ranges::find(entries, false, &ListingEntry::folder);
  if (rules_.is_public(listing->repo) || file == entries.end()) return then();
  hub_.is_public(listing->repo, listing->commit, file->path,
                 [this, repo = listing->repo, then = std::move(then)](const Result<bool>& is_public) {
                   loop_.post([this, repo, is_public, then] {
                     if (is_public) on_access_(repo, *is_public);
                     then();
                   });
                 });
}

// --- to neighbours

void Listings::on_ask(NodeId from, const msg::AskListing& ask) {
  const auto it = on_disk_.find(ask.key);
  const bool shared = it != on_disk_.end() && rules_.is_public(it->second.repo).value_or(false);
  if (!shared) {
    if (!exchange_->tell_to_wait(from, ask.key)) {
      swarm_.send(from, msg::Listing{ask.key, msg::ListingState::lack, 0, 0, {}});
    }
    return;
  }
  if (ask.offset == msg::kListingAsk) {
    swarm_.send(from, msg::Listing{ask.key, msg::ListingState::have, it->second.size, 0, {}});
    return;
  }
  if (last_sent_.second && last_sent_.first == ask.key)
    return send_part(from, ask.key, ask.offset, *last_sent_.second);
  loop_.run([&store = store_, repo = it->second.repo,
             commit = it->second.commit] { return store.load(repo, commit); },
            [this, from, ask](Result<std::string> document) {
              if (!document) {
                on_disk_.erase(ask.key);
                swarm_.send(from, msg::Listing{ask.key, msg::ListingState::lack, 0, 0, {}});
                return;
              }
              last_sent_ = {ask.key, std::make_shared<const std::string>(std::move(*document))};
              send_part(from, ask.key, ask.offset, *last_sent_.second);
            });
}

void Listings::send_part(NodeId to, const Hash256& key, std::uint64_t offset, const std::string& document) {
  msg::Listing part{key, msg::ListingState::have, document.size(), offset, {}};
  if (offset < document.size()) {
    const auto bytes = std::as_bytes(std::span(document)).subspan(static_cast<std::size_t>(offset));
    const auto some = bytes.first(std::min(bytes.size(), limits::kListingPartBytes));
    part.bytes.assign(some.begin(), some.end());
  }
  swarm_.send(to, std::move(part));
}

}  // namespace shoal
