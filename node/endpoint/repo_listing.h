// What the Hub says of a repo at one commit: its description and its files. A commit never changes, so one
// answer serves for ever, and neighbours give it to each other.
//
// As text ("document") it is kept on the disk and travels between nodes. What comes from a neighbour is read
// with the same checks as what comes from the Hub; whether its files are those of the commit only the Hub's
// own word tells (agrees(), docs/known-limits.md).
#pragma once

#include "node/core/geometry.h"
#include "node/core/ids.h"
#include "node/core/result.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace shoal {

struct ListingEntry {
  std::string path;
  bool folder = false;
  std::string oid;                 // git's id: of the file, its LFS pointer, or the folder's tree
  BlobId blob;                     // of a file
  std::uint32_t pointer_size = 0;  // of an LFS file's pointer; 0: an ordinary file
};

class RepoListing {
 public:
  static constexpr std::size_t kEntriesMax = 400'000;  // 200,000 files and their folders
  static constexpr std::size_t kSiblingsMax = 50'000;  // of a description; the Hub names no more
  static constexpr std::size_t kInfoBytesMax =
      4U * 1024 * 1024;  // cards and configurations are 10 to 100 KiB

  RepoRef repo;
  std::string commit;
  std::string info;      // the Hub's JSON object, without `siblings`; always holds `sha`
  bool told = false;     // came from a neighbour, and was not held against the Hub's word
  bool partial = false;  // made from what is held here: there may be more files

  [[nodiscard]] const std::vector<ListingEntry>& entries() const { return entries_; }  // by path
  [[nodiscard]] const ListingEntry* find(std::string_view path) const;
  // The entries below a folder ("" is the root): all of them, or the direct ones.
  [[nodiscard]] std::vector<const ListingEntry*> below(std::string_view folder, bool recursive) const;
  [[nodiscard]] bool has_folder(std::string_view path) const;
  // Sorts and checks: paths that are allowed, none twice, none both file and folder. Errors: invalid.
  Result<void> set_entries(std::vector<ListingEntry> entries);
  [[nodiscard]] std::size_t memory() const;  // bytes, about

 private:
  std::vector<ListingEntry> entries_;
};

// What the Hub's answer to "which commit is this revision" says.
struct InfoAnswer {
  std::string commit;
  std::string info;  // as RepoListing::info
  // With `blobs`, what stands under which name; empty when the Hub does not say it of all.
  std::vector<std::pair<std::string, BlobId>> files;
};
[[nodiscard]] Result<InfoAnswer> read_info(std::string_view json);
// Whether a listing has these files of the Hub, each with that content, and no other one.
[[nodiscard]] bool agrees(const RepoListing& listing,
                          const std::vector<std::pair<std::string, BlobId>>& files);
// One page of `tree?recursive=true`.
[[nodiscard]] Result<std::vector<ListingEntry>> read_tree_page(std::string_view json);

[[nodiscard]] std::string write_document(const RepoListing& listing);
// Errors: invalid (not such a document, or of another repo or commit).
[[nodiscard]] Result<RepoListing> read_document(std::string_view text, const RepoRef& repo,
                                                const std::string& commit);

// The text of an LFS file's pointer, as git has it in place of the file.
[[nodiscard]] std::string lfs_pointer(const ListingEntry& entry);

}  // namespace shoal
