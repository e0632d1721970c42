#include "storage/hub_cache.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <set>
#include <system_error>
#include <thread>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace shoal {
namespace fs = std::filesystem;
namespace {

// The Hub's tools poll as well; a lock is held for a whole download, so a finer step gains nothing.
constexpr std::chrono::milliseconds kLockPoll{100};
// Snapshots nest a few folders deep; a loop of links is not followed at all.
constexpr int kDepthMax = 32;

std::string join(std::string dir, const std::string& name) {
  dir += '/';
  dir += name;
  return dir;
}

Result<void> check(const RepoRef& repo) {
  if (is_valid_repo_name(repo.name)) return {};
  return fail(Code::invalid, "'" + repo.name + "' is not the name of a repo");
}
Result<void> check(const RepoRef& repo, const std::string& commit) {
  if (!is_commit_id(commit)) return fail(Code::invalid, "'" + commit + "' is not a commit id");
  return check(repo);
}
Result<void> check(const RepoRef& repo, const std::string& commit, const std::string& path) {
  if (!is_valid_repo_path(path)) return fail(Code::invalid, "'" + path + "' is not a path in a repo");
  return check(repo, commit);
}

std::optional<std::string> read_link(const std::string& path) {
  std::error_code ec;
  const fs::path target = fs::read_symlink(path, ec);
  if (ec) return std::nullopt;
  return target.string();
}

// Calls `visit(relative path)` for all that is not a folder below `dir`. A folder that is not there has
// nothing in it.
template <typename Visit>
Result<void> walk(FileSystem& files, const std::string& dir, const Visit& visit,
                  const std::string& below = {}, int depth = 0) {
  const auto entries = list_dir(files, below.empty() ? dir : join(dir, below));
  if (!entries) return fail(entries.error());
  for (const auto& entry : *entries) {
    const std::string path = below.empty() ? entry.name : join(below, entry.name);
    if (!entry.is_dir) {
      visit(path);
    } else if (depth < kDepthMax) {
      if (auto done = walk(files, dir, visit, path, depth + 1); !done) return done;
    }
  }
  return {};
}

// Flushes the folder and those in it, innermost first.
Result<void> sync_tree(FileSystem& files, const std::string& dir, int depth = 0) {
  const auto entries = list_dir(files, dir);
  if (!entries) return fail(entries.error());
  for (const auto& entry : *entries) {
    if (!entry.is_dir || depth >= kDepthMax) continue;
    if (auto done = sync_tree(files, join(dir, entry.name), depth + 1); !done) return done;
  }
  return sync_dir(files, dir);
}

// Names directly in `dir`.
Result<std::vector<std::string>> list(FileSystem& files, const std::string& dir) {
  auto entries = list_dir(files, dir);
  if (!entries) return fail(entries.error());
  std::vector<std::string> names;
  for (auto& entry : *entries) names.push_back(std::move(entry.name));
  return names;
}

// Removes the folder and those above it while they are empty, up to `stop`.
void remove_empty_dirs(FileSystem& files, std::string dir, const std::string& stop) {
  while (dir.size() > stop.size() && files.remove_dir(dir) == 0) dir = parent_of(dir);
}

Result<void> write_new_file(FileSystem& files, const std::string& path, std::string_view text,
                            bool flush = false) {
  const auto fd = open_file(files, path, O_WRONLY | O_CREAT | O_TRUNC);
  if (!fd) return fail(fd.error());
  auto written = write_all(files, fd->get(), 0, std::as_bytes(std::span(text)), path);
  return written && flush ? sync_file(files, fd->get(), path) : written;
}

bool is_directory(FileSystem& files, const std::string& path) {
  struct stat st {};
  return files.status(path, st) == 0 && S_ISDIR(st.st_mode);
}

}  // namespace

Result<void> HubCache::prepare() {
  if (auto made = make_dirs(*files_, layout_.root()); !made) return made;
  const std::string tag = layout_.tag_file();
  struct stat st {};
  if (files_->status(tag, st) == 0) return {};
  return write_new_file(*files_, tag, cache_tag_text());
}

Result<void> HubCache::sweep(std::chrono::seconds age) {
  const auto all = repos();
  if (!all) return fail(all.error());
  const auto now =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch());
  for (const auto& repo : *all) {
    for (const auto& [dir, is_temp] : {std::pair{layout_.blobs_dir(repo), &is_small_temp_name},
                                       std::pair{layout_.repo_dir(repo), &is_repo_temp_name}}) {
      const auto names = list(*files_, dir);
      if (!names) return fail(names.error());
      for (const auto& name : *names) {
        const std::string path = join(dir, name);
        struct stat st {};
        if (!is_temp(name) || files_->status(path, st) != 0) continue;
        if (std::chrono::seconds(st.st_mtim.tv_sec) + age > now) continue;
        if (auto removed = remove_file(*files_, path); !removed) return removed;
      }
    }
  }
  return {};
}

Result<void> HubCache::prepare_repo(const RepoRef& repo) {
  if (auto ok = check(repo); !ok) return ok;
  for (const auto& dir : {layout_.blobs_dir(repo), layout_.refs_dir(repo), layout_.snapshots_dir(repo)}) {
    if (auto made = make_dirs(*files_, dir); !made) return made;
  }
  return {};
}

Result<void> HubCache::link_snapshot(const RepoRef& repo, const std::string& commit, const std::string& path,
                                     const BlobId& id) {
  if (auto ok = check(repo, commit, path); !ok) return ok;
  const std::string entry = layout_.snapshot_entry(repo, commit, path);
  const std::string target = snapshot_link_target(path, id);
  if (read_link(entry) == target) return {};
  if (auto made = make_dirs(*files_, parent_of(entry)); !made) return made;
  const std::string temp = layout_.link_temp(repo, random_tag());
  if (const int rc = files_->symlink(target, temp); rc < 0) return fail_errno(-rc, "link", temp);
  auto renamed = rename_file(*files_, temp, entry);
  if (!renamed) files_->unlink(temp);
  return renamed;
}

Result<void> HubCache::write_ref(const RepoRef& repo, const std::string& revision,
                                 const std::string& commit) {
  if (auto ok = check(repo, commit); !ok) return ok;
  if (!is_valid_revision(revision)) return fail(Code::invalid, "'" + revision + "' is not a revision");
  // A scanner calls the whole repo corrupt when a ref names a commit without a folder.
  if (auto made = make_dirs(*files_, layout_.snapshot(repo, commit)); !made) return made;
  if (revision == commit) return {};
  const std::string ref = layout_.ref(repo, revision);
  // Flushed once more: the last try may have failed at just that.
  if (const auto old = read_small_file(*files_, ref, 256); old && *old == commit)
    return sync_dir(*files_, parent_of(ref));
  if (auto made = make_dirs(*files_, parent_of(ref)); !made) return made;
  const std::string temp = layout_.ref_temp(repo, random_tag());
  // Flushed before the rename: a power loss must leave neither an empty ref, which makes the repo corrupt for
  // every scanner, nor one whose links never reached the disk.
  auto done = sync_tree(*files_, layout_.snapshot(repo, commit));
  if (done) done = write_new_file(*files_, temp, commit, true);
  if (done) done = rename_file(*files_, temp, ref);
  if (done) done = sync_dir(*files_, parent_of(ref));
  if (!done) files_->unlink(temp);
  return done;
}

Result<void> HubCache::mark_missing(const RepoRef& repo, const std::string& commit, const std::string& path) {
  if (auto ok = check(repo, commit, path); !ok) return ok;
  const std::string mark = layout_.no_exist(repo, commit, path);
  if (auto made = make_dirs(*files_, parent_of(mark)); !made) return made;
  return write_new_file(*files_, mark, {});
}

Result<std::optional<BlobLock>> HubCache::try_lock(const RepoRef& repo, const BlobId& id) {
  if (auto ok = check(repo); !ok) return fail(ok.error());
  if (auto made = make_dirs(*files_, layout_.locks_dir(repo)); !made) return fail(made.error());
  const std::string path = layout_.lock(repo, id);
  auto fd = open_file(*files_, path, O_RDWR | O_CREAT | O_EXCL, 0664);
  if (fd) {
    // Past the umask: other users of the machine's group share the cache.
    ::fchmod(fd->get(), 0664);
  } else if (fd.error().raw == EEXIST) {
    fd = open_file(*files_, path, O_RDWR);
    // Someone else's lock file may be read-only to us; flock(2) does not mind.
    if (!fd && fd.error().raw == EACCES) fd = open_file(*files_, path, O_RDONLY);
  }
  if (!fd) return fail(fd.error());
  if (const int rc = files_->lock(fd->get()); rc < 0) {
    if (rc == -EWOULDBLOCK) return std::optional<BlobLock>{};
    return fail_errno(-rc, "lock", path);
  }
  return std::optional(BlobLock(std::move(*fd)));
}

Result<BlobLock> HubCache::lock(const RepoRef& repo, const BlobId& id,
                                std::chrono::steady_clock::time_point deadline) {
  while (true) {
    auto lock = try_lock(repo, id);
    if (!lock) return fail(lock.error());
    if (*lock) return std::move(**lock);
    const auto now = std::chrono::steady_clock::now();
    if (now >= deadline) {
      return fail(Code::timeout, "another program holds " + layout_.lock(repo, id) +
                                     "; it is probably downloading the same file");
    }
    std::this_thread::sleep_for(std::min<std::chrono::steady_clock::duration>(kLockPoll, deadline - now));
  }
}

Result<std::vector<RepoRef>> HubCache::repos() const {
  const auto names = list(*files_, layout_.root());
  if (!names) return fail(names.error());
  std::vector<RepoRef> out;
  for (const auto& name : *names) {
    if (auto repo = parse_repo_folder_name(name)) out.push_back(std::move(*repo));
  }
  return out;
}

Result<std::vector<FoundBlob>> HubCache::blobs(const RepoRef& repo) const {
  const std::string dir = layout_.blobs_dir(repo);
  const auto names = list(*files_, dir);
  if (!names) return fail(names.error());
  std::vector<FoundBlob> out;
  for (const auto& name : *names) {
    if (!is_blob_name(name)) continue;
    std::string path = join(dir, name);
    // Gone in between, or no regular file: not a blob.
    if (const auto stamp = stamp_of(*files_, path)) out.push_back({repo, name, std::move(path), *stamp});
  }
  return out;
}

Result<std::vector<std::string>> HubCache::commits(const RepoRef& repo) const {
  auto names = list(*files_, layout_.snapshots_dir(repo));
  if (!names) return fail(names.error());
  std::erase_if(*names, [](const std::string& name) { return !is_commit_id(name); });
  return std::move(*names);
}

Result<std::vector<FoundEntry>> HubCache::entries(const RepoRef& repo, const std::string& commit) const {
  if (auto ok = check(repo, commit); !ok) return fail(ok.error());
  std::vector<FoundEntry> out;
  const auto walked = walk(*files_, layout_.snapshot(repo, commit), [&](const std::string& path) {
    if (!is_valid_repo_path(path)) return;
    const auto target = read_link(layout_.snapshot_entry(repo, commit, path));
    if (!target) return;
    auto etag = parse_snapshot_link_target(path, *target);
    if (!etag) return;
    const auto stamp = stamp_of(*files_, join(layout_.blobs_dir(repo), *etag));
    if (!stamp) return;  // a broken link
    out.push_back({commit, path, std::move(*etag), stamp->size});
  });
  if (!walked) return fail(walked.error());
  std::ranges::sort(out, {}, &FoundEntry::path);
  return out;
}

Result<std::vector<FoundRef>> HubCache::refs(const RepoRef& repo) const {
  if (auto ok = check(repo); !ok) return fail(ok.error());
  std::vector<FoundRef> out;
  const auto walked = walk(*files_, layout_.refs_dir(repo), [&](const std::string& name) {
    if (!is_valid_revision(name)) return;
    const auto commit = read_small_file(*files_, layout_.ref(repo, name), 256);
    if (commit && is_commit_id(*commit)) out.push_back({name, *commit});
  });
  if (!walked) return fail(walked.error());
  std::ranges::sort(out, {}, &FoundRef::revision);
  return out;
}

Result<Removed> HubCache::remove_commit(const RepoRef& repo, const std::string& commit,
                                        const BeforeBlobs& before_blobs) {
  if (auto ok = check(repo, commit); !ok) return fail(ok.error());
  const std::string folder = layout_.snapshot(repo, commit);
  if (!is_directory(*files_, folder)) {
    return fail(Code::not_found, repo.name + " has no snapshot " + commit + " in " + layout_.root());
  }
  auto mine = entries(repo, commit);
  if (!mine) return fail(mine.error());
  std::set<std::string> kept;
  const auto all = commits(repo);
  if (!all) return fail(all.error());
  for (const auto& other : *all) {
    if (other == commit) continue;
    const auto theirs = entries(repo, other);
    if (!theirs) return fail(theirs.error());
    for (const auto& entry : *theirs) kept.insert(entry.etag);
  }

  Removed out;
  // Links first: no reader may meet a link whose blob is gone. The folder stays until no ref names it.
  Result<void> step;
  const auto walked = walk(*files_, folder, [&](const std::string& path) {
    if (!step) return;
    step = remove_file(*files_, folder + "/" + path);
    if (step) ++out.files;
  });
  if (!walked) return fail(walked.error());
  if (!step) return fail(step.error());
  const auto names = refs(repo);
  if (!names) return fail(names.error());
  for (const auto& ref : *names) {
    if (ref.commit != commit) continue;
    const std::string path = layout_.ref(repo, ref.revision);
    if (step = remove_file(*files_, path); !step) return fail(step.error());
    remove_empty_dirs(*files_, parent_of(path), layout_.refs_dir(repo));
  }
  for (const auto& dir : {folder, layout_.no_exist_dir(repo, commit)}) {
    if (step = remove_tree(*files_, dir); !step) return fail(step.error());
  }
  if (step = remove_file(*files_, layout_.tree_file(repo, commit)); !step) return fail(step.error());

  std::vector<std::string> unused;
  for (const auto& entry : *mine) {
    if (!kept.insert(entry.etag).second) continue;
    unused.push_back(entry.etag);
    out.bytes += entry.size;
  }
  if (step = before_blobs(unused); !step) return fail(step.error());
  for (const auto& etag : unused) {
    if (step = remove_file(*files_, join(layout_.blobs_dir(repo), etag)); !step) return fail(step.error());
  }
  return out;
}

Result<Removed> HubCache::remove_loose_blobs(const RepoRef& repo, const BeforeBlobs& before_blobs) {
  const auto all = commits(repo);
  if (!all) return fail(all.error());
  std::set<std::string> linked;
  for (const auto& commit : *all) {
    const auto theirs = entries(repo, commit);
    if (!theirs) return fail(theirs.error());
    for (const auto& entry : *theirs) linked.insert(entry.etag);
  }
  const auto found = blobs(repo);
  if (!found) return fail(found.error());
  Removed out;
  std::vector<std::string> loose;
  for (const auto& blob : *found) {
    if (linked.contains(blob.etag)) continue;
    loose.push_back(blob.etag);
    out.bytes += blob.stamp.size;
  }
  if (auto forgotten = before_blobs(loose); !forgotten) return fail(forgotten.error());
  for (const auto& etag : loose) {
    if (auto gone = remove_file(*files_, join(layout_.blobs_dir(repo), etag)); !gone)
      return fail(gone.error());
  }
  return out;
}

Result<Removed> HubCache::remove_repo(const RepoRef& repo, const BeforeBlobs& before_blobs) {
  if (auto ok = check(repo); !ok) return fail(ok.error());
  const std::string folder = layout_.repo_dir(repo);
  if (!is_directory(*files_, folder)) {
    return fail(Code::not_found, repo.name + " is not in " + layout_.root());
  }
  Removed out;
  const auto all = commits(repo);
  if (!all) return fail(all.error());
  for (const auto& commit : *all) {
    auto one = remove_commit(repo, commit, before_blobs);
    if (!one) return one;
    out.files += one->files;
    out.bytes += one->bytes;
  }
  const auto rest = blobs(repo);
  if (!rest) return fail(rest.error());
  std::vector<std::string> last;
  for (const auto& blob : *rest) {
    out.bytes += blob.stamp.size;
    last.push_back(blob.etag);
  }
  // Other clients name some snapshots by no commit: links and refs go before blobs for these as well. The
  // locks stay, since someone may hold one.
  for (const auto& dir : {layout_.snapshots_dir(repo), layout_.refs_dir(repo)}) {
    if (auto gone = remove_tree(*files_, dir); !gone) return fail(gone.error());
  }
  if (auto forgotten = before_blobs(last); !forgotten) return fail(forgotten.error());
  if (auto gone = remove_tree(*files_, folder); !gone) return fail(gone.error());
  return out;
}

}  // namespace shoal
