// What the routes of exported files ask of the daemon: whole files as standard torrents, for clients that are
// no shoal.
//
// Threads and errors as in api_backend.h.
#pragma once

#include "node/api/api_backend.h"
#include "node/core/ids.h"
#include "node/core/messages.h"

#include <cstdint>
#include <string>
#include <vector>

namespace shoal {

class Router;

struct ExportRequest {
  RepoRef repo;
  std::string revision;  // empty: whichever is here
  std::string path;
};

struct ExportedFile {
  RepoRef repo;
  std::string path;
  BlobId blob;
  std::uint32_t piece_size = 0;
  Hash256 info_hash;
  std::string magnet;
};

struct ExportAnswer {
  ExportedFile file;
  std::string torrent;  // bencoded
};

class ExportBackend {
 public:
  template <typename T>
  using Reply = ApiBackend::Reply<T>;

  virtual ~ExportBackend() = default;
  // Makes the torrent and seeds it, until it is stopped or the file goes. Exporting again changes nothing.
  virtual void start_export(ExportRequest request, Reply<ExportAnswer> reply) = 0;
  virtual void exports(Reply<std::vector<ExportedFile>> reply) = 0;
  virtual void stop_export(Hash256 info_hash, Reply<void> reply) = 0;
};

// /shoal/v1/exports and below. export_routes.cc
void add_export_routes(Router& router, ExportBackend& backend);

}  // namespace shoal
