#include "transport/swarm/dial_book.h"

#include <algorithm>

namespace shoal {

DialBook::Entry* DialBook::find_or_add(const Endpoint& endpoint, Time now) {
  const auto found = entries_.find(endpoint);
  if (found != entries_.end()) return &found->second;
  if (entries_.size() >= limits_.endpoints) return nullptr;
  Entry entry;
  entry.next = now;
  entry.in_vain_since = now;
  entry.wait = limits_.first_wait;
  return &entries_.emplace(endpoint, entry).first->second;
}

void DialBook::on_explicit(const Endpoint& endpoint, Time now) {
  if (auto* entry = find_or_add(endpoint, now)) entry->is_explicit = true;
}

void DialBook::on_heard(const Endpoint& endpoint, Time now) {
  auto* entry = find_or_add(endpoint, now);
  if (entry == nullptr || entry->neighbour) return;
  // Somebody says it is there: do not wait for the end of a long wait.
  entry->in_vain_since = now;
  entry->wait = std::min(entry->wait, limits_.longest_wait / 4);
  entry->next = std::min(entry->next, now + entry->wait);
}

void DialBook::on_neighbour(const Endpoint& endpoint, NodeId node, Time now) {
  if (auto* entry = find_or_add(endpoint, now)) entry->neighbour = node;
}

void DialBook::on_lost(NodeId node, Time now) {
  for (auto& [endpoint, entry] : entries_) {
    if (entry.neighbour != node) continue;
    entry.neighbour.reset();
    entry.in_vain_since = now;
    entry.wait = limits_.first_wait;
    entry.next = now + entry.wait;
  }
}

void DialBook::on_self(const Endpoint& endpoint) {
  const auto found = entries_.find(endpoint);
  if (found != entries_.end()) found->second.is_self = true;
}

std::vector<Endpoint> DialBook::due(Time now) {
  std::vector<Endpoint> out;
  for (auto i = entries_.begin(); i != entries_.end();) {
    auto& [endpoint, entry] = *i;
    if (entry.neighbour || entry.is_self || entry.next > now) {
      ++i;
      continue;
    }
    if (!entry.is_explicit && now - entry.in_vain_since > limits_.forget_after) {
      i = entries_.erase(i);
      continue;
    }
    out.push_back(endpoint);
    entry.next = now + entry.wait;
    entry.wait = std::min(entry.wait * 2, limits_.longest_wait);
    ++i;
  }
  return out;
}

}  // namespace shoal
