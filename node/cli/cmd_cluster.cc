// `cluster`: who is let in.
#include "node/cli/commands.h"
#include "node/cli/interrupts.h"
#include "node/cli/json_read.h"
#include "node/cli/text.h"

#include <chrono>
#include <cstdio>
#include <string>

namespace shoal::cli {
namespace {

using Action = ClusterArgs::Action;

constexpr std::chrono::seconds kStartOverMax{30};  // the daemon stops, and starts as a member
constexpr std::chrono::milliseconds kLookAgain{200};
constexpr const char* kClusterPath = "/shoal/v1/cluster";

// Founding and joining end when the daemon is back as a member: then what follows in a script works.
ExitStatus wait_for_membership(Session& session) {
  const auto end = std::chrono::steady_clock::now() + kStartOverMax;
  while (std::chrono::steady_clock::now() < end && !Interrupts::interrupted()) {
    const ApiAnswer answer = session.api.get(kClusterPath);
    if (answer.ok() && flag_of(answer.body, "closed")) {
      if (session.json) {
        print_json(answer.body);
      } else {
        std::printf("this machine is in the closed cluster %s now (authority %s)\n",
                    printable_text(text_of(answer.body, "cluster")).c_str(),
                    text_of(answer.body, "authority").substr(0, 16).c_str());
      }
      return exit_done;
    }
    Interrupts::wait(kLookAgain);
  }
  print_error("it is done, but shoald was not back within 30 s: look at its log");
  return exit_failed;
}

ExitStatus become_member(Session& session, const std::string& path, const Json& body) {
  const Interrupts interrupts;
  const ApiAnswer answer = session.api.post(path, body);
  if (!answer.ok()) return report(session, answer);
  return wait_for_membership(session);
}

ExitStatus invite(Session& session, const ClusterArgs& args) {
  Json body = Json::object();
  if (args.life) body["for_s"] = args.life->count();
  const ApiAnswer answer = session.api.post(std::string(kClusterPath) + "/invite", body);
  if (!answer.ok()) return report(session, answer);
  if (session.json) {
    print_json(answer.body);
    return exit_done;
  }
  std::printf("%s\n", text_of(answer.body, "token").c_str());
  std::string at = text_of(answer.body, "join_at");
  // All addresses of this machine: the person knows by which one it is reached.
  for (const char* any : {"0.0.0.0:", "[::]:"}) {
    if (at.starts_with(any)) at = "THIS-MACHINE:" + at.substr(std::string(any).size());
  }
  std::fprintf(stderr, "on the machine that is to join, before %s:\n  shoal cluster join TOKEN %s\n",
               text_of(answer.body, "expires_at").substr(0, 16).c_str(), at.c_str());
  return exit_done;
}

ExitStatus revoke(Session& session, const ClusterArgs& args) {
  const ApiAnswer answer = session.api.post(std::string(kClusterPath) + "/revoke", Json{{"node", args.node}});
  if (!answer.ok()) return report(session, answer);
  if (session.json) {
    print_json(answer.body);
    return exit_done;
  }
  for (const Json& member : rows_of(answer.body, "members")) {
    std::printf("%s (%s) is put out: certificate %s\n", printable_text(text_of(member, "name")).c_str(),
                text_of(member, "node").substr(0, 8).c_str(), text_of(member, "serial").c_str());
  }
  return exit_done;
}

void print_members(const Json& state) {
  Table table({{"NAME"}, {"NODE"}, {"CERTIFICATE"}, {"GOOD UNTIL"}, {"STATE"}});
  for (const Json& member : rows_of(state, "members")) {
    table.add({text_of(member, "name"), text_of(member, "node").substr(0, 8), text_of(member, "serial"),
               text_of(member, "not_after").substr(0, 10),
               flag_of(member, "revoked") ? "put out" : "let in"});
  }
  std::printf("%s", table.text(output_width()).c_str());
}

ExitStatus status(Session& session) {
  const ApiAnswer answer = session.api.get(kClusterPath);
  if (!answer.ok()) return report(session, answer);
  const Json& state = answer.body;
  if (session.json) {
    print_json(state);
    return exit_done;
  }
  const std::string name = printable_text(text_of(state, "cluster"));
  if (!flag_of(state, "closed")) {
    std::printf("%s is an open cluster: whoever is on the local network may be in it\n", name.c_str());
    return exit_done;
  }
  std::printf("%s is a closed cluster; its authority is %s%s\n", name.c_str(),
              text_of(state, "authority").c_str(), flag_of(state, "is_authority") ? ", this machine" : "");
  std::printf("this machine's certificate %s is good until %s%s\n", text_of(state, "serial").c_str(),
              text_of(state, "not_after").substr(0, 10).c_str(),
              flag_of(state, "revoked") ? ", but was REVOKED: a new invitation lets it in again" : "");
  const auto revocations = state.find("revocations");
  if (revocations != state.end()) {
    std::printf("%llu certificates were revoked (list %llu)\n",
                static_cast<unsigned long long>(number_of(*revocations, "certificates")),
                static_cast<unsigned long long>(number_of(*revocations, "number")));
  }
  if (!flag_of(state, "is_authority")) return exit_done;
  std::printf("%llu open invitations%s\n", static_cast<unsigned long long>(number_of(state, "open_invites")),
              text_of(state, "join_at").empty() ? "" : (", joining at " + text_of(state, "join_at")).c_str());
  print_members(state);
  return exit_done;
}

}  // namespace

ExitStatus run_cluster(Session& session, const ClusterArgs& args) {
  switch (args.action) {
    case Action::init:
      return become_member(session, std::string(kClusterPath) + "/init", Json::object());
    case Action::join:
      return become_member(session, std::string(kClusterPath) + "/join",
                           Json{{"token", args.token}, {"at", args.at}});
    case Action::invite:
      return invite(session, args);
    case Action::revoke:
      return revoke(session, args);
    case Action::status:
      return status(session);
  }
  return exit_failed;
}

}  // namespace shoal::cli
