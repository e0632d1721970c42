// A listing of what is held, for when the Hub is out of reach and nobody here ever asked it for the whole.
#include "node/daemon/listings.h"
#include "storage/sha.h"
#include "storage/state_db.h"

#include <algorithm>
#include <array>
#include <map>
#include <span>

namespace shoal {
namespace {

std::string git_id(std::string_view kind, const std::string& body) {
  const std::string head = std::string(kind) + " " + std::to_string(body.size()) + '\0';
  Sha1 hash;
  hash.update(std::as_bytes(std::span(head)));
  hash.update(std::as_bytes(std::span(body)));
  std::array<std::uint8_t, Sha1::kDigestSize> digest{};
  hash.finish(digest);
  return to_hex(digest);
}

// Adds the folders that the files lie in. Their ids are those of trees of just these files, all of ordinary
// mode.
void add_folders(std::vector<ListingEntry>& entries) {
  struct Child {
    std::string mode;
    std::string oid;
  };
  // By folder, deepest last; children by the name that git sorts by.
  std::map<std::string, std::map<std::string, Child>> folders;
  for (const ListingEntry& entry : entries) {
    const auto slash = entry.path.rfind('/');
    const bool top = slash == std::string::npos;
    folders[top ? "" : entry.path.substr(0, slash)][top ? entry.path : entry.path.substr(slash + 1)] = {
        "100644", entry.oid};
    for (std::string folder = top ? "" : entry.path.substr(0, slash); !folder.empty();) {
      const auto cut = folder.rfind('/');
      folders.try_emplace(folder);
      folder = cut == std::string::npos ? "" : folder.substr(0, cut);
    }
  }
  // A folder's path sorts after its parent's, so from the end every folder is whole when it is come to.
  for (auto it = folders.rbegin(); it != folders.rend(); ++it) {
    const auto& [folder, children] = *it;
    if (folder.empty()) continue;
    std::string body;
    for (const auto& [name, child] : children) {
      std::array<std::uint8_t, 20> digest{};
      if (!from_hex(child.oid, digest)) continue;
      const std::string plain = name.ends_with('/') ? name.substr(0, name.size() - 1) : name;
      body += child.mode + " " + plain + '\0';
      body.append(digest.begin(), digest.end());
    }
    ListingEntry entry;
    entry.path = folder;
    entry.folder = true;
    entry.oid = git_id("tree", body);
    const auto cut = folder.rfind('/');
    const std::string parent = cut == std::string::npos ? "" : folder.substr(0, cut);
    const std::string name = cut == std::string::npos ? folder : folder.substr(cut + 1);
    folders[parent][name + "/"] = {"40000", entry.oid};
    entries.push_back(std::move(entry));
  }
}

}  // namespace

ListingPtr listing_of_held_files(StateDb& db, const RepoRef& repo, const std::string& revision) {
  const auto files = db.held_files(repo);
  if (!files) return nullptr;
  std::string commit = is_commit_id(revision) ? revision : "";
  for (const FileStatus& file : *files) {
    if (commit.empty() && file.revision == revision) commit = file.commit_id;
  }
  std::vector<ListingEntry> entries;
  for (const FileStatus& file : *files) {
    if (file.commit_id != commit) continue;
    const bool known = std::ranges::find(entries, file.path, &ListingEntry::path) != entries.end();
    if (known) continue;
    ListingEntry entry;
    entry.path = file.path;
    entry.blob = file.blob;
    if (file.blob.kind == BlobId::Kind::sha256) {
      const std::string pointer = lfs_pointer(entry);
      entry.pointer_size = static_cast<std::uint32_t>(pointer.size());
      entry.oid = git_id("blob", pointer);
    } else {
      entry.oid = file.blob.etag();
    }
    entries.push_back(std::move(entry));
  }
  if (entries.empty() || !is_commit_id(commit)) return nullptr;
  add_folders(entries);
  auto listing = std::make_shared<RepoListing>();
  listing->repo = repo;
  listing->commit = commit;
  listing->partial = true;
  // Names and commits have no character that JSON would escape.
  listing->info = R"({"id":")" + repo.name + R"(","sha":")" + commit +
                  R"(","private":false,"gated":false,"disabled":false,"tags":[],"downloads":0,"likes":0})";
  if (!listing->set_entries(std::move(entries))) return nullptr;
  return listing;
}

}  // namespace shoal
