// Answers HEAD and GET of a file: ETag, ranges, conditions, then the bytes.
#pragma once

#include "node/api/http_message.h"
#include "node/endpoint/endpoint_backend.h"

#include <string>

namespace shoal {

struct FileQuestion {
  ListingPtr listing;
  std::string revision;
  std::string path;
  std::string token;
};

// `raw`: /raw/ instead of /resolve/, where an LFS file is its pointer.
void answer_file(EndpointBackend& backend, const FileQuestion& question, bool raw, const HttpRequest& request,
                 const Responder& respond);

}  // namespace shoal
