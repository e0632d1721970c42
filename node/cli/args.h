// The command line of `shoal` as plain values, checked in form.
#pragma once

#include "node/core/ids.h"
#include "node/core/result.h"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace shoal::cli {

struct PullArgs {
  RepoRef repo;
  std::string revision = "main";
  std::vector<std::string> include;
  std::vector<std::string> exclude;
  std::string source = "auto";
  std::string priority = "normal";
  bool detach = false;
};
struct StatusArgs {
  std::string repo;  // empty: all
  bool watch = false;
};
struct LsArgs {
  std::string repo;  // empty: all, by repo; else the files of one
};
struct PeersArgs {};
struct SeedArgs {
  std::string path;  // absolute; or
  RepoRef repo;      // when path is empty
};
struct VerifyArgs {
  std::optional<RepoRef> repo;
};
struct RmArgs {
  RepoRef repo;
  std::string revision;  // empty: all
};
struct WhyArgs {
  // `a/b/c` is file c of repo a/b; `a/b` may be a repo, or file b of the old-style repo a.
  std::string repo;
  std::string file;
};
struct CancelArgs {
  std::int64_t pull = 0;
};
struct BusyArgs {
  bool busy = false;
  std::optional<std::chrono::seconds> duration;
};
struct GcArgs {
  std::optional<std::uint64_t> to;  // bytes
  bool dry_run = false;
  bool even_last_copies = false;
};
struct PinArgs {
  RepoRef repo;  // empty name: list the pinned ones
  bool pin = true;
};
struct ClusterArgs {
  enum class Action { init, invite, join, revoke, status };
  Action action = Action::status;
  std::optional<std::chrono::seconds> life;  // invite
  std::string token;                         // join
  std::string at;                            // join: HOST:PORT
  std::string node;                          // revoke
};
struct ExportArgs {
  RepoRef repo;        // empty name: list what is exported
  std::string path;    // of the file in the repo
  std::string output;  // where the .torrent goes, absolute; empty: print the magnet only
  bool stop = false;
};
struct DoctorArgs {};

using Command = std::variant<PullArgs, StatusArgs, LsArgs, PeersArgs, SeedArgs, VerifyArgs, RmArgs, WhyArgs,
                             CancelArgs, BusyArgs, GcArgs, PinArgs, ClusterArgs, ExportArgs, DoctorArgs>;

struct Args {
  std::string api;         // "http://127.0.0.1:8420", no trailing slash
  std::string token_file;  // empty: no token
  bool json = false;
  Command command;
  std::optional<std::string> print_and_exit;  // --help, --version: to stdout, exit 0
};

// `api` and `token_file` come from SHOAL_API and SHOAL_API_TOKEN_FILE unless given; `working_dir` completes
// relative paths. Errors: invalid, with a sentence.
struct ArgsContext {
  std::string api;
  std::string token_file;
  std::string working_dir;
};
[[nodiscard]] Result<Args> parse_args(int argc, const char* const* argv, const ArgsContext& context);

}  // namespace shoal::cli
