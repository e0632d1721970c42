#include "tests/sim/mutations.h"

namespace shoal::sim {
namespace {

constexpr Duration kNever = std::chrono::hours(1000);

}  // namespace

std::vector<Mutation> mutations() {
  return {
      // Nor is anybody helped: help alone gets a site past a node that hangs.
      {"ClaimsNeverLapse", "one_hung",
       [](Options& o) {
         o.claims_lapse = false;
         o.limits.overdue_after = kNever;
         o.deadline_s = 120;
       },
       "has not finished"},
      {"ClaimsAreNotTold", "cold_8_files", [](Options& o) { o.claims_settle = false; }, "times the size"},
      {"ClaimsAreNotRefreshed", "cold_uneven_connections",
       [](Options& o) {
         o.limits.claim_refresh = kNever;
         o.wan_bytes_per_s /= 8;  // a slice takes longer than a claim lasts
         o.deadline_s *= 8;
         o.limits.slice_time = std::chrono::seconds(20);
       },
       "times the size"},
      {"ABusyNodeGetsNothing", "cold_n1",
       [](Options& o) {
         o.marked_busy = {{0, 0.0}};
         o.limits.slices_least = 0;
         o.deadline_s = 120;
       },
       "has not finished"},
      {"BlobsArePublishedUnchecked", "one_hash_liar", [](Options& o) { o.publisher_checked = false; },
       "published wrong bytes"},
      {"PiecesAreTakenUnchecked", "one_byte_liar", [](Options& o) { o.pieces_checked = false; },
       "times the size"},
      // Of the checker's knowledge: it takes the liar for honest.
      {"ANodeBansWithoutReason", "one_byte_liar", [](Options& o) { o.byte_liars_are_known = false; },
       "banned honest node"},
  };
}

}  // namespace shoal::sim
