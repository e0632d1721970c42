#include "node/daemon/listings.h"

#include "storage/listing_store.h"
#include "storage/sha.h"
#include "transport/origin/hub_error.h"
#include "transport/origin/url.h"

#include <algorithm>
#include <span>

#include <spdlog/spdlog.h>

namespace shoal {
namespace {

Time now_time() {
  return std::chrono::steady_clock::now();
}

std::string api_path(const RepoRef& repo, std::string_view what, const std::string& revision) {
  return "/api/" + std::string(to_string(repo.type)) + "s/" + escape_path(repo.name) + "/" +
         std::string(what) + "/" + escape_segment(revision);
}

std::string resolve_path(const RepoRef& repo, const std::string& commit, const std::string& path) {
  return std::string(web_prefix(repo.type)) + escape_path(repo.name) + "/resolve/" + escape_segment(commit) +
         "/" + escape_path(path);
}

bool is_given(int status) {
  return status / 100 == 2 || (status / 100 == 3 && status != 304);
}

bool is_refused(int status) {
  return status == 401 || status == 403 || status == 404 || status == 451;
}

// Whether the Hub names another LFS file than this one. What it does not say is not held against anybody.
bool names_another(const HubReply& reply, const BlobId& blob) {
  for (const auto& [name, value] : reply.headers) {
    if (name == "x-linked-etag") return value.find(blob.etag()) == std::string::npos;
  }
  return false;
}

bool is_trouble(int status) {
  return status >= 500 || status == 429 || status == 408;
}

}  // namespace

Hash256 listing_key(const RepoRef& repo, const std::string& commit) {
  const std::string text = std::string(to_string(repo.type)) + "/" + repo.name + "@" + commit;
  Sha256 hash;
  hash.update(std::as_bytes(std::span(text)));
  Hash256 key;
  hash.finish(key.bytes);
  return key;
}

Listings::Listings(Loop& loop, ListingStore& store, StateDb& db, HubClient& hub, Swarm& swarm,
                   ShareRules& rules, std::shared_ptr<ListingExchange> exchange, OnAccess on_access)
    : loop_(loop),
      store_(store),
      db_(db),
      hub_(hub),
      swarm_(swarm),
      rules_(rules),
      exchange_(std::move(exchange)),
      on_access_(std::move(on_access)) {
  for (auto& kept : store_.all()) {
    const Hash256 key = listing_key(kept.repo, kept.commit);
    on_disk_[key] = {std::move(kept.repo), std::move(kept.commit), kept.size};
  }
}

// --- who may see what

bool Listings::may_see(const RepoRef& repo, const std::string& token) const {
  if (rules_.is_public(repo).value_or(false)) return true;
  const auto it = grants_.find({repo, token});
  return it != grants_.end() && now_time() < it->second;
}

void Listings::grant(const RepoRef& repo, const std::string& token) {
  const Time now = now_time();
  if (grants_.size() >= kGrantsMax) {
    std::erase_if(grants_, [&](const auto& entry) { return entry.second <= now; });
    if (grants_.size() >= kGrantsMax) grants_.erase(grants_.begin());
  }
  grants_[{repo, token}] = now + kGrantTime;
}

// --- finding

void Listings::find(RepoRef repo, std::string revision, std::string token, Found found) {
  const Question question{std::move(repo), std::move(revision), std::move(token)};
  auto& waiting = open_[question];
  waiting.push_back(std::move(found));
  if (waiting.size() == 1) look_here(question);
}

void Listings::answer(const Question& question, const FoundListing& found) {
  const auto it = open_.find(question);
  if (it == open_.end()) return;
  const auto waiting = std::move(it->second);
  open_.erase(it);
  for (const Found& one : waiting) one(found);
}

void Listings::look_here(const Question& question) {
  const auto& [repo, revision, token] = question;
  const bool allowed = may_see(repo, token);
  std::string commit;
  if (is_commit_id(revision)) {
    commit = revision;
  } else if (const auto it = revisions_.find({repo, revision});
             it != revisions_.end() && now_time() - it->second.second < kRevisionTime) {
    commit = it->second.first;
  }
  if (commit.empty() || (!allowed && rules_.is_public(repo).has_value())) return ask_info(question, false);
  // Whether a stranger may see the repo is not known: neighbours give only what he may.
  if (!allowed) {
    return fetch(repo, commit, {}, token, [this, question](const Result<ListingPtr>& listing) {
      if (listing && (*listing)->told) return answer(question, *listing);
      ask_info(question, false);
    });
  }
  load(repo, commit, [this, question, commit](const ListingPtr& listing) {
    if (listing) return answer(question, listing);
    fetch(std::get<0>(question), commit, {}, std::get<2>(question),
          [this, question](const Result<ListingPtr>& told) {
            if (told) return answer(question, *told);
            ask_info(question, false);
          });
  });
}

bool Listings::is_verified(const RepoRef& repo, const std::string& commit) const {
  const auto it = memory_.find({repo, commit});
  return it != memory_.end() && !it->second.listing->told;
}

void Listings::ask_info(const Question& question, bool with_files) {
  const auto& [repo, revision, token] = question;
  // A branch that has most likely not moved needs no second look at its files.
  const auto last = revisions_.find({repo, revision});
  const std::string& commit = last != revisions_.end() ? last->second.first : revision;
  with_files = with_files || !is_verified(repo, commit);
  HubClient::Ask info;
  info.path = api_path(repo, "revision", revision);
  if (with_files) info.query = "blobs=true";
  info.token = token;
  ask(std::move(info), [this, question, with_files](Result<HubReply> reply) {
    on_info(question, with_files, std::move(reply));
  });
}

void Listings::on_info(const Question& question, bool with_files, Result<HubReply> reply) {
  if (!reply) return fall_back(question, reply.error());
  if (is_trouble(reply->status)) return fall_back(question, std::move(*reply));
  if (reply->status != 200) return answer(question, std::move(*reply));
  // 50,000 files are 15 MB of JSON.
  loop_.run([body = std::move(reply->body)] { return read_info(body); },
            [this, question, with_files](Result<InfoAnswer> info) {
              on_info_read(question, with_files, std::move(info));
            });
}

void Listings::on_info_read(const Question& question, bool with_files, Result<InfoAnswer> read) {
  const auto& [repo, revision, token] = question;
  if (!read)
    return answer(question,
                  Error{Code::invalid, "the Hub about " + repo.name + ": " + read.error().message, 0});
  const auto info = std::make_shared<const InfoAnswer>(std::move(*read));
  const std::string& commit = info->commit;
  if (!may_see(repo, token)) grant(repo, token);
  if (!is_commit_id(revision)) {
    if (revisions_.size() >= kRevisionsMax) revisions_.erase(revisions_.begin());
    auto& known = revisions_[{repo, revision}];
    if (known.first != commit) {
      loop_.run([&store = store_, r = repo, revision = revision,
                 commit] { return store.save_revision(r, revision, commit); },
                [](const Result<void>& saved) {
                  if (!saved) spdlog::warn("keeping a revision: {}", saved.error().message);
                });
    }
    known = {commit, now_time()};
  }
  if (!with_files && !is_verified(repo, commit)) return ask_info(question, true);
  load(repo, commit, [this, question, info](const ListingPtr& listing) {
    if (listing) return settle(question, info, listing);
    fetch(std::get<0>(question), info->commit, info->info, std::get<2>(question),
          [this, question, info](const Result<ListingPtr>& result) {
            if (!result) return fall_back(question, result.error());
            settle(question, info, *result);
          });
  });
}

void Listings::settle(const Question& question, const std::shared_ptr<const InfoAnswer>& info,
                      const ListingPtr& listing) {
  if (!listing->told || info->files.empty()) return answer(question, listing);
  loop_.run([info, listing] { return agrees(*listing, info->files); },
            [this, question, info, listing](bool agreed) {
              if (agreed) {
                auto verified = std::make_shared<RepoListing>(*listing);
                verified->told = false;
                drop_from_memory(listing);
                remember(verified);
                return answer(question, ListingPtr(verified));
              }
              forget(listing);
              fetch(
                  listing->repo, listing->commit, info->info, std::get<2>(question),
                  [this, question](const Result<ListingPtr>& result) {
                    if (!result) return fall_back(question, result.error());
                    answer(question, *result);
                  },
                  true);
            });
}

void Listings::fall_back(const Question& question, FoundListing otherwise) {
  const auto& [repo, revision, token] = question;
  if (!may_see(repo, token)) return answer(question, otherwise);
  loop_.run(
      [&store = store_, r = repo, rev = revision]() -> std::string {
        return is_commit_id(rev) ? rev : store.commit_of(r, rev).value_or("");
      },
      [this, question, otherwise = std::move(otherwise)](const std::string& commit) {
        if (commit.empty()) return answer_held(question, otherwise);
        load(std::get<0>(question), commit, [this, question, otherwise](const ListingPtr& listing) {
          if (listing) return answer(question, listing);
          answer_held(question, otherwise);
        });
      });
}

void Listings::answer_held(const Question& question, FoundListing otherwise) {
  loop_.run([&db = db_, repo = std::get<0>(question),
             revision = std::get<1>(question)] { return listing_of_held_files(db, repo, revision); },
            [this, question, otherwise = std::move(otherwise)](const ListingPtr& listing) {
              answer(question, listing ? FoundListing(listing) : otherwise);
            });
}

// --- keeping

void Listings::remember(const ListingPtr& listing) {
  const CommitKey key{listing->repo, listing->commit};
  if (memory_.contains(key)) return;
  by_use_.push_front(key);
  memory_[key] = {listing, by_use_.begin()};
  memory_bytes_ += listing->memory();
  while (memory_bytes_ > kMemoryMax && by_use_.size() > 1) {
    const auto oldest = memory_.find(by_use_.back());
    memory_bytes_ -= oldest->second.listing->memory();
    memory_.erase(oldest);
    by_use_.pop_back();
  }
}

void Listings::drop_from_memory(const ListingPtr& listing) {
  const auto it = memory_.find({listing->repo, listing->commit});
  if (it == memory_.end()) return;
  memory_bytes_ -= it->second.listing->memory();
  by_use_.erase(it->second.use);
  memory_.erase(it);
}

void Listings::forget(const ListingPtr& listing) {
  const CommitKey key{listing->repo, listing->commit};
  drop_from_memory(listing);
  on_disk_.erase(listing_key(listing->repo, listing->commit));
  spdlog::warn("the listing of {} at {} that a neighbour told is not the Hub's", listing->repo.name,
               listing->commit);
  loop_.run([&store = store_, key] { return store.remove(key.first, key.second); },
            [](const Result<void>& removed) {
              if (!removed) spdlog::warn("removing a listing: {}", removed.error().message);
            });
}

void Listings::distrust(const BlobId& blob) {
  std::vector<ListingPtr> lies;
  for (const auto& [key, kept] : memory_) {
    const auto& entries = kept.listing->entries();
    if (kept.listing->told && std::ranges::find(entries, blob, &ListingEntry::blob) != entries.end()) {
      lies.push_back(kept.listing);
    }
  }
  for (const ListingPtr& listing : lies) forget(listing);
}

void Listings::load(const RepoRef& repo, const std::string& commit, Loaded done) {
  if (const auto it = memory_.find({repo, commit}); it != memory_.end()) {
    by_use_.splice(by_use_.begin(), by_use_, it->second.use);
    return done(it->second.listing);
  }
  loop_.run(
      [&store = store_, repo, commit]() -> ListingPtr {
        const auto text = store.load(repo, commit);
        if (!text) return nullptr;
        auto listing = read_document(*text, repo, commit);
        if (!listing) return nullptr;
        // Who told it is not kept: it is held against the Hub's word when that is heard next.
        listing->told = true;
        return std::make_shared<const RepoListing>(std::move(*listing));
      },
      [this, done = std::move(done)](const ListingPtr& listing) {
        if (listing) remember(listing);
        done(listing);
      });
}

void Listings::keep(const ListingPtr& listing, std::function<void(std::size_t)> then) {
  remember(listing);
  loop_.run(
      [&store = store_, listing]() -> Result<std::size_t> {
        const std::string document = write_document(*listing);
        if (auto saved = store.save(listing->repo, listing->commit, document); !saved)
          return fail(saved.error());
        return document.size();
      },
      [this, listing, then = std::move(then)](const Result<std::size_t>& size) {
        if (!size) spdlog::warn("keeping the listing of {}: {}", listing->repo.name, size.error().message);
        if (size)
          on_disk_[listing_key(listing->repo, listing->commit)] = {listing->repo, listing->commit, *size};
        then(size ? *size : 0);
      });
}

// --- asking the Hub

void Listings::ask(HubClient::Ask question, std::function<void(Result<HubReply>)> done) {
  hub_.ask(std::move(question), [this, done = std::move(done)](Result<HubClient::Reply> reply) {
    loop_.post([done, reply = std::move(reply)]() mutable {
      if (!reply) return done(fail(reply.error()));
      done(HubReply{reply->status, std::move(reply->headers), std::move(reply->body)});
    });
  });
}

void Listings::ask_hub(HubQuery query, std::function<void(Result<HubReply>)> done) {
  HubClient::Ask question;
  question.method = std::move(query.method);
  question.path = std::move(query.path);
  question.query = std::move(query.query);
  question.body = std::move(query.body);
  question.content_type = std::move(query.content_type);
  question.token = std::move(query.token);
  ask(std::move(question), std::move(done));
}

void Listings::known_revisions(const RepoRef& repo,
                               std::function<void(std::vector<std::pair<std::string, std::string>>)> done) {
  if (!rules_.is_public(repo).value_or(false)) return done({});
  loop_.run([&store = store_, repo] { return store.revisions(repo); }, std::move(done));
}

void Listings::check_access(const ListingPtr& listing, std::string path, std::string token,
                            std::function<void(Refusal)> done) {
  const auto is_public = rules_.is_public(listing->repo);
  if (is_public.value_or(false)) return done(std::nullopt);
  const auto known = grants_.find({listing->repo, "content " + token});
  if (known != grants_.end() && now_time() < known->second) return done(std::nullopt);
  // A file that exists: what is asked is who may, not what there is.
  if (path.empty() || listing->find(path) == nullptr) {
    const auto& entries = listing->entries();
    const auto file = std::ranges::find(entries, false, &ListingEntry::folder);
    if (file == entries.end()) return done(std::nullopt);
    path = file->path;
  }
  if (!is_public || token.empty()) return ask_stranger(listing, path, std::move(token), std::move(done));
  HubClient::Ask head;
  head.method = "HEAD";
  head.path = resolve_path(listing->repo, listing->commit, path);
  head.token = token;
  ask(std::move(head), [this, repo = listing->repo, token, done = std::move(done)](Result<HubReply> reply) {
    if (!reply) return done(reply.error());
    if (!is_given(reply->status)) return done(std::move(*reply));
    grant(repo, "content " + token);
    done(std::nullopt);
  });
}

// Asks without a token; the answer counts for everybody.
void Listings::ask_stranger(const ListingPtr& listing, const std::string& path, std::string token,
                            std::function<void(Refusal)> done) {
  HubClient::Ask head;
  head.method = "HEAD";
  head.path = resolve_path(listing->repo, listing->commit, path);
  ask(std::move(head),
      [this, listing, path, token = std::move(token), done = std::move(done)](Result<HubReply> reply) {
        if (!reply) return done(reply.error());
        if (is_given(reply->status)) {
          on_access_(listing->repo, true);
          const ListingEntry* entry = listing->find(path);
          if (listing->told && entry != nullptr && names_another(*reply, entry->blob)) {
            forget(listing);
            return done(Error{Code::changed,
                              "a neighbour told a list of files of " + listing->repo.name +
                                  " that is not the Hub's; it is forgotten, try again",
                              0});
          }
          return done(std::nullopt);
        }
        if (!is_refused(reply->status)) return done(std::move(*reply));
        on_access_(listing->repo, false);
        if (token.empty()) return done(std::move(*reply));
        check_access(listing, path, token, done);
      });
}

}  // namespace shoal
