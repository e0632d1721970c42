#include "transport/origin/hub_settings.h"

#include "transport/origin/text.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>

namespace shoal {
namespace {

// Set and not empty; Python's `os.environ.get(...) or` treats the empty value as unset, and so do its users.
std::optional<std::string> get(const Environment& env, const std::string& name) {
  auto value = env(name);
  if (!value || value->empty()) return std::nullopt;
  return value;
}

bool is_true(const std::optional<std::string>& value) {
  if (!value) return false;
  return std::ranges::any_of(std::to_array<std::string_view>({"1", "on", "yes", "true"}),
                             [&](std::string_view word) { return equals_ignoring_case(*value, word); });
}

std::string clean_token(std::string_view token) {
  const auto is_space = [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); };
  while (!token.empty() && is_space(token.front())) token.remove_prefix(1);
  while (!token.empty() && is_space(token.back())) token.remove_suffix(1);
  // Inside it would end the header line early; no token of the Hub has one.
  const bool printable = std::ranges::all_of(token, [](char c) { return c > ' ' && c < '\x7F'; });
  return printable ? std::string(token) : std::string();
}

std::string without_trailing_slashes(std::string text) {
  while (text.size() > 1 && text.ends_with('/')) text.pop_back();
  return text;
}

bool is_name_character(char c) {
  return is_alphanumeric(c) || c == '_';
}

}  // namespace

Environment process_environment() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    if (!value) return std::nullopt;
    return std::string(value);
  };
}

SmallFileReader disk_small_file_reader(std::size_t max_bytes) {
  return [max_bytes](const std::string& path) -> std::optional<std::string> {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rbe"), &std::fclose);
    if (!file) return std::nullopt;
    std::string text(max_bytes + 1, '\0');
    text.resize(std::fread(text.data(), 1, text.size(), file.get()));
    if (std::ferror(file.get()) != 0 || text.size() > max_bytes) return std::nullopt;
    return text;
  };
}

std::string expand_path(std::string_view path, const Environment& env) {
  std::string out;
  if (path == "~" || path.starts_with("~/")) {
    if (const auto home = get(env, "HOME")) {
      out = without_trailing_slashes(*home);
      path.remove_prefix(1);
    }
  }
  for (std::size_t i = 0; i < path.size();) {
    if (path[i] != '$') {
      out += path[i++];
      continue;
    }
    std::string_view name;
    std::size_t end = i + 1;
    if (end < path.size() && path[end] == '{') {
      const std::size_t close = path.find('}', end);
      if (close != std::string_view::npos) {
        name = path.substr(end + 1, close - end - 1);
        end = close + 1;
      }
    } else {
      while (end < path.size() && is_name_character(path[end])) ++end;
      name = path.substr(i + 1, end - i - 1);
    }
    const auto value = name.empty() ? std::nullopt : env(std::string(name));
    out += value ? *value : std::string(path.substr(i, end - i));
    i = end;
  }
  return out;
}

std::string hub_endpoint(const Environment& env) {
  return without_trailing_slashes(get(env, "HF_ENDPOINT").value_or("https://huggingface.co"));
}

std::string hub_home(const Environment& env) {
  if (const auto home = get(env, "HF_HOME")) return expand_path(*home, env);
  if (const auto cache = get(env, "XDG_CACHE_HOME")) return expand_path(*cache, env) + "/huggingface";
  return expand_path("~/.cache/huggingface", env);
}

std::string hub_cache_dir(const Environment& env) {
  for (const char* name : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"}) {
    if (const auto dir = get(env, name)) return expand_path(*dir, env);
  }
  return hub_home(env) + "/hub";
}

std::string hub_token(const Environment& env, const SmallFileReader& read) {
  if (is_true(env("HF_HUB_DISABLE_IMPLICIT_TOKEN"))) return {};
  for (const char* name : {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"}) {
    const auto value = env(name);
    if (!value) continue;
    if (auto token = clean_token(*value); !token.empty()) return token;
  }
  const auto path = get(env, "HF_TOKEN_PATH");
  const auto text = read(path ? expand_path(*path, env) : hub_home(env) + "/token");
  return text ? clean_token(*text) : std::string();
}

std::string tls_ca_file(const Environment& env) {
  return get(env, "SSL_CERT_FILE").value_or("");
}

std::string tls_ca_dir(const Environment& env) {
  return get(env, "SSL_CERT_DIR").value_or("");
}

}  // namespace shoal
