#include "transport/origin/resolver.h"

#include "transport/origin/signed_url.h"

#include <algorithm>
#include <utility>

namespace shoal {

Resolver::Resolver(OriginContext& context, HubCalls& calls) : context_(context), calls_(calls) {}

// The blob is part of the key: an answer is held against one blob only. So is the token: a signed URL is for
// whom it was given to.
std::string Resolver::key_of(const OriginFile& file) {
  return std::string(to_string(file.repo.type)) + "\n" + file.repo.name + "\n" + file.commit + "\n" +
         file.path + "\n" + file.blob.text() + "\n" + std::to_string(file.blob.size) + "\n" + file.token;
}

void Resolver::find(const OriginFile& file, Done done) {
  const std::string key = key_of(file);
  Entry& entry = entries_[key];
  if (!entry.asking && entry.keep_until > std::chrono::steady_clock::now()) {
    done(entry.place);
    return;
  }
  entry.waiters.push_back(std::move(done));
  if (!entry.asking) ask(key, file);
}

void Resolver::refuse(const OriginFile& file, std::uint64_t generation) {
  const auto found = entries_.find(key_of(file));
  if (found == entries_.end() || found->second.asking) return;
  if (found->second.place.generation == generation) entries_.erase(found);
}

void Resolver::forget_all() {
  std::erase_if(entries_, [](const auto& entry) { return !entry.second.asking; });
}

void Resolver::ask(const std::string& key, const OriginFile& file) {
  Entry& entry = entries_[key];
  entry.asking = true;
  make_room();
  ++context_.resolves;
  HubCallSpec spec;
  spec.question = context_.question(file.repo, file.commit, file.path);
  spec.url = context_.resolve_url(file);
  spec.head = true;
  spec.token = file.token;
  spec.question.with_token = spec.question.with_token || !file.token.empty();
  spec.max_attempts = context_.options.max_attempts;  // part of a slice: nobody waits for this answer alone
  spec.check = [file](const ResponseHead& head) { return identity_mismatch(file, head); };
  calls_.start(std::move(spec), [this, key](Result<HubAnswer> answer) { on_answer(key, std::move(answer)); });
}

void Resolver::on_answer(const std::string& key, Result<HubAnswer> answer) {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return;
  Entry& entry = found->second;
  const std::vector<Done> waiters = std::exchange(entry.waiters, {});
  entry.asking = false;
  if (!answer) {
    entries_.erase(found);
    for (const Done& done : waiters) done(fail(answer.error()));
    return;
  }
  const bool at_hub = !answer->foreign;
  const Place place{at_hub ? answer->url : *answer->foreign, at_hub, next_generation_++};
  entry.place = place;
  entry.keep_until =
      std::chrono::steady_clock::now() + signed_url_keep(place.url.query, server_time(answer->head));
  for (const Done& done : waiters) done(place);
}

void Resolver::make_room() {
  if (entries_.size() <= kKeptMax) return;
  auto oldest = entries_.end();
  for (auto it = entries_.begin(); it != entries_.end(); ++it) {
    if (it->second.asking) continue;
    if (oldest == entries_.end() || it->second.place.generation < oldest->second.place.generation)
      oldest = it;
  }
  if (oldest != entries_.end()) entries_.erase(oldest);
}

}  // namespace shoal
