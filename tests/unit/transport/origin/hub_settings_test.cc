#include "transport/origin/hub_settings.h"

#include <filesystem>
#include <fstream>
#include <map>

#include <gtest/gtest.h>
#include <unistd.h>

namespace shoal {
namespace {

using Variables = std::map<std::string, std::string>;

Environment environment(Variables variables) {
  return [variables = std::move(variables)](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  };
}

SmallFileReader files(Variables contents) {
  return environment(std::move(contents));
}

TEST(HubSettings, FindTheEndpoint) {
  EXPECT_EQ(hub_endpoint(environment({})), "https://huggingface.co");
  EXPECT_EQ(hub_endpoint(environment({{"HF_ENDPOINT", ""}})), "https://huggingface.co");
  EXPECT_EQ(hub_endpoint(environment({{"HF_ENDPOINT", "http://127.0.0.1:8420//"}})), "http://127.0.0.1:8420");
}

TEST(HubSettings, FindTheCacheByTheHubsRules) {
  const struct {
    Variables variables;
    const char* dir;
  } rows[] = {
      {{{"HOME", "/home/u"}}, "/home/u/.cache/huggingface/hub"},
      {{{"HOME", "/home/u/"}}, "/home/u/.cache/huggingface/hub"},
      {{{"HOME", "/h"}, {"XDG_CACHE_HOME", "/x"}}, "/x/huggingface/hub"},
      {{{"HOME", "/h"}, {"XDG_CACHE_HOME", "/x"}, {"HF_HOME", "~/hf"}}, "/h/hf/hub"},
      {{{"HOME", "/h"}, {"HF_HOME", "/a"}, {"HUGGINGFACE_HUB_CACHE", "$HOME/b"}}, "/h/b"},
      {{{"HUGGINGFACE_HUB_CACHE", "/b"}, {"HF_HUB_CACHE", "/c"}}, "/c"},
      {{{"HUGGINGFACE_HUB_CACHE", "/b"}, {"HF_HUB_CACHE", ""}}, "/b"},
  };
  for (const auto& row : rows) EXPECT_EQ(hub_cache_dir(environment(row.variables)), row.dir);
}

TEST(HubSettings, FindTheTokenInTheOrderOfTheHubsTools) {
  const Variables disk = {{"/h/.cache/huggingface/token", "hf_home\n"}, {"/t", " hf_path \r\n"}};
  const auto token = [&](Variables variables) {
    variables.emplace("HOME", "/h");
    return hub_token(environment(std::move(variables)), files(disk));
  };
  EXPECT_EQ(token({}), "hf_home");
  EXPECT_EQ(token({{"HF_TOKEN_PATH", "/t"}}), "hf_path");
  EXPECT_EQ(token({{"HF_TOKEN_PATH", "/missing"}}), "");
  EXPECT_EQ(token({{"HUGGING_FACE_HUB_TOKEN", "hf_old"}}), "hf_old");
  EXPECT_EQ(token({{"HUGGING_FACE_HUB_TOKEN", "hf_old"}, {"HF_TOKEN", "\nhf_new "}}), "hf_new");
  EXPECT_EQ(token({{"HF_TOKEN", " \n"}, {"HUGGING_FACE_HUB_TOKEN", "hf_old"}}), "hf_old");
  EXPECT_EQ(token({{"HF_TOKEN", "hf_new"}, {"HF_HUB_DISABLE_IMPLICIT_TOKEN", "YES"}}), "");
  EXPECT_EQ(token({{"HF_TOKEN", "hf_new"}, {"HF_HUB_DISABLE_IMPLICIT_TOKEN", "0"}}), "hf_new");
  EXPECT_EQ(hub_token(environment({{"HF_HOME", "/x"}}), files({{"/x/token", ""}})), "");
  EXPECT_EQ(hub_token(environment({{"HF_HOME", "/x"}}), files({{"/x/token", "a\nX-Evil: 1"}})), "");
}

TEST(HubSettings, ExpandPathsAsPythonDoes) {
  const auto env = environment({{"HOME", "/h"}, {"A", "1"}, {"A_B", "2"}, {"EMPTY", ""}});
  EXPECT_EQ(expand_path("~", env), "/h");
  EXPECT_EQ(expand_path("~/x", env), "/h/x");
  EXPECT_EQ(expand_path("~other/x", env), "~other/x");
  EXPECT_EQ(expand_path("/$A/${A}b/$A_B/$NO/${NO}/$/${", env), "/1/1b/2/$NO/${NO}/$/${");
  EXPECT_EQ(expand_path("a$EMPTY", env), "a");
  EXPECT_EQ(expand_path("~/x", environment({})), "~/x");
}

TEST(HubSettings, ReadNoLongFile) {
  const std::string path =
      std::filesystem::temp_directory_path() / ("shoal-token-" + std::to_string(::getpid()));
  std::ofstream(path) << "12345678";
  EXPECT_EQ(disk_small_file_reader(8)(path), "12345678");
  EXPECT_FALSE(disk_small_file_reader(7)(path));
  std::filesystem::remove(path);
  EXPECT_FALSE(disk_small_file_reader()(path));
}

TEST(HubSettings, FindTheTlsRoots) {
  EXPECT_EQ(tls_ca_file(environment({{"SSL_CERT_FILE", "/ca.pem"}})), "/ca.pem");
  EXPECT_EQ(tls_ca_dir(environment({})), "");
}

}  // namespace
}  // namespace shoal
