#include "node/core/bottleneck.h"

#include "node/core/geometry.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace shoal {
namespace {

// A limit that is used to nine tenths is the limit: meters average over 4 s and shaping comes in bursts.
constexpr double kAtLimit = 0.9;
constexpr std::uint16_t kAtLimitPermille = 900;
// A thread that spends so much of its time on one thing has no time for more bytes.
constexpr std::uint16_t kThreadFullPermille = 700;
// Silence that is worth a word; a request's first byte takes 5 to 300 ms.
constexpr std::int64_t kSilentS = 3;

std::string rate_text(std::uint64_t bytes_per_s) {
  std::array<char, 48> text{};
  const auto rate = static_cast<double>(bytes_per_s);
  if (bytes_per_s >= kGiB) {
    std::snprintf(text.data(), text.size(), "%.1f GiB/s", rate / static_cast<double>(kGiB));
  } else if (bytes_per_s >= kMiB) {
    std::snprintf(text.data(), text.size(), "%.1f MiB/s", rate / static_cast<double>(kMiB));
  } else {
    std::snprintf(text.data(), text.size(), "%.1f KiB/s", rate / static_cast<double>(kKiB));
  }
  return text.data();
}

std::string clock_text(WallTime time) {
  const std::int64_t second = time.ms / 1000 % 86'400;
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), "%02d:%02d:%02d UTC", static_cast<int>(second / 3600),
                static_cast<int>(second / 60 % 60), static_cast<int>(second % 60));
  return text.data();
}

std::string percent_text(std::uint16_t permille) {
  return std::to_string(permille / 10) + " %";
}

std::string names_text(const std::vector<NeighbourFacts>& nodes) {
  std::string out = nodes.front().name;
  if (nodes.size() == 2) return out + " and " + nodes.back().name;
  if (nodes.size() > 2) out += " and " + std::to_string(nodes.size() - 1) + " others";
  return out;
}

std::string neighbours_text(const std::vector<NeighbourFacts>& nodes) {
  return (nodes.size() == 1 ? "neighbour " : "neighbours ") + names_text(nodes);
}

// What the busiest part of a device is, in words that follow its name; empty: it has capacity.
std::string full_part(const DeviceLoad& load) {
  if (load.busy) return "is marked busy";
  if (load.nic_permille >= kAtLimitPermille)
    return "uses " + percent_text(load.nic_permille) + " of its network link";
  if (load.io_permille >= kAtLimitPermille)
    return "waits for its disk " + percent_text(load.io_permille) + " of the time";
  if (load.memory_permille >= kAtLimitPermille) return "is short of memory";
  if (load.cpu_permille >= kAtLimitPermille)
    return "has " + percent_text(load.cpu_permille) + " of its processor in use";
  if (load.gpu_permille >= kAtLimitPermille)
    return "has " + percent_text(load.gpu_permille) + " of its GPU in use";
  return {};
}

// This machine's own parts that every byte passes.
std::string own_limit(const NodeFacts& node) {
  if (node.disk_wait_permille >= kThreadFullPermille) {
    return "this machine's disk: writing takes " + percent_text(node.disk_wait_permille) + " of the time";
  }
  if (node.hashing_permille >= kThreadFullPermille) {
    return "this machine's processor: hashing takes " + percent_text(node.hashing_permille) + " of the time";
  }
  if (node.own.nic_permille >= kAtLimitPermille) {
    return "this machine's network link, " + percent_text(node.own.nic_permille) + " in use";
  }
  return {};
}

bool limited(const NodeFacts& node) {
  return node.limited_until > node.now;
}

std::string limit_text(const NodeFacts& node) {
  const std::int64_t left_s = (node.limited_until.ms - node.now.ms + 999) / 1000;
  std::string out = "the Hub, which limits requests until " + clock_text(node.limited_until) + " (" +
                    std::to_string(left_s) + " s left)";
  if (!node.limited_reason.empty()) out += ": " + node.limited_reason;
  return out;
}

// The configured limit that the downloads from the origin have reached; empty: none.
std::string used_up_limit(const NodeFacts& node) {
  const auto reached = [&](std::uint64_t limit) {
    return limit > 0 && static_cast<double>(node.origin_bytes_per_s) >= kAtLimit * static_cast<double>(limit);
  };
  if (reached(node.wan_rate_limit)) {
    return "the WAN limit of this node, " + rate_text(node.wan_rate_limit) + " (wan_rate_limit)";
  }
  if (reached(node.site_wan_part)) {
    return "this node's part, " + rate_text(node.site_wan_part) + ", of the site's WAN limit of " +
           rate_text(node.site_wan_limit) + " (site_wan_rate_limit)";
  }
  return {};
}

std::string while_it_flows(const NodeFacts& node, const BlobFacts& blob) {
  if (auto own = own_limit(node); !own.empty()) return own;
  if (blob.requests > 0) {
    if (auto limit = used_up_limit(node); !limit.empty()) return limit;
    if (const auto own = full_part(node.own); !own.empty()) return "this machine, which " + own;
    const std::uint64_t n = std::max<std::uint64_t>(node.origin_requests, 1);
    return "the line to the Hub: " + std::to_string(n) + (n == 1 ? " request brings " : " requests bring ") +
           rate_text(node.origin_bytes_per_s);
  }
  if (blob.segments_loaded > 0 && !blob.senders.empty()) {
    if (blob.senders.size() == 1) {
      const NeighbourFacts& sender = blob.senders.front();
      const auto full = full_part(sender.load);
      return "neighbour " + sender.name + ", the only one that has it" +
             (full.empty() ? "" : ", which " + full) + "; it sends " +
             rate_text(std::max(sender.sends_bytes_per_s, blob.bytes_per_s));
    }
    const bool all_full =
        std::ranges::none_of(blob.senders, [](const NeighbourFacts& n) { return full_part(n.load).empty(); });
    if (all_full) {
      return neighbours_text(blob.senders) + ", which have no capacity left: " + blob.senders.front().name +
             " " + full_part(blob.senders.front().load);
    }
  }
  return {};
}

std::string while_it_stands(const NodeFacts& node, const BlobFacts& blob) {
  if (blob.awaits_answers) return "answers of neighbours";
  const bool asks_origin = blob.policy != SourcePolicy::lan_only;
  if (blob.segments_loaded > 0) {
    if (blob.silent_s < kSilentS) return {};
    const auto who = blob.senders.empty() ? std::string("neighbours") : neighbours_text(blob.senders);
    return who + (blob.senders.size() == 1 ? ", which sends" : ", which send") + " nothing for " +
           std::to_string(blob.silent_s) + " s";
  }
  if (!blob.claimers.empty() && blob.requests == 0) {
    return neighbours_text(blob.claimers) + ", " +
           (blob.claimers.size() == 1 ? "which fetches" : "which fetch") + " it from the Hub";
  }
  if (asks_origin && limited(node)) return limit_text(node);
  if (asks_origin && blob.origin_rest_s > 0) {
    return "the Hub, which is tried again in " + std::to_string(blob.origin_rest_s) + " s" +
           (blob.origin_error.empty() ? "" : ": " + blob.origin_error);
  }
  if (blob.requests > 0) {
    if (auto own = own_limit(node); !own.empty()) return own;
    if (blob.silent_s < kSilentS) return "the first bytes from the Hub";
    return "the Hub, which sends nothing for " + std::to_string(blob.silent_s) + " s";
  }
  if (!asks_origin && !blob.open_is_available) return "a neighbour that has it (source is lan)";
  return "its turn behind other files";
}

}  // namespace

std::string bottleneck(const NodeFacts& node, const BlobFacts& blob) {
  switch (blob.stage) {
    case BlobFacts::Stage::queued:
      return "its turn behind other files";
    case BlobFacts::Stage::opening:
      return {};
    case BlobFacts::Stage::locked:
      return "another program on this machine that downloads the same file";
    case BlobFacts::Stage::checking:
      return "this machine's hash check of the whole file";
    case BlobFacts::Stage::fetching:
      break;
  }
  return blob.bytes_per_s > 0 ? while_it_flows(node, blob) : while_it_stands(node, blob);
}

}  // namespace shoal
