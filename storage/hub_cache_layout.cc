#include "storage/hub_cache_layout.h"

#include <algorithm>

namespace shoal {
namespace {

constexpr std::string_view kBlobs = "blobs";
constexpr std::string_view kRefs = "refs";
constexpr std::string_view kSnapshots = "snapshots";
constexpr std::string_view kNoExist = ".no_exist";
constexpr std::string_view kTrees = "trees";
constexpr std::string_view kLocks = ".locks";
constexpr std::string_view kPartialSuffix = ".shoal-partial";
constexpr std::string_view kSmallSuffix = ".shoal-small";
constexpr std::string_view kRefTemp = ".shoal-ref-";
constexpr std::string_view kLinkTemp = ".shoal-link-";

std::string join(std::string_view a, std::string_view b) {
  std::string out(a);
  out += '/';
  out += b;
  return out;
}

// "../" for the snapshot's folder and `snapshots`, and one more per folder in the path.
std::string link_prefix(std::string_view path) {
  std::string out;
  const auto depth = 2 + std::ranges::count(path, '/');
  for (std::ptrdiff_t i = 0; i < depth; ++i) out += "../";
  out += kBlobs;
  out += '/';
  return out;
}

}  // namespace

std::string repo_folder_name(const RepoRef& repo) {
  std::string out(to_string(repo.type));
  out += "s--";
  const auto slash = repo.name.find('/');
  if (slash == std::string::npos) return out + repo.name;
  return out + repo.name.substr(0, slash) + "--" + repo.name.substr(slash + 1);
}

std::optional<RepoRef> parse_repo_folder_name(std::string_view name) {
  const auto first = name.find("s--");
  if (first == std::string_view::npos) return std::nullopt;
  const auto type = parse_repo_type(name.substr(0, first));
  if (!type) return std::nullopt;
  std::string id(name.substr(first + 3));
  if (id.find('/') != std::string::npos) return std::nullopt;  // a repo may have one, a folder's name not
  const auto separator = id.find("--");
  if (separator != std::string::npos) id.replace(separator, 2, "/");
  if (!is_valid_repo_name(id)) return std::nullopt;
  return RepoRef{*type, std::move(id)};
}

HubCacheLayout::HubCacheLayout(std::string root) : root_(std::move(root)) {
  while (root_.size() > 1 && root_.back() == '/') root_.pop_back();
}

std::string HubCacheLayout::tag_file() const {
  return join(root_, "CACHEDIR.TAG");
}
std::string HubCacheLayout::repo_dir(const RepoRef& repo) const {
  return join(root_, repo_folder_name(repo));
}
std::string HubCacheLayout::blobs_dir(const RepoRef& repo) const {
  return join(repo_dir(repo), kBlobs);
}
std::string HubCacheLayout::blob(const RepoRef& repo, const BlobId& id) const {
  return join(blobs_dir(repo), id.etag());
}
std::string HubCacheLayout::partial(const RepoRef& repo, const BlobId& id) const {
  return blob(repo, id) + std::string(kPartialSuffix);
}
std::string HubCacheLayout::small_temp(const RepoRef& repo, const BlobId& id, std::string_view tag) const {
  return blob(repo, id) + "." + std::string(tag) + std::string(kSmallSuffix);
}
std::string HubCacheLayout::refs_dir(const RepoRef& repo) const {
  return join(repo_dir(repo), kRefs);
}
std::string HubCacheLayout::ref(const RepoRef& repo, std::string_view revision) const {
  return join(refs_dir(repo), revision);
}
std::string HubCacheLayout::ref_temp(const RepoRef& repo, std::string_view tag) const {
  return join(repo_dir(repo), std::string(kRefTemp) + std::string(tag));
}
std::string HubCacheLayout::snapshots_dir(const RepoRef& repo) const {
  return join(repo_dir(repo), kSnapshots);
}
std::string HubCacheLayout::snapshot(const RepoRef& repo, std::string_view commit) const {
  return join(snapshots_dir(repo), commit);
}
std::string HubCacheLayout::snapshot_entry(const RepoRef& repo, std::string_view commit,
                                           std::string_view path) const {
  return join(snapshot(repo, commit), path);
}
std::string HubCacheLayout::link_temp(const RepoRef& repo, std::string_view tag) const {
  return join(repo_dir(repo), std::string(kLinkTemp) + std::string(tag));
}
std::string HubCacheLayout::no_exist_dir(const RepoRef& repo, std::string_view commit) const {
  return join(join(repo_dir(repo), kNoExist), commit);
}
std::string HubCacheLayout::no_exist(const RepoRef& repo, std::string_view commit,
                                     std::string_view path) const {
  return join(no_exist_dir(repo, commit), path);
}
std::string HubCacheLayout::tree_file(const RepoRef& repo, std::string_view commit) const {
  return join(join(repo_dir(repo), kTrees), std::string(commit) + ".json");
}
std::string HubCacheLayout::locks_dir(const RepoRef& repo) const {
  return join(join(root_, kLocks), repo_folder_name(repo));
}
std::string HubCacheLayout::lock(const RepoRef& repo, const BlobId& id) const {
  return join(locks_dir(repo), id.etag() + ".lock");
}

std::string snapshot_link_target(std::string_view path, const BlobId& id) {
  return link_prefix(path) + id.etag();
}

std::optional<std::string> parse_snapshot_link_target(std::string_view path, std::string_view target) {
  const std::string prefix = link_prefix(path);
  if (!target.starts_with(prefix)) return std::nullopt;
  target.remove_prefix(prefix.size());
  if (!is_blob_name(target)) return std::nullopt;
  return std::string(target);
}

bool is_blob_name(std::string_view name) {
  return BlobId::from_etag(name, 0).has_value();
}

std::optional<std::string> parse_partial_name(std::string_view name) {
  if (!name.ends_with(kPartialSuffix)) return std::nullopt;
  name.remove_suffix(kPartialSuffix.size());
  if (!is_blob_name(name)) return std::nullopt;
  return std::string(name);
}

bool is_small_temp_name(std::string_view name) {
  if (!name.ends_with(kSmallSuffix)) return false;
  return is_blob_name(name.substr(0, name.find('.')));
}

bool is_repo_temp_name(std::string_view name) {
  return name.starts_with(kRefTemp) || name.starts_with(kLinkTemp);
}

std::string_view cache_tag_text() {
  return "Signature: 8a477f597d28d172789f06886806bc55\n"
         "# This file is a cache directory tag: the folder can be made again by downloading.\n"
         "# For information about cache directory tags see https://bford.info/cachedir/\n";
}

}  // namespace shoal
