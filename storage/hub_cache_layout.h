// Where things stand in a Hugging Face cache: pure functions between ids and paths.
//
// `blobs/`, `refs/`, `snapshots/`, `.no_exist/` and `.locks/` are spelled in this pair of files and nowhere
// else. Nothing here touches the disk.
//
//   <root>/CACHEDIR.TAG
//   <root>/.locks/models--org--name/<etag>.lock
//   <root>/models--org--name/blobs/<etag>                   complete
//   <root>/models--org--name/blobs/<etag>.shoal-partial     ours, in progress
//   <root>/models--org--name/refs/main                      40 bytes
//   <root>/models--org--name/snapshots/<commit>/sub/file -> ../../../blobs/<etag>
//   <root>/models--org--name/.no_exist/<commit>/<path>
//
// REQUIRES of all functions that take names: they passed is_valid_repo_name(), is_valid_revision(),
// is_valid_repo_path(), is_commit_id(); without that a path could leave the folder.
#pragma once

#include "node/core/ids.h"

#include <optional>
#include <string>
#include <string_view>

namespace shoal {

class HubCacheLayout {
 public:
  explicit HubCacheLayout(std::string root);

  [[nodiscard]] const std::string& root() const { return root_; }
  [[nodiscard]] std::string tag_file() const;
  [[nodiscard]] std::string repo_dir(const RepoRef& repo) const;
  [[nodiscard]] std::string blobs_dir(const RepoRef& repo) const;
  [[nodiscard]] std::string blob(const RepoRef& repo, const BlobId& id) const;
  // Beside the final place, so that publishing is one rename on one file system.
  [[nodiscard]] std::string partial(const RepoRef& repo, const BlobId& id) const;
  // A small blob on its way in; `tag` tells apart writers of the same blob.
  [[nodiscard]] std::string small_temp(const RepoRef& repo, const BlobId& id, std::string_view tag) const;
  [[nodiscard]] std::string refs_dir(const RepoRef& repo) const;
  [[nodiscard]] std::string ref(const RepoRef& repo, std::string_view revision) const;
  // Outside `refs/`, where every file is taken for a ref.
  [[nodiscard]] std::string ref_temp(const RepoRef& repo, std::string_view tag) const;
  [[nodiscard]] std::string snapshots_dir(const RepoRef& repo) const;
  [[nodiscard]] std::string snapshot(const RepoRef& repo, std::string_view commit) const;
  [[nodiscard]] std::string snapshot_entry(const RepoRef& repo, std::string_view commit,
                                           std::string_view path) const;
  // Outside the snapshot, so that no reader ever lists it.
  [[nodiscard]] std::string link_temp(const RepoRef& repo, std::string_view tag) const;
  [[nodiscard]] std::string no_exist_dir(const RepoRef& repo, std::string_view commit) const;
  [[nodiscard]] std::string no_exist(const RepoRef& repo, std::string_view commit,
                                     std::string_view path) const;
  [[nodiscard]] std::string tree_file(const RepoRef& repo, std::string_view commit) const;
  [[nodiscard]] std::string locks_dir(const RepoRef& repo) const;
  [[nodiscard]] std::string lock(const RepoRef& repo, const BlobId& id) const;

 private:
  std::string root_;  // no trailing slash
};

// "models--org--name", and back; nullopt for anything that is not such a name of a valid repo.
[[nodiscard]] std::string repo_folder_name(const RepoRef& repo);
[[nodiscard]] std::optional<RepoRef> parse_repo_folder_name(std::string_view name);

// What `snapshots/<commit>/<path>` links to: relative, one "../" more per level of the path.
[[nodiscard]] std::string snapshot_link_target(std::string_view path, const BlobId& id);
// The etag that such a target names if the entry stands at `path`; nullopt if it points anywhere else.
[[nodiscard]] std::optional<std::string> parse_snapshot_link_target(std::string_view path,
                                                                    std::string_view target);

// True for 40 or 64 lower-case hex digits: the name of a complete blob.
[[nodiscard]] bool is_blob_name(std::string_view name);
// The etag of "<etag>.shoal-partial".
[[nodiscard]] std::optional<std::string> parse_partial_name(std::string_view name);
// Names of our temporary files, which a crash may leave behind: in `blobs/`, and in the repo's folder.
[[nodiscard]] bool is_small_temp_name(std::string_view name);
[[nodiscard]] bool is_repo_temp_name(std::string_view name);
// The first 64 bytes of CACHEDIR.TAG and its comment.
[[nodiscard]] std::string_view cache_tag_text();

}  // namespace shoal
