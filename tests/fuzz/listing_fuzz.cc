// The document about a commit that neighbours tell and the disk keeps, and the Hub's own JSON behind it
// (node/endpoint/repo_listing.h).
#include "node/endpoint/hub_json.h"
#include "node/endpoint/repo_listing.h"
#include "tests/fuzz/fuzz_target.h"

using namespace shoal;

namespace {

void check(const RepoListing& listing) {
  for (const ListingEntry& entry : listing.entries()) {
    FUZZ_REQUIRE(is_valid_repo_path(entry.path) && is_commit_id(entry.oid));
    FUZZ_REQUIRE(entry.folder || entry.blob.size <= kMaxBlobSize);
    FUZZ_REQUIRE(listing.find(entry.path) == &entry);
  }
  const std::string document = write_document(listing);
  const auto again = read_document(document, listing.repo, listing.commit);
  FUZZ_REQUIRE(again.has_value() && again->entries().size() == listing.entries().size());
  FUZZ_REQUIRE(write_document(*again) == document);
  // Made into answers without an accident.
  FUZZ_REQUIRE(!info_json_as_known(listing, {{"blobs", "true"}}).empty());
  FUZZ_REQUIRE(tree_page(listing, "", {{"recursive", "true"}}).has_value());
}

}  // namespace

SHOAL_FUZZ_TARGET(listing, 4) {
  static const RepoRef kRepo{RepoType::model, "acme/tiny"};
  static const std::string kCommit = "0123456789abcdef0123456789abcdef01234567";
  const auto text = fuzz::as_text(input);
  if (const auto listing = read_document(text, kRepo, kCommit)) check(*listing);
  if (const auto info = read_info(text)) {
    FUZZ_REQUIRE(is_commit_id(info->commit) && info->info.size() <= RepoListing::kInfoBytesMax);
    // Kept and read again it says the same.
    const auto again = read_info(info->info);
    FUZZ_REQUIRE(again.has_value() && again->info == info->info);
  }
  if (auto entries = read_tree_page(text)) {
    RepoListing listing;
    listing.repo = kRepo;
    listing.commit = kCommit;
    listing.info = "{\"sha\":\"" + kCommit + "\"}";
    if (listing.set_entries(std::move(*entries))) check(listing);
  }
}
