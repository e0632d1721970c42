// Whole files as standard torrents, for BitTorrent clients that are no shoal (`shoal export`). In an open
// cluster only, and only what anyone may download. Owned by the loop thread.
//
// What is exported is written down in `exports` of the state directory, a line a file, and seeded again after
// a restart. An exported file is held open, and so is not evicted.
#pragma once

#include "node/api/export_backend.h"
#include "node/core/ids.h"
#include "node/core/result.h"
#include "node/daemon/event_log.h"
#include "node/daemon/loop.h"
#include "transport/swarm/swarm_session.h"

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace shoal {

class BlobStore;
class StateDb;

class Exporter final : public ExportBackend {
 public:
  // Each is a torrent that is always loaded, with its hashes in memory: up to 8 MiB, usually some 100 KiB.
  static constexpr std::size_t kExportsMax = 256;

  struct Options {
    std::filesystem::path book;  // the file with the list
    bool closed_cluster = false;
    std::vector<Endpoint> peers;  // where this node is reached, for magnets
  };
  Exporter(Loop& loop, BlobStore& store, StateDb& db, SwarmSession& swarm, EventLog& events,
           std::function<bool(const BlobId&)> shareable, Options options);

  // Seeds what was exported before.
  void resume();
  // It is not shared any more.
  void on_blob_removed(const BlobId& blob);

  // ExportBackend; on the API's thread.
  void start_export(ExportRequest request, Reply<ExportAnswer> reply) override;
  void exports(Reply<std::vector<ExportedFile>> reply) override;
  void stop_export(Hash256 info_hash, Reply<void> reply) override;

 private:
  // What a line of the book says.
  struct Entry {
    RepoRef repo;
    std::string path;
    BlobId blob;
  };
  struct Loaded {
    WholeFileSpec spec;
    WholeFileTorrent torrent;
  };
  [[nodiscard]] static std::string to_line(const ExportedFile& file);
  [[nodiscard]] static std::vector<Entry> parse_book(const std::string& text);
  // On a worker: hashes and file of a complete blob.
  [[nodiscard]] static Result<Loaded> load(BlobStore& store, const BlobId& blob, const std::string& path);
  Result<ExportAnswer> seed(Entry entry, Result<Loaded> loaded);
  void stop(std::map<Hash256, ExportedFile>::iterator it);
  void save();

  Loop& loop_;
  BlobStore& store_;
  StateDb& db_;
  SwarmSession& swarm_;
  EventLog& events_;
  const std::function<bool(const BlobId&)> shareable_;
  const Options options_;
  std::map<Hash256, ExportedFile> exports_;
};

}  // namespace shoal
