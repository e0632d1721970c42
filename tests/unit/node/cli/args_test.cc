#include "node/cli/args.h"

#include "node/core/invite_token.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace shoal::cli {
namespace {

using testing::HasSubstr;

Result<Args> parse(const std::vector<std::string>& words, ArgsContext context = {"", "", "/here"}) {
  std::vector<const char*> argv{"shoal"};
  for (const auto& word : words) argv.push_back(word.c_str());
  return parse_args(static_cast<int>(argv.size()), argv.data(), context);
}

template <typename T>
T command(const std::vector<std::string>& words) {
  auto args = parse(words);
  if (!args) {
    ADD_FAILURE() << args.error().message;
    return {};
  }
  if (!std::holds_alternative<T>(args->command)) {
    ADD_FAILURE() << "another command";
    return {};
  }
  return std::get<T>(args->command);
}

std::string refusal(const std::vector<std::string>& words) {
  const auto args = parse(words);
  return args ? "accepted" : args.error().message;
}

TEST(Args, PullTakesRepoRevisionAndEveryOption) {
  const auto plain = command<PullArgs>({"pull", "org/name"});
  EXPECT_EQ(plain.repo, (RepoRef{RepoType::model, "org/name"}));
  EXPECT_EQ(plain.revision, "main");
  EXPECT_FALSE(plain.detach);

  const auto full = command<PullArgs>({"pull", "org/name@refs/pr/1", "--type", "dataset", "--include",
                                       "*.json", "--include=a*", "--exclude", "*.bin", "--source", "lan",
                                       "--priority", "high", "--detach"});
  EXPECT_EQ(full.repo.type, RepoType::dataset);
  EXPECT_EQ(full.revision, "refs/pr/1");
  EXPECT_EQ(full.include, (std::vector<std::string>{"*.json", "a*"}));
  EXPECT_EQ(full.exclude, std::vector<std::string>{"*.bin"});
  EXPECT_EQ(full.source, "lan");
  EXPECT_EQ(full.priority, "high");
  EXPECT_TRUE(full.detach);
}

TEST(Args, AnIncludeTakesOneGlobSoThatTheRepoMayFollow) {
  const auto args = command<PullArgs>({"pull", "--include", "*.json", "org/name"});
  EXPECT_EQ(args.include, std::vector<std::string>{"*.json"});
  EXPECT_EQ(args.repo.name, "org/name");
}

TEST(Args, CommonOptionsMayStandBeforeOrAfterTheCommand) {
  for (const auto& words : std::vector<std::vector<std::string>>{{"--json", "--api", "http://h:1/", "ls"},
                                                                 {"ls", "--json", "--api", "http://h:1"}}) {
    const auto args = parse(words);
    ASSERT_TRUE(args);
    EXPECT_TRUE(args->json);
    EXPECT_EQ(args->api, "http://h:1");
  }
}

TEST(Args, TheApiComesFromOptionThenEnvironmentThenDefault) {
  EXPECT_EQ(parse({"ls"})->api, "http://127.0.0.1:8420");
  EXPECT_EQ(parse({"ls"}, {"http://env:1", "/token", "/"})->api, "http://env:1");
  EXPECT_EQ(parse({"ls"}, {"http://env:1", "/token", "/"})->token_file, "/token");
  EXPECT_EQ(parse({"--api", "http://opt:2", "ls"}, {"http://env:1", "", "/"})->api, "http://opt:2");
  for (const char* api : {"localhost:8420", "ftp://x", "http://", "http://a b", "http://u:p@h"}) {
    EXPECT_THAT(refusal({"--api", api, "ls"}), HasSubstr("--api takes a URL")) << api;
  }
}

TEST(Args, SeedTellsPathsFromRepos) {
  EXPECT_EQ(command<SeedArgs>({"seed", "/a/b/"}).path, "/a/b");
  EXPECT_EQ(command<SeedArgs>({"seed", "./org/name"}).path, "/here/org/name");
  EXPECT_EQ(command<SeedArgs>({"seed", "."}).path, "/here");
  EXPECT_EQ(command<SeedArgs>({"seed", "a/b/c"}).path, "/here/a/b/c");
  const auto repo = command<SeedArgs>({"seed", "org/name", "--type", "dataset"});
  EXPECT_EQ(repo.path, "");
  EXPECT_EQ(repo.repo, (RepoRef{RepoType::dataset, "org/name"}));
}

TEST(Args, TheOtherCommandsTakeTheirArguments) {
  EXPECT_EQ(command<StatusArgs>({"status"}).repo, "");
  EXPECT_TRUE(command<StatusArgs>({"status", "org/name", "--watch"}).watch);
  EXPECT_EQ(command<LsArgs>({"ls", "org/name"}).repo, "org/name");
  command<PeersArgs>({"peers"});
  EXPECT_EQ(command<VerifyArgs>({"verify"}).repo, std::nullopt);
  EXPECT_EQ(command<VerifyArgs>({"verify", "org/name"}).repo->name, "org/name");
  EXPECT_EQ(command<RmArgs>({"rm", "org/name@v1"}).revision, "v1");
  EXPECT_EQ(command<RmArgs>({"rm", "org/name"}).revision, "");
  EXPECT_EQ(command<CancelArgs>({"cancel", "12"}).pull, 12);
  EXPECT_EQ(command<BusyArgs>({"busy", "on", "--for", "1h30m"}).duration, std::chrono::seconds(5400));
  EXPECT_FALSE(command<BusyArgs>({"busy", "off"}).busy);
  EXPECT_EQ(command<GcArgs>({"gc", "--to", "2GiB", "--dry-run"}).to, 2ULL << 30U);
  EXPECT_EQ(command<GcArgs>({"gc", "--even-last-copies"}).to, std::nullopt);
  EXPECT_TRUE(command<PinArgs>({"pin", "org/name"}).pin);
  EXPECT_EQ(command<PinArgs>({"pin"}).repo.name, "");
  EXPECT_FALSE(command<PinArgs>({"unpin", "org/name"}).pin);
  command<DoctorArgs>({"doctor"});
}

TEST(Args, ClusterHasCommandsOfItsOwn) {
  using Action = ClusterArgs::Action;
  EXPECT_EQ(command<ClusterArgs>({"cluster", "init"}).action, Action::init);
  EXPECT_EQ(command<ClusterArgs>({"cluster", "status"}).action, Action::status);
  EXPECT_EQ(command<ClusterArgs>({"cluster", "invite"}).life, std::nullopt);
  EXPECT_EQ(command<ClusterArgs>({"cluster", "invite", "--for", "2h"}).life, std::chrono::hours(2));
  EXPECT_EQ(command<ClusterArgs>({"cluster", "revoke", "gpu-1"}).node, "gpu-1");
  const std::string token = format_token({});
  const auto join = command<ClusterArgs>({"cluster", "join", token, "head:8422"});
  EXPECT_EQ(join.token, token);
  EXPECT_EQ(join.at, "head:8422");
  EXPECT_THAT(refusal({"cluster", "join", token.substr(0, 20), "head"}), HasSubstr("not whole"));
  EXPECT_THAT(refusal({"cluster", "join", token}), HasSubstr("at is required"));
  EXPECT_THAT(refusal({"cluster", "invite", "--for", "30d"}), HasSubstr("10s to 7d"));
  EXPECT_THAT(refusal({"cluster"}), HasSubstr("subcommand is required"));
  EXPECT_THAT(refusal({"cluster", "revoke", "a", "b"}), HasSubstr("one argument too many"));
}

TEST(Args, WhyTellsRepoFromFile) {
  EXPECT_EQ(command<WhyArgs>({"why", "org/name"}).repo, "org/name");
  const auto file = command<WhyArgs>({"why", "org/name/sub/model.bin"});
  EXPECT_EQ(file.repo, "org/name");
  EXPECT_EQ(file.file, "sub/model.bin");
  EXPECT_EQ(command<WhyArgs>({"why", "gpt2"}).repo, "gpt2");
}

TEST(Args, WrongUsageIsExplained) {
  const std::vector<std::pair<std::vector<std::string>, const char*>> cases{
      {{}, "a command is missing"},
      {{"pul", "org/name"}, "did you mean 'pull'? The commands are pull status ls"},
      {{"xyzzy"}, "unknown command 'xyzzy'; the commands are pull"},
      {{"pull"}, "see `shoal pull --help`"},
      {{"pull", "org/name", "more"}, "'more' is one argument too many"},
      {{"pull", "org/name", "--exlude", "x"}, "did you mean '--exclude'?"},
      {{"pull", "../x"}, "no repo name"},
      {{"pull", "org/name@"}, "no revision"},
      {{"pull", "org/name@../x"}, "no revision"},
      {{"pull", "org/name", "--source", "moon"}, "--source"},
      {{"status", "a b"}, "no repo name"},
      {{"cancel", "x"}, "is no pull"},
      {{"cancel", "0"}, "is no pull"},
      {{"busy", "maybe"}, "maybe"},
      {{"busy", "off", "--for", "5m"}, "`busy on` only"},
      {{"busy", "on", "--for", "5"}, "not a duration"},
      {{"busy", "on", "--for", "10ms"}, "from 1s"},
      {{"why", "a//b"}, "neither a repo"},
  };
  for (const auto& [words, reason] : cases) {
    const auto text = refusal(words);
    EXPECT_THAT(text, HasSubstr(reason)) << testing::PrintToString(words);
    EXPECT_EQ(text.find('\n'), std::string::npos);
  }
}

TEST(Args, HelpAndVersionAreTexts) {
  EXPECT_THAT(parse({"--help"})->print_and_exit.value(), HasSubstr("Examples:"));
  EXPECT_THAT(parse({"pull", "--help"})->print_and_exit.value(), HasSubstr("--include"));
  EXPECT_THAT(parse({"--version"})->print_and_exit.value(), testing::StartsWith("shoal "));
}

}  // namespace
}  // namespace shoal::cli
