// `shoal`: a thin client of the local daemon.
#include "node/cli/args.h"
#include "node/cli/commands.h"
#include "node/cli/interrupts.h"

#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <type_traits>

#include <curl/curl.h>

namespace shoal::cli {
namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

Result<std::string> read_token(const std::string& path) {
  if (path.empty()) return std::string();
  std::ifstream in(path);
  std::array<char, 4096> bytes{};
  in.read(bytes.data(), bytes.size());
  std::string token(bytes.data(), static_cast<std::size_t>(in.gcount()));
  while (!token.empty() && (token.back() == '\n' || token.back() == '\r' || token.back() == ' '))
    token.pop_back();
  const bool plain = token.find_first_of("\r\n\t ") == std::string::npos;
  if (token.empty() || !plain) return fail(Code::io, "there is no token to read in " + path);
  return token;
}

ExitStatus run(const Args& args) {
  const auto token = read_token(args.token_file);
  if (!token) {
    print_error(token.error().message);
    return exit_failed;
  }
  ApiClient api(args.api, *token, [] { return Interrupts::interrupted(); });
  Session session{api, args.json};
  return std::visit(
      [&](const auto& command) {
        using T = std::decay_t<decltype(command)>;
        if constexpr (std::is_same_v<T, PullArgs>) {
          return run_pull(session, command);
        } else if constexpr (std::is_same_v<T, StatusArgs>) {
          return run_status(session, command);
        } else if constexpr (std::is_same_v<T, LsArgs>) {
          return run_ls(session, command);
        } else if constexpr (std::is_same_v<T, PeersArgs>) {
          return run_peers(session, command);
        } else if constexpr (std::is_same_v<T, SeedArgs>) {
          return run_seed(session, command);
        } else if constexpr (std::is_same_v<T, VerifyArgs>) {
          return run_verify(session, command);
        } else if constexpr (std::is_same_v<T, RmArgs>) {
          return run_rm(session, command);
        } else if constexpr (std::is_same_v<T, WhyArgs>) {
          return run_why(session, command);
        } else if constexpr (std::is_same_v<T, CancelArgs>) {
          return run_cancel(session, command);
        } else if constexpr (std::is_same_v<T, BusyArgs>) {
          return run_busy(session, command);
        } else if constexpr (std::is_same_v<T, GcArgs>) {
          return run_gc(session, command);
        } else if constexpr (std::is_same_v<T, PinArgs>) {
          return run_pin(session, command);
        } else if constexpr (std::is_same_v<T, ClusterArgs>) {
          return run_cluster(session, command);
        } else if constexpr (std::is_same_v<T, ExportArgs>) {
          return run_export(session, command);
        } else {
          return run_doctor(session, command);
        }
      },
      args.command);
}

int main_inside(int argc, char** argv) {
  std::error_code ec;
  const ArgsContext context{environment("SHOAL_API"), environment("SHOAL_API_TOKEN_FILE"),
                            std::filesystem::current_path(ec).string()};
  const auto args = parse_args(argc, argv, context);
  if (!args) {
    print_error(args.error().message);
    return exit_usage;
  }
  if (args->print_and_exit) {
    std::fputs(args->print_and_exit->c_str(), stdout);
    return exit_done;
  }
  return run(*args);
}

}  // namespace
}  // namespace shoal::cli

int main(int argc, char** argv) {
  // `shoal ls | head` ends by the closed pipe without a word, as other tools do.
  std::signal(SIGPIPE, SIG_DFL);
  curl_global_init(CURL_GLOBAL_DEFAULT);
  int status = 1;
  try {
    status = shoal::cli::main_inside(argc, argv);
  } catch (const std::exception& e) {
    shoal::cli::print_error(std::string("stopped by an error of its own: ") + e.what());
  }
  curl_global_cleanup();
  return status;
}
