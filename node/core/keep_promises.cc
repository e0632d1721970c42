#include "node/core/keep_promises.h"

namespace shoal {

std::vector<BlobId> KeepPromises::ask(const std::vector<BlobId>& blobs, Time now) {
  forget_old(now);
  asked_.clear();
  dropping_.clear();
  drop_until_ = now + limits_.promise - limits_.margin;
  std::vector<BlobId> out;
  for (const BlobId& blob : blobs) {
    if (promised(blob, now)) continue;
    if (asked_.try_emplace(blob).second) out.push_back(blob);
  }
  return out;
}

void KeepPromises::on_keep(NodeId from, const std::vector<BlobId>& blobs) {
  for (const BlobId& blob : blobs) {
    if (const auto it = asked_.find(blob); it != asked_.end()) it->second.insert(from);
  }
}

void KeepPromises::on_gone(NodeId node) {
  for (auto& [blob, keepers] : asked_) keepers.erase(node);
}

std::set<BlobId> KeepPromises::close(Time now) {
  dropping_.clear();
  if (may_drop(now)) {
    for (const auto& [blob, keepers] : asked_) {
      if (!keepers.empty() && !promised(blob, now)) dropping_.insert(blob);
    }
  }
  asked_.clear();
  return dropping_;
}

void KeepPromises::end() {
  dropping_.clear();
  drop_until_ = {};
}

std::vector<BlobId> KeepPromises::on_ask(NodeId from, const std::vector<BlobId>& blobs,
                                         const std::function<bool(const BlobId&)>& held, Time now) {
  forget_old(now);
  std::vector<BlobId> keep;
  for (const BlobId& blob : blobs) {
    if (dropping_.contains(blob) || !held(blob)) continue;
    if (asked_.contains(blob)) {
      if (self_ < from) continue;
      asked_.erase(blob);
    }
    promised_[blob] = now + limits_.promise;
    keep.push_back(blob);
  }
  return keep;
}

bool KeepPromises::promised(const BlobId& blob, Time now) const {
  const auto it = promised_.find(blob);
  return it != promised_.end() && now < it->second;
}

void KeepPromises::forget_old(Time now) {
  std::erase_if(promised_, [&](const auto& entry) { return entry.second <= now; });
}

}  // namespace shoal
