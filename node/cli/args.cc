#include "node/cli/args.h"

#include "node/config/nearest_name.h"
#include "node/config/units.h"
#include "node/core/invite_token.h"
#include "node/version.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <filesystem>
#include <functional>
#include <utility>

#include <CLI/CLI.hpp>

namespace shoal::cli {
namespace {

constexpr const char* kDefaultApi = "http://127.0.0.1:8420";

// What CLI11 fills in; checked and turned into Args afterwards.
struct Raw {
  std::string api;
  std::string token_file;
  bool json = false;
  bool version = false;
  std::string repo;
  std::string type = "model";
  std::vector<std::string> include;
  std::vector<std::string> exclude;
  std::string source = "auto";
  std::string priority = "normal";
  bool detach = false;
  bool watch = false;
  std::string target;
  std::string pull;
  std::string on_off;
  std::string duration;
  std::string to;
  bool dry_run = false;
  bool even_last_copies = false;
  std::string token;
  std::string at;
  std::string node;
  std::string output;
  bool magnet = false;
  bool stop = false;
};

Unexpected<Error> usage(std::string message) {
  return fail(Code::invalid, std::move(message));
}

Result<RepoRef> repo_of(const std::string& name, const std::string& type) {
  if (!is_valid_repo_name(name)) return usage("'" + name + "' is no repo name: it looks like org/name");
  return RepoRef{*parse_repo_type(type), name};
}

struct RepoAtRevision {
  std::string repo;
  std::optional<std::string> revision;
};

Result<RepoAtRevision> split_revision(const std::string& text) {
  const auto at = text.find('@');
  RepoAtRevision out{text.substr(0, at), std::nullopt};
  if (at == std::string::npos) return out;
  out.revision = text.substr(at + 1);
  if (!is_valid_revision(*out.revision)) {
    return usage("'" + *out.revision + "' is no revision: it is a branch, a tag or a commit");
  }
  return out;
}

Result<Command> pull_command(const Raw& raw, const ArgsContext&) {
  auto split = split_revision(raw.repo);
  if (!split) return fail(split.error());
  auto repo = repo_of(split->repo, raw.type);
  if (!repo) return fail(repo.error());
  PullArgs out;
  out.repo = std::move(*repo);
  if (split->revision) out.revision = *split->revision;
  out.include = raw.include;
  out.exclude = raw.exclude;
  out.source = raw.source;
  out.priority = raw.priority;
  out.detach = raw.detach;
  return Command(std::move(out));
}

Result<Command> status_command(const Raw& raw, const ArgsContext&) {
  if (!raw.repo.empty() && !is_valid_repo_name(raw.repo)) {
    return usage("'" + raw.repo + "' is no repo name: it looks like org/name");
  }
  return Command(StatusArgs{raw.repo, raw.watch});
}

Result<Command> ls_command(const Raw& raw, const ArgsContext&) {
  if (!raw.repo.empty() && !is_valid_repo_name(raw.repo)) {
    return usage("'" + raw.repo + "' is no repo name: it looks like org/name");
  }
  return Command(LsArgs{raw.repo});
}

Result<Command> peers_command(const Raw&, const ArgsContext&) {
  return Command(PeersArgs{});
}

// What begins like a path is one; so is what cannot be a repo name.
Result<Command> seed_command(const Raw& raw, const ArgsContext& context) {
  SeedArgs out;
  const bool path = raw.target.starts_with('/') || raw.target == "." || raw.target == ".." ||
                    raw.target.starts_with("./") || raw.target.starts_with("../") ||
                    !is_valid_repo_name(raw.target);
  if (path) {
    if (raw.target.empty()) return usage("an empty path cannot be seeded");
    std::filesystem::path absolute = std::filesystem::path(context.working_dir) / raw.target;
    out.path = absolute.lexically_normal().string();
    while (out.path.size() > 1 && out.path.ends_with('/')) out.path.pop_back();
    return Command(std::move(out));
  }
  out.repo = {*parse_repo_type(raw.type), raw.target};
  return Command(std::move(out));
}

Result<Command> verify_command(const Raw& raw, const ArgsContext&) {
  VerifyArgs out;
  if (!raw.repo.empty()) {
    auto repo = repo_of(raw.repo, raw.type);
    if (!repo) return fail(repo.error());
    out.repo = std::move(*repo);
  }
  return Command(std::move(out));
}

Result<Command> rm_command(const Raw& raw, const ArgsContext&) {
  auto split = split_revision(raw.repo);
  if (!split) return fail(split.error());
  auto repo = repo_of(split->repo, raw.type);
  if (!repo) return fail(repo.error());
  return Command(RmArgs{std::move(*repo), split->revision.value_or("")});
}

Result<Command> why_command(const Raw& raw, const ArgsContext&) {
  const auto first = raw.target.find('/');
  const auto second = first == std::string::npos ? first : raw.target.find('/', first + 1);
  WhyArgs out{raw.target.substr(0, second), second == std::string::npos ? "" : raw.target.substr(second + 1)};
  if (!is_valid_repo_name(out.repo) || (!out.file.empty() && !is_valid_repo_path(out.file))) {
    return usage("'" + raw.target + "' is neither a repo (org/name) nor a file of one (org/name/file)");
  }
  return Command(std::move(out));
}

Result<Command> cancel_command(const Raw& raw, const ArgsContext&) {
  CancelArgs out;
  const char* end = raw.pull.data() + raw.pull.size();
  const auto [stop, error] = std::from_chars(raw.pull.data(), end, out.pull);
  if (error != std::errc{} || stop != end || out.pull <= 0) {
    return usage("'" + raw.pull +
                 "' is no pull: it is a number, as `shoal pull --detach` and `shoal status` show it");
  }
  return Command(out);
}

Result<Command> busy_command(const Raw& raw, const ArgsContext&) {
  BusyArgs out;
  out.busy = raw.on_off == "on";
  if (raw.duration.empty()) return Command(out);
  if (!out.busy) return usage("--for goes with `busy on` only");
  const auto duration = parse_duration(raw.duration);
  if (!duration) return usage(duration.error().message);
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(*duration);
  if (seconds < std::chrono::seconds(1) || seconds > std::chrono::hours(24 * 366)) {
    return usage("--for takes from 1s to a year");
  }
  out.duration = seconds;
  return Command(out);
}

Result<Command> gc_command(const Raw& raw, const ArgsContext&) {
  GcArgs out{.to = {}, .dry_run = raw.dry_run, .even_last_copies = raw.even_last_copies};
  if (raw.to.empty()) return Command(out);
  const auto size = parse_size(raw.to);
  if (!size) return usage(size.error().message);
  out.to = *size;
  return Command(out);
}

Result<Command> pin_command(const Raw& raw, const ArgsContext&) {
  if (raw.repo.empty()) return Command(PinArgs{});
  auto repo = repo_of(raw.repo, raw.type);
  if (!repo) return fail(repo.error());
  return Command(PinArgs{std::move(*repo), true});
}

Result<Command> unpin_command(const Raw& raw, const ArgsContext&) {
  auto repo = repo_of(raw.repo, raw.type);
  if (!repo) return fail(repo.error());
  return Command(PinArgs{std::move(*repo), false});
}

ClusterArgs cluster_args(ClusterArgs::Action action) {
  ClusterArgs out;
  out.action = action;
  return out;
}

Result<Command> cluster_init_command(const Raw&, const ArgsContext&) {
  return Command(cluster_args(ClusterArgs::Action::init));
}

Result<Command> cluster_status_command(const Raw&, const ArgsContext&) {
  return Command(cluster_args(ClusterArgs::Action::status));
}

Result<Command> cluster_invite_command(const Raw& raw, const ArgsContext&) {
  ClusterArgs out = cluster_args(ClusterArgs::Action::invite);
  if (raw.duration.empty()) return Command(std::move(out));
  const auto duration = parse_duration(raw.duration);
  if (!duration) return usage(duration.error().message);
  out.life = std::chrono::duration_cast<std::chrono::seconds>(*duration);
  if (*out.life < std::chrono::seconds(10) || *out.life > std::chrono::hours(24 * 7))
    return usage("--for takes from 10s to 7d");
  return Command(std::move(out));
}

Result<Command> cluster_join_command(const Raw& raw, const ArgsContext&) {
  ClusterArgs out = cluster_args(ClusterArgs::Action::join);
  out.token = raw.token;
  out.at = raw.at;
  if (auto token = parse_token(out.token); !token) return usage(token.error().message);
  return Command(std::move(out));
}

Result<Command> cluster_revoke_command(const Raw& raw, const ArgsContext&) {
  if (raw.node.empty()) return usage("an empty name is no node");
  ClusterArgs out = cluster_args(ClusterArgs::Action::revoke);
  out.node = raw.node;
  return Command(std::move(out));
}

Result<Command> export_command(const Raw& raw, const ArgsContext& context) {
  ExportArgs out;
  out.stop = raw.stop;
  if (raw.target.empty())
    return raw.stop ? usage("--stop needs a file") : Result<Command>(Command(std::move(out)));
  // org/name/file, or name/file of an old repo.
  const auto first = raw.target.find('/');
  const auto second = first == std::string::npos ? first : raw.target.find('/', first + 1);
  const auto cut = second == std::string::npos ? first : second;
  if (cut == std::string::npos || !is_valid_repo_name(raw.target.substr(0, cut)) ||
      !is_valid_repo_path(raw.target.substr(cut + 1))) {
    return usage("'" + raw.target + "' is no file of a repo: it looks like org/name/model.safetensors");
  }
  out.repo = {*parse_repo_type(raw.type), raw.target.substr(0, cut)};
  out.path = raw.target.substr(cut + 1);
  if (raw.magnet || raw.stop) return Command(std::move(out));
  const std::string name =
      raw.output.empty() ? out.path.substr(out.path.rfind('/') + 1) + ".torrent" : raw.output;
  out.output = (std::filesystem::path(context.working_dir) / name).lexically_normal().string();
  return Command(std::move(out));
}

Result<Command> doctor_command(const Raw&, const ArgsContext&) {
  return Command(DoctorArgs{});
}

using MakeCommand = Result<Command> (*)(const Raw&, const ArgsContext&);

using Commands = std::vector<std::pair<CLI::App*, MakeCommand>>;

void define_cluster(CLI::App& app, Raw& raw, Commands& out) {
  CLI::App* cluster = app.add_subcommand("cluster", "Closed clusters: only machines that were let in");
  cluster->fallthrough();
  cluster->require_subcommand(1);
  cluster->footer(
      "One machine is the authority; each other one joins once:\n"
      "  head$  shoal cluster init\n"
      "  head$  shoal cluster invite            prints a token\n"
      "  gpu7$  shoal cluster join TOKEN head:8422\n"
      "  head$  shoal cluster revoke gpu7       puts it out again");
  const auto add = [&](const char* name, const char* help, MakeCommand make) {
    CLI::App* sub = cluster->add_subcommand(name, help);
    sub->fallthrough();
    out.emplace_back(sub, make);
    return sub;
  };
  add("init", "Closes the cluster: this machine lets the others in from now on", cluster_init_command);
  auto* invite = add("invite", "Prints a token that lets one machine in, once", cluster_invite_command);
  invite->add_option("--for", raw.duration, "How long the token is good (default: 1h, at most 7d)")
      ->type_name("DURATION");
  auto* join = add("join", "Lets this machine into a closed cluster", cluster_join_command);
  join->add_option("token", raw.token, "What `shoal cluster invite` printed")->required()->type_name("TOKEN");
  join->add_option("at", raw.at, "The machine where it was printed, and the port for joining (8422)")
      ->required()
      ->type_name("HOST:PORT");
  auto* revoke = add("revoke", "Puts a machine out; on the authority only", cluster_revoke_command);
  revoke->add_option("node", raw.node, "Its name or node id")->required()->type_name("NODE");
  add("status", "Shows the cluster, and on the authority who was let in", cluster_status_command);
}

// Defines the subcommands; the returned list pairs each with what makes a Command of it.
Commands define(CLI::App& app, Raw& raw) {
  Commands out;
  const auto add = [&](const char* name, const char* help, MakeCommand make) {
    CLI::App* sub = app.add_subcommand(name, help);
    sub->fallthrough();
    out.emplace_back(sub, make);
    return sub;
  };
  const auto type_option = [&](CLI::App* sub) {
    sub->add_option("--type", raw.type, "model (the default), dataset or space")
        ->check(CLI::IsMember({"model", "dataset", "space"}))
        ->type_name("TYPE");
  };
  const auto globs = [](CLI::App* sub, const char* name, std::vector<std::string>& into, const char* help) {
    sub->add_option(name, into, help)
        ->type_name("GLOB")
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->allow_extra_args(false);
  };

  auto* pull = add("pull", "Fetches a repo into the Hugging Face cache", pull_command);
  pull->add_option("repo", raw.repo, "org/name, or org/name@revision")
      ->required()
      ->type_name("REPO[@REVISION]");
  type_option(pull);
  globs(pull, "--include", raw.include, "Only files that match (repeatable), e.g. '*.safetensors'");
  globs(pull, "--exclude", raw.exclude, "No files that match (repeatable)");
  pull->add_option("--source", raw.source, "auto (the default), lan: only neighbours, origin: only the Hub")
      ->check(CLI::IsMember({"auto", "lan", "origin"}))
      ->type_name("SOURCE");
  pull->add_option("--priority", raw.priority, "high, normal (the default) or low")
      ->check(CLI::IsMember({"high", "normal", "low"}))
      ->type_name("PRIORITY");
  pull->add_flag("--detach", raw.detach, "Starts the pull, prints its number and returns");
  pull->footer(
      "Progress goes to stderr; the last line of stdout is the snapshot's directory.\n"
      "Examples:\n"
      "  shoal pull Qwen/Qwen2.5-0.5B\n"
      "  vllm serve \"$(shoal pull org/model@v1.0 --exclude '*.gguf')\"");

  auto* status = add("status", "Shows what is wanted and held, and what it waits for", status_command);
  status->add_option("repo", raw.repo, "Only this repo, file by file")->type_name("REPO");
  status->add_flag("--watch", raw.watch, "Fills the terminal, every second, until q or Ctrl-C");

  auto* ls = add("ls", "Lists the models on this machine", ls_command);
  ls->add_option("repo", raw.repo, "The files of this repo")->type_name("REPO");

  add("peers", "Lists the neighbours", peers_command);

  auto* seed = add("seed", "Adopts files that are already on this machine, and serves them", seed_command);
  seed->add_option("target", raw.target, "A Hugging Face cache directory, or a repo in the cache")
      ->required()
      ->type_name("PATH|REPO");
  type_option(seed);

  auto* verify =
      add("verify", "Reads the cache again and compares it with the publishers' hashes", verify_command);
  verify->add_option("repo", raw.repo, "Only this repo")->type_name("REPO");
  type_option(verify);

  auto* rm = add("rm", "Deletes a repo, or one revision of it, from the cache", rm_command);
  rm->add_option("repo", raw.repo, "org/name, or org/name@revision")
      ->required()
      ->type_name("REPO[@REVISION]");
  type_option(rm);

  auto* why = add("why", "Explains what a repo or a file waits for", why_command);
  why->add_option("target", raw.target, "org/name, or org/name/file")->required()->type_name("REPO[/FILE]");

  auto* cancel = add("cancel", "Stops a pull; what arrived is kept for the next one", cancel_command);
  cancel->add_option("pull", raw.pull, "Its number")->required()->type_name("PULL");

  auto* busy = add("busy", "Tells neighbours to ask less of this machine", busy_command);
  busy->add_option("state", raw.on_off, "on or off")
      ->required()
      ->check(CLI::IsMember({"on", "off"}))
      ->type_name("on|off");
  busy->add_option("--for", raw.duration, "Back to normal after this time, e.g. 30m")->type_name("DURATION");

  auto* gc = add("gc", "Removes models that were not used for the longest time, and says why others stay",
                 gc_command);
  gc->add_option("--to", raw.to, "The most that the cache may have afterwards (default: cache_size_limit)")
      ->type_name("SIZE");
  gc->add_flag("--dry-run", raw.dry_run, "Only says what would go");
  gc->add_flag("--even-last-copies", raw.even_last_copies, "Also what no other machine of the site has");
  gc->footer(
      "Never removed: pinned repos, what a pull wants or a program reads, and caches elsewhere.\n"
      "Example:\n"
      "  shoal gc --dry-run --to 200GiB");

  auto* pin =
      add("pin", "Keeps a repo whatever happens; without one, lists those that are kept", pin_command);
  pin->add_option("repo", raw.repo, "org/name")->type_name("REPO");
  type_option(pin);
  auto* unpin = add("unpin", "Takes back `pin`", unpin_command);
  unpin->add_option("repo", raw.repo, "org/name")->required()->type_name("REPO");
  type_option(unpin);

  define_cluster(app, raw, out);

  auto* exported =
      add("export",
          "Makes the torrent of a file and seeds it to any BitTorrent v2 client; without a file, "
          "lists those",
          export_command);
  exported->add_option("file", raw.target, "org/name/file")->type_name("REPO/FILE");
  type_option(exported);
  exported
      ->add_option("--output", raw.output, "Where to write it (default: the file's name and .torrent, here)")
      ->type_name("FILE");
  exported->add_flag("--magnet", raw.magnet, "Only prints the magnet link");
  exported->add_flag("--stop", raw.stop, "Seeds it no more");

  add("doctor", "Checks the daemon, the disk, the Hub, the network and the clock", doctor_command);
  return out;
}

Unexpected<Error> unknown_word(const CLI::App& app, const CLI::App* sub, const std::string& word) {
  std::vector<std::string> known;
  const bool option = word.starts_with('-');
  if (option) {
    for (const CLI::App* of : {&app, sub}) {
      if (of == nullptr) continue;
      for (const CLI::Option* o : of->get_options()) {
        for (const std::string& name : o->get_lnames()) known.push_back("--" + name);
      }
    }
  } else if (sub == nullptr) {
    for (const CLI::App* s : app.get_subcommands([](const CLI::App*) { return true; }))
      known.push_back(s->get_name());
  }
  const std::string name = word.substr(0, word.find('='));
  std::string text = sub == nullptr && !option ? "unknown command '" + word + "'"
                     : option                  ? "unknown option '" + name + "'"
                                               : "'" + word + "' is one argument too many";
  if (const auto near = nearest_name(name, known)) text += "; did you mean '" + *near + "'?";
  if (sub == nullptr && !option) {
    text += text.ends_with('?') ? " The commands are" : "; the commands are";
    for (const std::string& command : known) text += " " + command;
  } else {
    text += text.ends_with('?') ? " See" : "; see";
    text += " `shoal" + (sub == nullptr ? std::string() : " " + sub->get_name()) + " --help`";
  }
  return usage(std::move(text));
}

Result<std::string> valid_api(std::string api) {
  while (api.ends_with('/')) api.pop_back();
  const bool plain =
      std::all_of(api.begin(), api.end(), [](unsigned char c) { return c > 0x20 && c < 0x7f; });
  const bool http = api.starts_with("http://") || api.starts_with("https://");
  if (!plain || !http || api.size() < 9 || api.find_first_of("?#@") != std::string::npos) {
    return usage("--api takes a URL like " + std::string(kDefaultApi) + ", not '" + api + "'");
  }
  return api;
}

std::string sentence(std::string text) {
  // CLI11 speaks in capitals and full stops; our lines do not.
  std::replace(text.begin(), text.end(), '\n', ' ');
  while (text.ends_with('.') || text.ends_with(' ')) text.pop_back();
  return text;
}

}  // namespace

Result<Args> parse_args(int argc, const char* const* argv, const ArgsContext& context) {
  CLI::App app("Fetches AI models once per site and shares them on the LAN.", "shoal");
  Raw raw;
  app.allow_extras();
  app.require_subcommand(0, 1);
  app.add_option("--api", raw.api,
                 std::string("Where shoald listens. [SHOAL_API, default ") + kDefaultApi + "]")
      ->type_name("URL");
  app.add_option("--api-token-file", raw.token_file, "A file with the API's token. [SHOAL_API_TOKEN_FILE]")
      ->type_name("FILE");
  app.add_flag("--json", raw.json, "Prints JSON instead of text");
  app.add_flag("--version", raw.version, "Prints the version");
  app.footer(
      "Exit status: 0 done, 1 failed, 2 wrong usage, 3 no daemon reached, 4 not found, 5 not allowed "
      "(gated,\n"
      "token), 6 hash mismatch, 7 no space.\n"
      "\n"
      "Examples:\n"
      "  shoal pull Qwen/Qwen2.5-0.5B            fetch a model, from neighbours where possible\n"
      "  shoal status --watch                    what is going on, every second\n"
      "  shoal why org/name                      what it waits for\n"
      "  shoal seed ~/.cache/huggingface/hub     serve what is there already\n"
      "  shoal busy on --for 30m                 serving tokens: leave this machine alone");
  const auto commands = define(app, raw);

  Args out;
  const CLI::App* chosen = nullptr;
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    out.print_and_exit = app.help();
    return out;
  } catch (const CLI::ParseError& e) {
    for (const auto& [sub, make] : commands) {
      if (sub->parsed()) chosen = sub;
    }
    // A misspelt option is better news than what is missing because of it.
    for (const std::string& word : app.remaining(true)) {
      if (word.starts_with('-')) return unknown_word(app, chosen, word);
    }
    return usage(sentence(e.what()) + "; see `shoal" +
                 (chosen == nullptr ? std::string() : " " + chosen->get_name()) + " --help`");
  }
  if (raw.version) {
    out.print_and_exit = std::string("shoal ") + kVersion + "\n";
    return out;
  }
  MakeCommand make_chosen = nullptr;
  for (const auto& [sub, make] : commands) {
    if (!sub->parsed()) continue;
    chosen = sub;
    make_chosen = make;
  }
  if (const auto rest = app.remaining(true); !rest.empty()) return unknown_word(app, chosen, rest.front());
  if (make_chosen == nullptr) return usage("a command is missing; see `shoal --help`");

  auto api = valid_api(!raw.api.empty() ? raw.api : !context.api.empty() ? context.api : kDefaultApi);
  if (!api) return fail(api.error());
  out.api = std::move(*api);
  out.token_file = raw.token_file.empty() ? context.token_file : raw.token_file;
  out.json = raw.json;
  auto command = make_chosen(raw, context);
  if (!command) return fail(command.error());
  out.command = std::move(*command);
  return out;
}

}  // namespace shoal::cli
