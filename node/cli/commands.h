// The verbs of `shoal`. Each asks the API, prints, and returns the exit status.
//
// Results go to stdout; progress, warnings and errors ("shoal: ...") to stderr.
#pragma once

#include "node/cli/api_client.h"
#include "node/cli/args.h"
#include "node/cli/exit_status.h"

#include <string>

namespace shoal::cli {

struct Session {
  ApiClient& api;
  bool json = false;
};

ExitStatus run_pull(Session& session, const PullArgs& args);
ExitStatus run_status(Session& session, const StatusArgs& args);
// The full-screen view of a terminal.
ExitStatus run_watch(Session& session);
ExitStatus run_ls(Session& session, const LsArgs& args);
ExitStatus run_peers(Session& session, const PeersArgs& args);
ExitStatus run_seed(Session& session, const SeedArgs& args);
ExitStatus run_verify(Session& session, const VerifyArgs& args);
ExitStatus run_rm(Session& session, const RmArgs& args);
ExitStatus run_why(Session& session, const WhyArgs& args);
ExitStatus run_cancel(Session& session, const CancelArgs& args);
ExitStatus run_busy(Session& session, const BusyArgs& args);
ExitStatus run_gc(Session& session, const GcArgs& args);
ExitStatus run_pin(Session& session, const PinArgs& args);
ExitStatus run_cluster(Session& session, const ClusterArgs& args);
ExitStatus run_export(Session& session, const ExportArgs& args);
ExitStatus run_doctor(Session& session, const DoctorArgs& args);

// Shared by them.

// "shoal: <text>" on stderr.
void print_error(const std::string& text);
// Tells of a refused or unanswered request, in JSON on stdout as well when that was asked for.
ExitStatus report(const Session& session, const ApiAnswer& answer);
void print_json(const Json& json);  // one line on stdout, written at once
// Columns of stdout when it is a terminal; 0 (unlimited) otherwise.
[[nodiscard]] std::size_t output_width();
// "?repo=...&type=..." parts and the like.
[[nodiscard]] std::string escaped(const std::string& text, bool keep_slash = false);

}  // namespace shoal::cli
