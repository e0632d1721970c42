// Endpoint, token, cache folder and TLS roots as the Hub's own tools find them (reference sections 9 and 14).
//
// Pure functions of an environment and a file reader, so that tests need neither; nothing is cached.
#pragma once

#include "node/core/result.h"

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace shoal {

// The value of an environment variable; nullopt when it is not set.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;
// The content of a small file; nullopt when it cannot be read.
using SmallFileReader = std::function<std::optional<std::string>(const std::string& path)>;

[[nodiscard]] Environment process_environment();
// Reads at most `max_bytes`; a longer file is refused, a token is some dozens of bytes.
[[nodiscard]] SmallFileReader disk_small_file_reader(std::size_t max_bytes = 4096);

// HF_ENDPOINT without its trailing slashes, else the public Hub.
[[nodiscard]] std::string hub_endpoint(const Environment& env);

// HF_TOKEN, HUGGING_FACE_HUB_TOKEN, then the file HF_TOKEN_PATH, then `$HF_HOME/token`. Outer blanks and line
// ends are cut; an empty one counts as none, as does one with a control character or blank inside.
// HF_HUB_DISABLE_IMPLICIT_TOKEN turns all of them off. Empty: none.
[[nodiscard]] std::string hub_token(const Environment& env, const SmallFileReader& read);

// HF_HOME, else `$XDG_CACHE_HOME/huggingface`, else `~/.cache/huggingface`. `~` and `$VAR` are expanded.
[[nodiscard]] std::string hub_home(const Environment& env);

// HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, else `hub` in hub_home().
[[nodiscard]] std::string hub_cache_dir(const Environment& env);

// SSL_CERT_FILE and SSL_CERT_DIR; empty: the system's store. libcurl itself does not look at them.
[[nodiscard]] std::string tls_ca_file(const Environment& env);
[[nodiscard]] std::string tls_ca_dir(const Environment& env);

// `~`, `~/x`, `$VAR` and `${VAR}`; an unset variable stays as it is written, as in Python's expandvars.
[[nodiscard]] std::string expand_path(std::string_view path, const Environment& env);

}  // namespace shoal
