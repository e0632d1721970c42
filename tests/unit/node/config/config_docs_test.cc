// The table of keys, the struct's own defaults and the written page must say the same.
#include "node/config/config.h"
#include "node/config/config_table.h"

#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

namespace shoal {
namespace {

TEST(ConfigTable, NamesFollowOneRuleAndAreUnique) {
  std::set<std::string_view> seen;
  for (const ConfigKey& key : config_table()) {
    std::string option = "--";
    std::string variable = "SHOAL_";
    for (const char c : key.name) {
      option += c == '_' ? '-' : c;
      variable += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    }
    EXPECT_EQ(key.option, option);
    // SHOAL_API is the client's URL.
    EXPECT_EQ(key.environment, key.name == "api" ? "SHOAL_API_LISTEN" : variable);
    EXPECT_TRUE(seen.insert(key.name).second) << key.name;
    EXPECT_TRUE(key.help.ends_with('.')) << key.name;
    EXPECT_EQ(key.list, key.clear != nullptr) << key.name;
  }
}

TEST(ConfigTable, WrittenDefaultsAreTheRealOnes) {
  for (const ConfigKey& key : config_table()) {
    if (key.list || key.type == KeyType::path || key.name == "node_name") continue;
    Config written;
    const Config real;
    ASSERT_TRUE(key.apply(written, key, std::string(key.default_text), {})) << key.name;
    EXPECT_EQ(written.api, real.api);
    EXPECT_EQ(written.swarm, real.swarm);
    EXPECT_EQ(written.cluster, real.cluster);
    EXPECT_EQ(written.lsd, real.lsd);
    EXPECT_EQ(written.hub, real.hub);
    EXPECT_EQ(written.origin_connections, real.origin_connections);
    EXPECT_EQ(written.wan_rate_limit, real.wan_rate_limit);
    EXPECT_EQ(written.free_space_floor, real.free_space_floor);
    EXPECT_EQ(written.log_level, real.log_level);
    EXPECT_EQ(written.log_format, real.log_format);
  }
}

TEST(ConfigDocs, TheWrittenPageIsWhatTheProgramPrints) {
  std::ifstream in(std::string(SHOAL_DOCS_DIR) + "/configuration.md");
  std::ostringstream page;
  page << in.rdbuf();
  EXPECT_EQ(page.str(), config_docs_markdown())
      << "write it again: shoald --print-config-docs > docs/configuration.md";
}

}  // namespace
}  // namespace shoal
