// The configuration file (node/config): TOML, then each value as its key's type.
#include "node/config/config_file.h"
#include "node/config/config_table.h"
#include "tests/fuzz/fuzz_target.h"

#include <algorithm>

using namespace shoal;

SHOAL_FUZZ_TARGET(config, 2) {
  const auto values = parse_config_text(fuzz::as_text(input), "fuzz.toml");
  if (!values) {
    FUZZ_REQUIRE(values.error().code == Code::invalid && values.error().message.starts_with("fuzz.toml:"));
    return;
  }
  Config config;
  const ValueContext context{"/etc/shoal", "/home/someone"};
  for (const FileValue& value : *values) {
    const auto key = std::ranges::find(config_table(), value.key, &ConfigKey::name);
    FUZZ_REQUIRE(key != config_table().end() && (key->list || value.values.size() == 1));
    for (const std::string& text : value.values) {
      const auto done = key->apply(config, *key, text, context);
      if (!done) FUZZ_REQUIRE(done.error().code == Code::invalid && !done.error().message.empty());
    }
  }
  // Places stay absolute, and what becomes an address has no end hidden in it.
  FUZZ_REQUIRE(config.state_dir.empty() || config.state_dir.is_absolute());
  FUZZ_REQUIRE(config.cache_dir.empty() || config.cache_dir.is_absolute());
  for (const std::string& text : {config.api.address, config.swarm.address, config.join_listen.address})
    FUZZ_REQUIRE(text.find('\0') == std::string::npos);
  FUZZ_REQUIRE(!config.node_name.empty() || config.node_name.size() <= 64);
}
