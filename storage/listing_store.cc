#include "storage/listing_store.h"

#include "storage/file.h"
#include "storage/hub_cache_layout.h"

#include <algorithm>
#include <filesystem>
#include <span>
#include <system_error>

#include <fcntl.h>

namespace shoal {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kSuffix = ".json";
constexpr std::size_t kRevisionsMax = 256;  // of one repo: branches that somebody here asked for

// A revision as a file name: letters, digits, '-', '_' and inner dots stay.
std::string encoded(const std::string& revision) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  std::string out;
  for (const char c : revision) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || (c == '.' && !out.empty());
    if (plain) {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += '%';
    out += kHex[byte >> 4U];
    out += kHex[byte & 15U];
  }
  return out;
}

std::optional<std::string> decoded(std::string_view name) {
  std::string out;
  for (std::size_t i = 0; i < name.size(); ++i) {
    std::uint8_t byte = 0;
    if (name[i] != '%') {
      out += name[i];
    } else if (i + 2 < name.size() && from_hex(name.substr(i + 1, 2), std::span(&byte, 1))) {
      out += static_cast<char>(byte);
      i += 2;
    } else {
      return std::nullopt;
    }
  }
  return is_valid_revision(out) ? std::optional(out) : std::nullopt;
}

Result<void> write_file(FileSystem& files, const std::string& path, const std::string& text) {
  const std::string temp = path + "." + random_tag() + ".tmp";
  auto fd = open_file(files, temp, O_WRONLY | O_CREAT | O_EXCL, 0600);
  if (!fd) return fail(fd.error());
  auto written = write_all(files, fd->get(), 0, std::as_bytes(std::span(text)), temp);
  if (written) written = rename_file(files, temp, path);
  if (written) return {};
  // What cannot be removed is overlooked by every reader, for its name.
  const auto removed = remove_file(files, temp);
  return removed ? written
                 : fail(written.error().code, written.error().message + "; " + removed.error().message);
}

// Entries of a folder; none when it cannot be read.
std::vector<fs::directory_entry> entries_of(const fs::path& folder) {
  std::vector<fs::directory_entry> out;
  std::error_code ec;
  for (fs::directory_iterator it(folder, ec), end; !ec && it != end; it.increment(ec)) out.push_back(*it);
  return out;
}

// The file name of a document cut to its commit.
std::optional<std::string> commit_of_name(const std::string& name) {
  if (!name.ends_with(kSuffix)) return std::nullopt;
  std::string commit = name.substr(0, name.size() - kSuffix.size());
  return is_commit_id(commit) ? std::optional(commit) : std::nullopt;
}

}  // namespace

std::string ListingStore::folder(const RepoRef& repo) const {
  return root_ + "/" + repo_folder_name(repo);
}

Result<std::string> ListingStore::load(const RepoRef& repo, const std::string& commit) const {
  const std::string path = folder(repo) + "/" + commit + std::string(kSuffix);
  return read_small_file(files_, path, kDocumentBytesMax);
}

Result<void> ListingStore::save(const RepoRef& repo, const std::string& commit, const std::string& document) {
  if (document.size() > kDocumentBytesMax)
    return fail(Code::invalid, "a listing that is too long to be kept");
  const std::lock_guard lock(mutex_);
  if (auto made = make_dirs(files_, folder(repo)); !made) return made;
  if (auto done = write_file(files_, folder(repo) + "/" + commit + std::string(kSuffix), document); !done)
    return done;
  delete_oldest();
  return {};
}

Result<void> ListingStore::remove(const RepoRef& repo, const std::string& commit) {
  const std::lock_guard lock(mutex_);
  return remove_file(files_, folder(repo) + "/" + commit + std::string(kSuffix));
}

Result<void> ListingStore::save_revision(const RepoRef& repo, const std::string& revision,
                                         const std::string& commit) {
  const std::lock_guard lock(mutex_);
  const std::string refs = folder(repo) + "/refs";
  if (auto made = make_dirs(files_, refs); !made) return made;
  if (entries_of(refs).size() >= kRevisionsMax) return {};
  return write_file(files_, refs + "/" + encoded(revision), commit);
}

std::optional<std::string> ListingStore::commit_of(const RepoRef& repo, const std::string& revision) const {
  const auto commit = read_small_file(files_, folder(repo) + "/refs/" + encoded(revision), 64);
  return commit && is_commit_id(*commit) ? std::optional(*commit) : std::nullopt;
}

std::vector<std::pair<std::string, std::string>> ListingStore::revisions(const RepoRef& repo) const {
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& entry : entries_of(folder(repo) + "/refs")) {
    const auto revision = decoded(entry.path().filename().string());
    if (!revision) continue;
    if (auto commit = commit_of(repo, *revision)) out.emplace_back(*revision, *commit);
  }
  std::ranges::sort(out);
  return out;
}

std::vector<ListingStore::Kept> ListingStore::all() const {
  std::vector<Kept> out;
  for (const auto& entry : entries_of(root_)) {
    const auto repo = parse_repo_folder_name(entry.path().filename().string());
    if (!repo) continue;
    for (const auto& file : entries_of(entry.path())) {
      std::error_code ec;
      const auto commit = commit_of_name(file.path().filename().string());
      if (commit) out.push_back({*repo, *commit, file.file_size(ec)});
    }
  }
  return out;
}

void ListingStore::delete_oldest() {
  struct Found {
    fs::file_time_type time;
    fs::path path;
    std::uint64_t size;
  };
  std::vector<Found> found;
  std::uint64_t bytes = 0;
  for (const auto& repo : entries_of(root_)) {
    for (const auto& file : entries_of(repo.path())) {
      std::error_code ec;
      if (!commit_of_name(file.path().filename().string())) continue;
      found.push_back({file.last_write_time(ec), file.path(), file.file_size(ec)});
      bytes += found.back().size;
    }
  }
  if (found.size() <= kDocumentsMax && bytes <= kBytesMax) return;
  std::ranges::sort(found, {}, &Found::time);
  std::size_t left = found.size();
  for (const Found& file : found) {
    if (left <= kDocumentsMax && bytes <= kBytesMax) return;
    std::error_code ec;
    fs::remove(file.path, ec);
    --left;
    bytes -= std::min(bytes, file.size);
  }
}

}  // namespace shoal
