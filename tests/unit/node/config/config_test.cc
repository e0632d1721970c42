#include "node/config/config.h"

#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace shoal {
namespace {

using testing::HasSubstr;

class ConfigTest : public testing::Test {
 protected:
  ConfigTest() {
    dir_ = std::filesystem::temp_directory_path() / ("shoal-config-test-" + std::to_string(getpid()));
    std::filesystem::create_directories(dir_);
    env_["HOME"] = "/home/ada";
    host_.hostname = "gpu7";
    host_.working_dir = "/work-dir";
  }
  ~ConfigTest() override { std::filesystem::remove_all(dir_); }

  std::string write_file(const std::string& text, const std::string& name = "shoald.toml") {
    const auto path = dir_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
    return path.string();
  }

  Result<LoadedConfig> load(const std::vector<std::string>& options) {
    std::vector<const char*> argv{"shoald"};
    for (const auto& option : options) argv.push_back(option.c_str());
    const EnvLookup lookup = [this](const std::string& name) -> std::optional<std::string> {
      const auto found = env_.find(name);
      if (found == env_.end()) return std::nullopt;
      return found->second;
    };
    return load_config(static_cast<int>(argv.size()), argv.data(), lookup, host_);
  }
  Config loaded(const std::vector<std::string>& options) {
    auto result = load(options);
    if (!result) {
      ADD_FAILURE() << result.error().message;
      return {};
    }
    return result->config;
  }
  std::string refusal(const std::vector<std::string>& options) {
    auto result = load(options);
    return result ? "accepted" : result.error().message;
  }
  Config from_file(const std::string& text) { return loaded({"--config", write_file(text)}); }
  std::string file_refusal(const std::string& text) { return refusal({"--config", write_file(text)}); }

  std::filesystem::path dir_;
  std::map<std::string, std::string> env_;
  HostFacts host_;
};

TEST_F(ConfigTest, DefaultsOfAnOrdinaryUserAreBelowHome) {
  const Config c = loaded({});
  EXPECT_EQ(c.state_dir, "/home/ada/.local/state/shoal");
  EXPECT_EQ(c.cache_dir, "/home/ada/.cache/huggingface/hub");
  EXPECT_EQ(c.api.text(), "127.0.0.1:8420");
  EXPECT_EQ(c.swarm.text(), "0.0.0.0:8421");
  EXPECT_EQ(c.hub, "https://huggingface.co");
  EXPECT_EQ(c.node_name, "gpu7");
  EXPECT_EQ(c.cluster, "default");
  EXPECT_TRUE(c.lsd);
  EXPECT_EQ(c.wan_rate_limit, 0U);
  EXPECT_EQ(c.config_file, "");
}

TEST_F(ConfigTest, ASystemUserKeepsItsStateInVarLib) {
  host_.system_user = true;
  EXPECT_EQ(loaded({}).state_dir, "/var/lib/shoal");
}

TEST_F(ConfigTest, XdgDirectoriesAreTaken) {
  env_["XDG_STATE_HOME"] = "/xdg/state";
  env_["XDG_CACHE_HOME"] = "/xdg/cache";
  const Config c = loaded({});
  EXPECT_EQ(c.state_dir, "/xdg/state/shoal");
  EXPECT_EQ(c.cache_dir, "/xdg/cache/huggingface/hub");
}

TEST_F(ConfigTest, TheHubsOwnVariablesPlaceTheCacheInTheirOrder) {
  env_["HF_HOME"] = "/hf";
  EXPECT_EQ(loaded({}).cache_dir, "/hf/hub");
  env_["HUGGINGFACE_HUB_CACHE"] = "/older";
  EXPECT_EQ(loaded({}).cache_dir, "/older");
  env_["HF_HUB_CACHE"] = "/newer";
  EXPECT_EQ(loaded({}).cache_dir, "/newer");
  env_["SHOAL_CACHE_DIR"] = "/ours";
  EXPECT_EQ(loaded({}).cache_dir, "/ours");
}

TEST_F(ConfigTest, AnOptionBeatsTheEnvironmentWhichBeatsTheFile) {
  const std::string file =
      write_file("cluster = 'of-file'\nlog_level = 'debug'\nhub = 'https://file.example'\n");
  EXPECT_EQ(loaded({"--config", file}).cluster, "of-file");
  env_["SHOAL_CLUSTER"] = "of-env";
  EXPECT_EQ(loaded({"--config", file}).cluster, "of-env");
  EXPECT_EQ(loaded({"--config", file, "--cluster", "of-option"}).cluster, "of-option");
  EXPECT_EQ(loaded({"--config", file}).log_level, LogLevel::debug);
  env_["HF_ENDPOINT"] = "https://env.example/";
  EXPECT_EQ(loaded({"--config", file}).hub, "https://env.example");
  env_["SHOAL_HUB"] = "https://ours.example";
  EXPECT_EQ(loaded({"--config", file}).hub, "https://ours.example");
}

TEST_F(ConfigTest, AListOfAStrongerPlaceReplacesTheWholeList) {
  const std::string file = write_file("peer = ['a:1', 'b:2']\n");
  EXPECT_EQ(loaded({"--config", file}).peers, (std::vector<HostPort>{{"a", 1}, {"b", 2}}));
  env_["SHOAL_PEER"] = "c:3, d:4,";
  EXPECT_EQ(loaded({"--config", file}).peers, (std::vector<HostPort>{{"c", 3}, {"d", 4}}));
  const Config c = loaded({"--config", file, "--peer", "e:5", "--peer", "[fe80::1]:6"});
  EXPECT_EQ(c.peers, (std::vector<HostPort>{{"e", 5}, {"fe80::1", 6}}));
  EXPECT_EQ(c.peers[1].text(), "[fe80::1]:6");
}

TEST_F(ConfigTest, EveryTypeIsReadFromTheFile) {
  const Config c = from_file(R"(
state_dir = "state"
cache_dir = "~/models"
api = "127.0.0.1:0"
swarm = "[::]:9000"
api_host = ["models.lab"]
lsd = false
origin_connections = 32
wan_rate_limit = "100Mbit/s"
free_space_floor = "2GiB"
log_format = "journal"
node_name = "Ada's machine"
)");
  EXPECT_EQ(c.state_dir, dir_ / "state");
  EXPECT_EQ(c.cache_dir, "/home/ada/models");
  EXPECT_EQ(c.api.port, 0);
  EXPECT_EQ(c.swarm.text(), "[::]:9000");
  EXPECT_EQ(c.api_hosts, std::vector<std::string>{"models.lab"});
  EXPECT_FALSE(c.lsd);
  EXPECT_EQ(c.origin_connections, 32);
  EXPECT_EQ(c.wan_rate_limit, 12'500'000U);
  EXPECT_EQ(c.free_space_floor, 2ULL << 30U);
  EXPECT_EQ(c.log_format, LogFormat::journal);
  EXPECT_EQ(c.node_name, "Ada's machine");
}

TEST_F(ConfigTest, RelativePathsOfOptionsStartAtTheWorkingDirectory) {
  EXPECT_EQ(loaded({"--state-dir", "here/"}).state_dir, "/work-dir/here");
  EXPECT_EQ(loaded({"--cache-dir", "../there"}).cache_dir, "/there");
}

TEST_F(ConfigTest, AnUnknownKeyIsNamedWithItsPlaceAndTheNearestKnownOne) {
  const auto text = file_refusal("cluster = 'a'\n\npeers = ['a:1']\n");
  EXPECT_THAT(text, HasSubstr("shoald.toml:3: unknown key 'peers'"));
  EXPECT_THAT(text, HasSubstr("did you mean 'peer'?"));
  EXPECT_THAT(file_refusal("[network]\nport = 1\n"), HasSubstr("shoald.toml:1: unknown key 'network'"));
}

TEST_F(ConfigTest, AnUnknownOptionIsNamedWithTheNearestKnownOne) {
  EXPECT_THAT(refusal({"--stat-dir", "/x"}),
              HasSubstr("unknown option '--stat-dir'; did you mean '--state-dir'?"));
  EXPECT_THAT(refusal({"--cluser=x"}), HasSubstr("did you mean '--cluster'?"));
  EXPECT_THAT(refusal({"pull"}), HasSubstr("'pull' is none"));
  EXPECT_THAT(refusal({"--cluster"}), HasSubstr("--cluster"));
}

struct BadValue {
  const char* line;
  const char* reason;
};

TEST_F(ConfigTest, ABadValueInTheFileIsNamedWithItsLineAndReason) {
  const std::vector<BadValue> cases{
      {"lsd = 'maybe'", "lsd must be true or false"},
      {"lsd = 1", "lsd must be true or false"},
      {"origin_connections = '16'", "origin_connections must be a number"},
      {"origin_connections = 0", "1 to 128"},
      {"origin_connections = -1", "not a whole number"},
      {"peer = 'a:1'", "peer must be an array"},
      {"peer = [1]", "peer must be an array"},
      {"peer = ['a']", "not HOST:PORT"},
      {"peer = ['a:0']", "not HOST:PORT"},
      {"peer = ['a b:1']", "not HOST:PORT"},
      {"swarm = '0.0.0.0'", "not HOST:PORT"},
      {"swarm = 'lab:8421'", "numeric address"},
      {"swarm = \"10.0.0.7\\u0000.elsewhere:8421\"", "numeric address"},
      {"swarm = '0.0.0.0:70000'", "0 to 65535"},
      {"swarm = '::1:8421'", "brackets"},
      {"hub = 'huggingface.co'", "not an http:// or https:// URL"},
      {"hub = 'https://'", "names no host"},
      {"hub = 'https://user:secret@hub'", "user name or password"},
      {"hub = 'https://hub/?x=1'", "query"},
      {"wan_rate_limit = '100'", "not a rate"},
      {"wan_rate_limit = 100", "not a rate"},
      {"free_space_floor = '10G'", "not a size"},
      {"log_level = 'loud'", "none of debug, info, warning, error"},
      {"log_format = 'xml'", "neither plain nor journal"},
      {"cluster = 'no blanks'", "letters, digits"},
      {"node_name = ''", "1 to 64 bytes"},
      {"state_dir = ''", "a path is wanted"},
      {"state_dir = 7", "a text in quotes"},
  };
  for (const BadValue& bad : cases) {
    const auto text = file_refusal("# first line\n" + std::string(bad.line) + "\n");
    EXPECT_THAT(text, HasSubstr("shoald.toml:2: ")) << bad.line;
    EXPECT_THAT(text, HasSubstr(bad.reason)) << bad.line;
  }
}

TEST_F(ConfigTest, ABadValueOfVariableOrOptionIsNamed) {
  EXPECT_THAT(refusal({"--api", "x"}), HasSubstr("--api: 'x' is not HOST:PORT"));
  env_["SHOAL_LSD"] = "perhaps";
  EXPECT_THAT(refusal({}), HasSubstr("SHOAL_LSD: 'perhaps'"));
  env_.erase("SHOAL_LSD");
  env_["HF_ENDPOINT"] = "ftp://x";
  EXPECT_THAT(refusal({}), HasSubstr("HF_ENDPOINT: "));
}

TEST_F(ConfigTest, BrokenTomlIsNamedWithItsLine) {
  EXPECT_THAT(file_refusal("cluster = 'a'\nnode_name = \n"), HasSubstr("shoald.toml:2: not valid TOML"));
  EXPECT_THAT(file_refusal("cluster = 'a'\ncluster = 'b'\n"), HasSubstr("shoald.toml:2: not valid TOML"));
}

TEST_F(ConfigTest, AFileThatWasNamedMustExist) {
  EXPECT_THAT(refusal({"--config", "/nowhere/shoald.toml"}), HasSubstr("/nowhere/shoald.toml"));
  EXPECT_EQ(load({"--config", "/nowhere/shoald.toml"}).error().code, Code::io);
  EXPECT_EQ(load({"--config", dir_.string()}).error().code, Code::io);
  env_["SHOAL_CONFIG"] = "/nowhere/else.toml";
  EXPECT_THAT(refusal({}), HasSubstr("/nowhere/else.toml"));
}

TEST_F(ConfigTest, TheFileOfTheDefaultPlaceIsReadWhenItIsThere) {
  host_.system_config = write_file("cluster = 'system'\n", "system.toml");
  env_["XDG_CONFIG_HOME"] = (dir_ / "xdg").string();
  EXPECT_EQ(loaded({}).cluster, "default");
  write_file("cluster = 'user'\n", "xdg/shoal/shoald.toml");
  EXPECT_EQ(loaded({}).cluster, "user");
  host_.system_user = true;
  EXPECT_EQ(loaded({}).cluster, "system");
  EXPECT_EQ(loaded({}).config_file, host_.system_config);
}

TEST_F(ConfigTest, RulesBetweenKeysAreChecked) {
  EXPECT_THAT(refusal({"--api", "0.0.0.0:8420"}), HasSubstr("--api-token-file is needed"));
  EXPECT_EQ(loaded({"--api", "0.0.0.0:8420", "--api-token-file", "/t"}).api_token_file, "/t");
  EXPECT_THAT(refusal({"--swarm", "0.0.0.0:8420"}), HasSubstr("cannot both use port 8420"));
  env_["HF_ENDPOINT"] = "http://localhost:8420/";
  EXPECT_THAT(refusal({}), HasSubstr("own API"));
  env_.clear();
  EXPECT_THAT(refusal({}), HasSubstr("--state-dir"));
  EXPECT_THAT(refusal({"--state-dir", "/s"}), HasSubstr("--cache-dir"));
}

TEST_F(ConfigTest, QuestionsAreAnsweredWithTextInsteadOfADaemon) {
  EXPECT_THAT(load({"--version"})->print_and_exit.value(), HasSubstr("shoald "));
  EXPECT_THAT(load({"--help"})->print_and_exit.value(), HasSubstr("--wan-rate-limit"));
  EXPECT_EQ(load({"--print-config-docs"})->print_and_exit, config_docs_markdown());
  EXPECT_EQ(load({"--print-example-config"})->print_and_exit, example_config());
}

TEST_F(ConfigTest, TheExampleFileIsValidAsItIsAndWithEveryKeyTurnedOn) {
  EXPECT_EQ(from_file(example_config()).cluster, "default");
  std::string all;
  std::istringstream lines(example_config());
  for (std::string line; std::getline(lines, line);) {
    const bool key = line.starts_with('#') && line.size() > 1 && line[1] != ' ';
    all += (key ? line.substr(1) : line) + "\n";
  }
  const Config c = from_file(all);
  EXPECT_EQ(c.peers.size(), 2U);
  EXPECT_EQ(c.free_space_floor, 1ULL << 30U);
}

}  // namespace
}  // namespace shoal
