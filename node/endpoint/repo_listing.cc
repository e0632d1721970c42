#include "node/endpoint/repo_listing.h"

#include "node/core/json_depth.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

namespace shoal {
namespace {

using Json = nlohmann::json;

constexpr std::uint64_t kDocumentVersion = 1;

Unexpected<Error> bad(std::string text) {
  return fail(Code::invalid, std::move(text));
}

std::optional<std::string> text_of(const Json& object, const char* name) {
  const auto it = object.find(name);
  if (it == object.end() || !it->is_string()) return std::nullopt;
  return it->get<std::string>();
}

std::optional<std::uint64_t> number_of(const Json& object, const char* name) {
  const auto it = object.find(name);
  if (it == object.end() || !it->is_number_unsigned()) return std::nullopt;
  return it->get<std::uint64_t>();
}

Result<ListingEntry> read_entry(const Json& json) {
  if (!json.is_object()) return bad("an entry of a tree is no object");
  ListingEntry entry;
  entry.path = text_of(json, "path").value_or("");
  if (!is_valid_repo_path(entry.path)) return bad("a tree has a path that is not allowed");
  entry.oid = text_of(json, "oid").value_or("");
  const auto type = text_of(json, "type").value_or("file");
  entry.folder = type == "directory";
  if (!is_commit_id(entry.oid) || (!entry.folder && type != "file")) {
    return bad("an entry of a tree has no git id or is neither file nor directory");
  }
  if (entry.folder) return entry;
  const auto lfs = json.find("lfs");
  const bool is_lfs = lfs != json.end() && lfs->is_object();
  const auto size = number_of(is_lfs ? *lfs : json, "size");
  if (!size || *size > kMaxBlobSize) return bad("a file of a tree has no size, or one beyond any accepted");
  const auto blob = BlobId::from_etag(is_lfs ? text_of(*lfs, "oid").value_or("") : entry.oid, *size);
  if (!blob || (is_lfs && blob->kind != BlobId::Kind::sha256)) return bad("a file of a tree has no hash");
  entry.blob = *blob;
  if (is_lfs) {
    entry.pointer_size = static_cast<std::uint32_t>(std::clamp<std::uint64_t>(
        number_of(*lfs, "pointerSize").value_or(lfs_pointer(entry).size()), 1, 1U << 20U));
  }
  return entry;
}

Json to_json(const ListingEntry& entry) {
  Json out{{"path", entry.path}, {"oid", entry.oid}};
  if (entry.folder) {
    out["type"] = "directory";
    return out;
  }
  if (entry.pointer_size > 0) {
    out["lfs"] = {{"oid", entry.blob.etag()}, {"size", entry.blob.size}, {"pointerSize", entry.pointer_size}};
  } else {
    out["size"] = entry.blob.size;
  }
  return out;
}

// Discarded: no JSON, or nested deeper than is accepted.
Json parse(std::string_view text, int nesting_max = kJsonNestingMax) {
  if (nests_deeper_than(text, nesting_max)) return Json(Json::value_t::discarded);
  return Json::parse(text, nullptr, false);
}

// Of an entry of `siblings`, which says of a file what a tree says with other words.
std::optional<std::pair<std::string, BlobId>> read_sibling(const Json& json) {
  if (!json.is_object()) return std::nullopt;
  const auto lfs = json.find("lfs");
  const bool is_lfs = lfs != json.end() && lfs->is_object();
  const auto hash = is_lfs ? text_of(*lfs, "sha256") : text_of(json, "blobId");
  const auto size = number_of(is_lfs ? *lfs : json, "size");
  auto path = text_of(json, "rfilename");
  if (!hash || !size || !path) return std::nullopt;
  const auto blob = BlobId::from_etag(*hash, *size);
  if (!blob) return std::nullopt;
  return std::pair{std::move(*path), *blob};
}

std::vector<std::pair<std::string, BlobId>> read_siblings(const Json& info) {
  std::vector<std::pair<std::string, BlobId>> files;
  const auto siblings = info.find("siblings");
  if (siblings == info.end() || !siblings->is_array()) return files;
  for (const Json& sibling : *siblings) {
    auto file = read_sibling(sibling);
    if (!file) return {};
    files.push_back(std::move(*file));
  }
  return files;
}

}  // namespace

const ListingEntry* RepoListing::find(std::string_view path) const {
  const auto it = std::ranges::lower_bound(entries_, path, {},
                                           [](const ListingEntry& e) { return std::string_view(e.path); });
  return it != entries_.end() && it->path == path ? &*it : nullptr;
}

bool RepoListing::has_folder(std::string_view path) const {
  const ListingEntry* entry = find(path);
  return path.empty() || (entry != nullptr && entry->folder);
}

std::vector<const ListingEntry*> RepoListing::below(std::string_view folder, bool recursive) const {
  std::vector<const ListingEntry*> out;
  const std::string prefix = folder.empty() ? "" : std::string(folder) + "/";
  auto it = std::ranges::lower_bound(entries_, std::string_view(prefix), {},
                                     [](const ListingEntry& e) { return std::string_view(e.path); });
  for (; it != entries_.end() && it->path.starts_with(prefix); ++it) {
    if (recursive || it->path.find('/', prefix.size()) == std::string::npos) out.push_back(&*it);
  }
  return out;
}

Result<void> RepoListing::set_entries(std::vector<ListingEntry> entries) {
  if (entries.size() > kEntriesMax) return bad("a tree has more entries than are accepted");
  std::ranges::sort(entries, {}, &ListingEntry::path);
  const auto twice = std::ranges::adjacent_find(entries, {}, &ListingEntry::path);
  if (twice != entries.end()) return bad("a tree has a path twice");
  entries_ = std::move(entries);
  for (const ListingEntry& entry : entries_) {
    const auto slash = entry.path.rfind('/');
    if (slash == std::string::npos) continue;
    const ListingEntry* parent = find(std::string_view(entry.path).substr(0, slash));
    if (parent != nullptr && !parent->folder) {
      entries_.clear();
      return bad("a tree has a path that is both a file and a folder");
    }
  }
  return {};
}

std::size_t RepoListing::memory() const {
  std::size_t bytes = sizeof(*this) + info.size();
  for (const ListingEntry& entry : entries_) bytes += sizeof(entry) + entry.path.size() + entry.oid.size();
  return bytes;
}

Result<InfoAnswer> read_info(std::string_view json) {
  // One level less than of a document, which has the description inside.
  Json info = parse(json, kJsonNestingMax - 1);
  if (!info.is_object()) return bad("the description of a repo is no JSON object, or nested too deep");
  InfoAnswer answer;
  answer.commit = text_of(info, "sha").value_or("");
  if (!is_commit_id(answer.commit)) return bad("the description of a repo has no commit");
  answer.files = read_siblings(info);
  info.erase("siblings");
  answer.info = info.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (answer.info.size() > RepoListing::kInfoBytesMax) return bad("the description of a repo is too long");
  return answer;
}

bool agrees(const RepoListing& listing, const std::vector<std::pair<std::string, BlobId>>& files) {
  for (const auto& [path, blob] : files) {
    const ListingEntry* entry = listing.find(path);
    if (entry == nullptr || entry->folder || entry->blob != blob) return false;
  }
  const auto listed = std::ranges::count(listing.entries(), false, &ListingEntry::folder);
  return files.size() >= RepoListing::kSiblingsMax || static_cast<std::size_t>(listed) == files.size();
}

Result<std::vector<ListingEntry>> read_tree_page(std::string_view json) {
  const Json page = parse(json);
  if (!page.is_array()) return bad("a page of a tree is no JSON array");
  std::vector<ListingEntry> entries;
  entries.reserve(page.size());
  for (const Json& item : page) {
    auto entry = read_entry(item);
    if (!entry) return fail(entry.error());
    entries.push_back(std::move(*entry));
  }
  return entries;
}

std::string write_document(const RepoListing& listing) {
  Json tree = Json::array();
  for (const ListingEntry& entry : listing.entries()) tree.push_back(to_json(entry));
  const Json document{{"version", kDocumentVersion}, {"type", to_string(listing.repo.type)},
                      {"name", listing.repo.name},   {"commit", listing.commit},
                      {"info", parse(listing.info)}, {"tree", std::move(tree)}};
  return document.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<RepoListing> read_document(std::string_view text, const RepoRef& repo, const std::string& commit) {
  const Json document = parse(text);
  if (!document.is_object() || number_of(document, "version") != kDocumentVersion) {
    return bad("not the document of a listing");
  }
  if (text_of(document, "type") != std::string(to_string(repo.type)) ||
      text_of(document, "name") != repo.name || text_of(document, "commit") != commit) {
    return bad("the listing of another repo or commit");
  }
  const auto info = document.find("info");
  const auto tree = document.find("tree");
  if (info == document.end() || tree == document.end()) return bad("a listing without description or files");
  auto description = read_info(info->dump(-1, ' ', false, Json::error_handler_t::replace));
  if (!description) return fail(description.error());
  if (description->commit != commit) return bad("a listing that describes another commit");
  auto entries = read_tree_page(tree->dump(-1, ' ', false, Json::error_handler_t::replace));
  if (!entries) return fail(entries.error());
  RepoListing listing;
  listing.repo = repo;
  listing.commit = commit;
  listing.info = std::move(description->info);
  if (auto set = listing.set_entries(std::move(*entries)); !set) return fail(set.error());
  return listing;
}

std::string lfs_pointer(const ListingEntry& entry) {
  return "version https://git-lfs.github.com/spec/v1\noid sha256:" + entry.blob.etag() + "\nsize " +
         std::to_string(entry.blob.size) + "\n";
}

}  // namespace shoal
