// What the Hub-compatible endpoint asks of the daemon.
//
// Threads: every method is called on the API's thread and returns at once. A reply is called exactly once,
// from any thread; it may come late or never when the daemon stops.
#pragma once

#include "node/api/http_message.h"
#include "node/core/ids.h"
#include "node/core/result.h"
#include "node/endpoint/repo_listing.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace shoal {

// What the Hub said, to be passed on: refusals, and questions that only it can answer.
struct HubReply {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;
};

struct HubQuery {
  std::string method;  // GET, HEAD or POST
  std::string path;    // as the program sent it, escaped
  std::string query;   // escaped
  std::string body;
  std::string content_type;
  std::string token;  // the program's own; empty: none
};

using ListingPtr = std::shared_ptr<const RepoListing>;
// A listing; or what the Hub said instead; or why nobody could be asked.
using FoundListing = std::variant<ListingPtr, HubReply, Error>;

struct FileWanted {
  RepoRef repo;
  std::string revision;  // as the program named it
  std::string commit;
  std::string path;
  BlobId blob;
  std::string token;         // of the program
  std::uint64_t offset = 0;  // the bytes it asked for
  std::uint64_t length = 0;
  bool ranged = false;      // it asked for a part
  bool to_the_end = false;  // "bytes=N-"
};
struct FileOpened {
  std::shared_ptr<FileStream> body;
  // The whole file comes instead of the part: bytes of this file that had been sent turned out wrong, and a
  // program that resumes might put the rest behind them.
  bool whole_instead = false;
};

class EndpointBackend {
 public:
  template <typename T>
  using Reply = std::function<void(T)>;

  virtual ~EndpointBackend() = default;

  // The files of a revision, for this program.
  virtual void find_listing(RepoRef repo, std::string revision, std::string token,
                            Reply<FoundListing> reply) = 0;
  // Whether this program may have the content of the repo: nullopt, or the refusal.
  virtual void check_access(ListingPtr listing, std::string path, std::string token,
                            Reply<std::optional<std::variant<HubReply, Error>>> reply) = 0;
  // The bytes of a file of a listing, from the disk or as they come in; starts fetching it when it is not
  // here. REQUIRES: check_access said yes. Errors: unavailable (try again), those of opening a file.
  virtual void open_file(FileWanted wanted, Reply<Result<FileOpened>> reply) = 0;
  virtual void ask_hub(HubQuery query, Reply<Result<HubReply>> reply) = 0;
  // Revisions known here, with their commits, for when the Hub is out of reach. Only of public repos.
  virtual void known_revisions(RepoRef repo,
                               Reply<std::vector<std::pair<std::string, std::string>>> reply) = 0;
};

}  // namespace shoal
