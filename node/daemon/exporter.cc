#include "node/daemon/exporter.h"

#include "node/trust/private_file.h"
#include "storage/blob_store.h"
#include "storage/state_db.h"
#include "transport/swarm/whole_file.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <sstream>
#include <utility>

namespace shoal {
namespace {

std::string name_of(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

// Tabs part the fields of a line; a path may have anything else.
bool fits_the_book(const std::string& path) {
  return path.find_first_of("\t\n\r") == std::string::npos;
}

}  // namespace

Exporter::Exporter(Loop& loop, BlobStore& store, StateDb& db, SwarmSession& swarm, EventLog& events,
                   std::function<bool(const BlobId&)> shareable, Options options)
    : loop_(loop),
      store_(store),
      db_(db),
      swarm_(swarm),
      events_(events),
      shareable_(std::move(shareable)),
      options_(std::move(options)) {}

// ---- the book

std::string Exporter::to_line(const ExportedFile& file) {
  return file.blob.text() + "\t" + std::to_string(file.blob.size) + "\t" +
         std::string(to_string(file.repo.type)) + "\t" + file.repo.name + "\t" + file.path + "\n";
}

// Lines that are none of ours are left out: at worst a file has to be exported again.
std::vector<Exporter::Entry> Exporter::parse_book(const std::string& text) {
  std::vector<Entry> out;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line) && out.size() < kExportsMax;) {
    std::vector<std::string> fields;
    std::istringstream parts(line);
    for (std::string field; std::getline(parts, field, '\t');) fields.push_back(field);
    if (fields.size() != 5) continue;
    std::uint64_t size = 0;
    const auto [end, error] = std::from_chars(fields[1].data(), fields[1].data() + fields[1].size(), size);
    const auto blob = BlobId::parse(fields[0], size);
    const auto type = parse_repo_type(fields[2]);
    if (error != std::errc{} || end != fields[1].data() + fields[1].size() || !blob || !type ||
        !is_valid_repo_name(fields[3]) || !is_valid_repo_path(fields[4])) {
      continue;
    }
    out.push_back({{*type, fields[3]}, fields[4], *blob});
  }
  return out;
}

void Exporter::save() {
  std::string text;
  for (const auto& [hash, file] : exports_) text += to_line(file);
  loop_.record([path = options_.book, text] { return write_whole_file(path, text, 0644); },
               [this](const Result<void>& saved) {
                 if (!saved) events_.warn("disk_trouble", saved.error().message);
               });
}

void Exporter::resume() {
  if (options_.closed_cluster) return;
  struct Before {
    Entry entry;
    Result<Loaded> loaded;
  };
  loop_.run(
      [&store = store_, book = options_.book] {
        std::vector<Before> out;
        const auto text = read_whole_file(book);
        if (!text) return out;
        for (Entry& entry : parse_book(*text)) {
          auto loaded = load(store, entry.blob, entry.path);
          out.push_back({std::move(entry), std::move(loaded)});
        }
        return out;
      },
      [this](std::vector<Before> before) {
        for (Before& one : before) {
          const std::string path = one.entry.repo.name + "/" + one.entry.path;
          if (auto seeded = seed(std::move(one.entry), std::move(one.loaded)); !seeded)
            events_.info("export_ended", path + " is not exported any more: " + seeded.error().message);
        }
        if (!before.empty()) save();
      });
}

// ---- seeding

Result<Exporter::Loaded> Exporter::load(BlobStore& store, const BlobId& blob, const std::string& path) {
  if (blob.size == 0) return shoal::fail(Code::invalid, "an empty file has nothing to share");
  Loaded out;
  out.spec.blob = blob;
  out.spec.name = name_of(path);
  const Geometry geometry(blob.size);
  for (std::uint32_t s = 0; s < geometry.segment_count(); ++s) {
    const auto index = static_cast<SegmentIndex>(s);
    auto hashes = store.hashes({blob, index});
    if (!hashes) return shoal::fail(hashes.error());
    if (hashes->have != geometry.all_pieces(index))
      return shoal::fail(Code::not_found, "the file is not whole yet");
    out.spec.piece_hashes.push_back(std::move(hashes->piece_hashes));
  }
  auto file = store.open(blob);
  if (!file) return shoal::fail(file.error());
  out.spec.file = std::move(*file);
  auto torrent = whole_file_torrent(out.spec);
  if (!torrent) return shoal::fail(torrent.error());
  out.torrent = std::move(*torrent);
  return out;
}

Result<ExportAnswer> Exporter::seed(Entry entry, Result<Loaded> loaded) {
  if (!loaded) return shoal::fail(loaded.error());
  if (!shareable_(entry.blob)) {
    return shoal::fail(Code::gated, "not everybody may download " + entry.repo.name +
                                        ", so it is not given to everybody here");
  }
  const Hash256 hash = loaded->torrent.info_hash;
  if (!exports_.contains(hash) && exports_.size() >= kExportsMax)
    return shoal::fail(Code::unavailable,
                       "256 files are exported already: stop some (`shoal export --stop`)");
  ExportedFile file;
  file.repo = std::move(entry.repo);
  file.path = std::move(entry.path);
  file.blob = entry.blob;
  file.piece_size = Geometry(entry.blob.size).piece_size();
  file.info_hash = hash;
  file.magnet = whole_file_magnet(hash, loaded->spec.name, entry.blob.size, options_.peers);
  swarm_.seed_whole(std::move(loaded->spec));
  exports_[hash] = file;
  return ExportAnswer{std::move(file), std::move(loaded->torrent.bencoded)};
}

void Exporter::start_export(ExportRequest request, Reply<ExportAnswer> reply) {
  loop_.post([this, request = std::move(request), reply = std::move(reply)] {
    if (options_.closed_cluster) {
      return reply(shoal::fail(Code::invalid,
                               "a closed cluster shares with its members only, and other clients are none"));
    }
    if (!fits_the_book(request.path))
      return reply(shoal::fail(Code::invalid, "the file's name has odd characters"));
    struct Found {
      Entry entry;
      Result<Loaded> loaded;
    };
    loop_.run(
        [&db = db_, &store = store_, request]() -> Result<Found> {
          const auto files = db.held_files(request.repo);
          if (!files) return shoal::fail(files.error());
          const auto fits = [&request](const FileStatus& file) {
            return file.path == request.path &&
                   (request.revision.empty() || file.revision == request.revision ||
                    file.commit_id == request.revision);
          };
          const auto file = std::ranges::find_if(*files, fits);
          if (file == files->end()) {
            return shoal::fail(Code::not_found, "this node does not hold " + request.path + " of " +
                                                    request.repo.name + ": pull it first");
          }
          return Found{{request.repo, request.path, file->blob}, load(store, file->blob, request.path)};
        },
        [this, reply](Result<Found> found) {
          if (!found) return reply(shoal::fail(found.error()));
          auto answer = seed(std::move(found->entry), std::move(found->loaded));
          if (answer) {
            events_.info("exported", answer->file.repo.name + "/" + answer->file.path);
            save();
          }
          reply(std::move(answer));
        });
  });
}

void Exporter::exports(Reply<std::vector<ExportedFile>> reply) {
  loop_.post([this, reply = std::move(reply)] {
    std::vector<ExportedFile> out;
    for (const auto& [hash, file] : exports_) out.push_back(file);
    reply(std::move(out));
  });
}

void Exporter::stop(std::map<Hash256, ExportedFile>::iterator it) {
  events_.info("export_ended", it->second.repo.name + "/" + it->second.path);
  swarm_.stop_whole(it->first);
  exports_.erase(it);
}

void Exporter::stop_export(Hash256 info_hash, Reply<void> reply) {
  loop_.post([this, info_hash, reply = std::move(reply)] {
    const auto it = exports_.find(info_hash);
    if (it == exports_.end()) return reply(shoal::fail(Code::not_found, "no such file is exported"));
    stop(it);
    save();
    reply(Result<void>{});
  });
}

void Exporter::on_blob_removed(const BlobId& blob) {
  bool any = false;
  for (auto it = exports_.begin(); it != exports_.end();) {
    const auto next = std::next(it);
    if (it->second.blob == blob) {
      stop(it);
      any = true;
    }
    it = next;
  }
  if (any) save();
}

}  // namespace shoal
