// What holds a file up, in words: the column `waiting_for`, `shoal why`, and the page.
//
// A pure function of facts. The words finish the sentence "it waits for ...", so they begin with a noun in
// lower case and have no full stop. Empty: nothing is known to hold it up.
//
// The order of the questions is the order in which bytes pass: is it this file's turn, may the origin be
// asked, does anybody send, does the disk take it. While bytes flow, the first part of that way that is at
// its limit is named; numbers in front of `kAtLimit` say how near counts.
#pragma once

#include "node/core/load.h"
#include "node/core/status.h"
#include "node/core/time.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace shoal {

// Facts about the node, the same for all its files.
struct NodeFacts {
  WallTime now;
  std::uint64_t origin_bytes_per_s = 0;  // all of this node
  std::uint64_t wan_rate_limit = 0;      // of this node, bytes per second; 0: none
  std::uint64_t site_wan_limit = 0;      // of the whole site; 0: none
  std::uint64_t site_wan_part = 0;       // this node's part of it at present
  std::uint64_t origin_requests = 0;     // under way
  WallTime limited_until;                // the Hub or its CDN said so; in the past or 0: not limited
  std::string limited_reason;
  DeviceLoad own;
  // Share of the last seconds in which the busiest writing thread waited for the disk, and computed hashes.
  std::uint16_t disk_wait_permille = 0;
  std::uint16_t hashing_permille = 0;
};

struct NeighbourFacts {
  std::string name;
  DeviceLoad load;
  std::uint64_t sends_bytes_per_s = 0;  // to this node
};

// Facts about one wanted blob.
struct BlobFacts {
  enum class Stage : std::uint8_t { queued, opening, locked, fetching, checking };
  Stage stage = Stage::queued;
  SourcePolicy policy = SourcePolicy::automatic;
  std::uint64_t bytes_per_s = 0;
  bool awaits_answers = false;           // neighbours were asked what they have
  int requests = 0;                      // own ones to the origin
  int segments_loaded = 0;               // being fetched from neighbours
  std::int64_t silent_s = 0;             // seconds without a byte
  std::int64_t origin_rest_s = 0;        // seconds until the origin is tried again after a failure
  std::string origin_error;              // that failure
  bool open_is_available = false;        // a neighbour has the first part that is missing
  std::vector<NeighbourFacts> senders;   // that have what is loaded
  std::vector<NeighbourFacts> claimers;  // that fetch missing parts from the origin
};

[[nodiscard]] std::string bottleneck(const NodeFacts& node, const BlobFacts& blob);

}  // namespace shoal
