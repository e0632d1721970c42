#include "node/core/eviction.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace shoal {
namespace {

std::uint64_t size_of(const std::vector<BlobId>& blobs) {
  std::uint64_t size = 0;
  for (const BlobId& blob : blobs) size += blob.size;
  return size;
}

bool looked_at_before(const HeldSnapshot& a, const HeldSnapshot& b) {
  if (a.commit.empty() != b.commit.empty()) return a.commit.empty();
  if (a.last_used != b.last_used) return a.last_used < b.last_used;
  if (const auto x = size_of(a.blobs), y = size_of(b.blobs); x != y) return x > y;
  return std::tie(a.repo, a.commit) < std::tie(b.repo, b.commit);
}

}  // namespace

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::evict:
      return "least recently used";
    case Verdict::not_needed:
      return "enough is freed without it";
    case Verdict::no_gain:
      return "its files belong to another snapshot that stays, too";
    case Verdict::pinned:
      return "pinned";
    case Verdict::wanted:
      return "a running pull wants it";
    case Verdict::in_use:
      return "it is being read";
    case Verdict::last_copy:
      return "the last copy on the site";
  }
  return "unknown";
}

std::vector<EvictionChoice> choose_evictions(std::vector<HeldSnapshot> snapshots,
                                             const EvictionRequest& request) {
  std::ranges::sort(snapshots, looked_at_before);
  // In how many snapshots that are still there each blob is.
  std::map<BlobId, int> users;
  for (HeldSnapshot& snapshot : snapshots) {
    std::ranges::sort(snapshot.blobs);
    const auto twice = std::ranges::unique(snapshot.blobs);
    snapshot.blobs.erase(twice.begin(), twice.end());
    for (const BlobId& blob : snapshot.blobs) ++users[blob];
  }
  std::vector<EvictionChoice> choices;
  std::uint64_t freed = 0;
  for (const HeldSnapshot& snapshot : snapshots) {
    EvictionChoice choice;
    choice.repo = snapshot.repo;
    choice.commit = snapshot.commit;
    choice.last_used = snapshot.last_used;
    for (const BlobId& blob : snapshot.blobs) {
      if (users.at(blob) > 1) continue;
      choice.freed.push_back(blob);
      choice.frees += blob.size;
      if (!request.kept_by_others.contains(blob)) ++choice.last_copies;
    }
    choice.verdict = snapshot.pinned                                       ? Verdict::pinned
                     : snapshot.wanted                                     ? Verdict::wanted
                     : snapshot.in_use                                     ? Verdict::in_use
                     : choice.frees == 0                                   ? Verdict::no_gain
                     : freed >= request.bytes                              ? Verdict::not_needed
                     : choice.last_copies > 0 && !request.even_last_copies ? Verdict::last_copy
                                                                           : Verdict::evict;
    if (choice.verdict == Verdict::evict) {
      freed += choice.frees;
      for (const BlobId& blob : snapshot.blobs) --users.at(blob);
    } else {
      choice.freed.clear();
    }
    choices.push_back(std::move(choice));
  }
  return choices;
}

std::uint64_t freed_by(const std::vector<EvictionChoice>& choices) {
  std::uint64_t bytes = 0;
  for (const EvictionChoice& choice : choices) {
    if (choice.verdict == Verdict::evict) bytes += choice.frees;
  }
  return bytes;
}

}  // namespace shoal
