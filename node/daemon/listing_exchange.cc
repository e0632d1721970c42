#include "node/daemon/listing_exchange.h"

#include <algorithm>
#include <iterator>
#include <span>
#include <utility>

namespace shoal {

void ListingExchange::ask(const Hash256& key, Found found) {
  if (questions_.size() >= kQuestionsMax) return found(std::nullopt);
  Question& question = questions_[key];
  question.found = std::move(found);
  for (const NodeId node : alive_()) {
    question.silent.insert(node);
    swarm_.send(node, msg::AskListing{key, msg::kListingAsk});
  }
  wait(key, kAnswerTime, [](Question& q) { q.silent.clear(); });
  decide(key);
}

void ListingExchange::wait(const Hash256& key, std::chrono::milliseconds time,
                           std::function<void(Question&)> give_up) {
  const std::uint64_t step = ++questions_.at(key).step;
  loop_.after(time, [self = weak_from_this(), key, step, give_up = std::move(give_up)] {
    const auto alive = self.lock();
    if (!alive) return;
    const auto it = alive->questions_.find(key);
    if (it == alive->questions_.end() || it->second.step != step || it->second.at_hub) return;
    give_up(it->second);
    alive->decide(key);
  });
}

void ListingExchange::decide(const Hash256& key) {
  const auto it = questions_.find(key);
  if (it == questions_.end() || it->second.at_hub || it->second.source || !it->second.silent.empty()) return;
  Question& question = it->second;
  if (!question.busy.empty()) {
    wait(key, kPatience, [](Question& q) { q.busy.clear(); });
    return;
  }
  question.at_hub = true;
  std::exchange(question.found, {})(std::nullopt);
}

void ListingExchange::settle(const Hash256& key, std::optional<std::uint64_t> size) {
  const auto it = questions_.find(key);
  if (it == questions_.end()) return;
  const auto state = size ? msg::ListingState::have : msg::ListingState::lack;
  for (const NodeId asker : it->second.askers) {
    swarm_.send(asker, msg::Listing{key, state, size.value_or(0), 0, {}});
  }
  questions_.erase(it);
}

bool ListingExchange::tell_to_wait(NodeId from, const Hash256& key) {
  const auto it = questions_.find(key);
  if (it == questions_.end() || it->second.askers.size() >= kAskersMax) return false;
  it->second.askers.insert(from);
  const std::uint64_t at_hub = it->second.at_hub ? kAtHub : 0;
  swarm_.send(from, msg::Listing{key, msg::ListingState::asking, at_hub, 0, {}});
  return true;
}

void ListingExchange::drop(const Hash256& key, NodeId node) {
  Question& question = questions_.at(key);
  question.silent.erase(node);
  question.busy.erase(node);
  if (question.source == node) {
    question.source.reset();
    question.document.clear();
  }
  decide(key);
}

void ListingExchange::on_neighbour_down(NodeId node) {
  std::vector<Hash256> keys;
  for (const auto& [key, question] : questions_) keys.push_back(key);
  for (const Hash256& key : keys) {
    if (questions_.contains(key)) drop(key, node);
  }
}

void ListingExchange::on_listing(NodeId from, const msg::Listing& listing) {
  const auto it = questions_.find(listing.key);
  if (it == questions_.end() || it->second.at_hub) return;
  Question& question = it->second;
  if (listing.state == msg::ListingState::have) return take(question, from, listing);
  // Of two that ask each other the one with the lower id goes on; who is at the Hub waits for nobody.
  const bool waits = listing.state == msg::ListingState::asking && (from < self_ || listing.size == kAtHub);
  if (waits && question.silent.erase(from) > 0) {
    question.busy.insert(from);
    return decide(listing.key);
  }
  // One that waits for this node is no source either.
  drop(listing.key, from);
}

void ListingExchange::take(Question& question, NodeId from, const msg::Listing& listing) {
  const Hash256 key = listing.key;
  if (!question.source) {
    // Only who was asked, or said that it is asking, may answer.
    if (question.silent.erase(from) + question.busy.erase(from) == 0 || listing.size == 0) return decide(key);
    question.source = from;
    question.size = listing.size;
  } else if (question.source != from) {
    return;
  } else if (listing.offset != question.document.size() || listing.size != question.size ||
             listing.bytes.empty()) {
    return;
  }
  const auto text = std::span(listing.bytes);
  std::ranges::transform(text, std::back_inserter(question.document),
                         [](std::byte b) { return static_cast<char>(b); });
  if (question.document.size() < question.size) {
    swarm_.send(from, msg::AskListing{key, question.document.size()});
    wait(key, kPartTime, [](Question& q) {
      q.source.reset();
      q.document.clear();
    });
    return;
  }
  question.at_hub = true;  // nothing more is taken from anybody
  std::exchange(question.found, {})(std::exchange(question.document, {}));
}

}  // namespace shoal
