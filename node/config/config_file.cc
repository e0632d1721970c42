#include "node/config/config_file.h"

#include "node/config/config_table.h"
#include "node/config/nearest_name.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>
#include <sstream>
#include <system_error>

#include <toml++/toml.h>

namespace shoal {
namespace {

constexpr std::size_t kFileBytesMax = 1024 * 1024;  // the example file has a few KiB

std::string at(const std::string& name, unsigned line) {
  return name + ":" + std::to_string(line) + ": ";
}

// A value of the file as text, if its TOML type fits the key.
std::optional<std::string> scalar_text(const toml::node& node, const ConfigKey& key) {
  switch (key.type) {
    case KeyType::boolean:
      if (const auto* v = node.as_boolean()) return v->get() ? "true" : "false";
      return std::nullopt;
    case KeyType::integer:
      if (const auto* v = node.as_integer()) return std::to_string(v->get());
      return std::nullopt;
    case KeyType::size:
    case KeyType::rate:
      if (const auto* v = node.as_integer()) return std::to_string(v->get());
      [[fallthrough]];
    default:
      if (const auto* v = node.as_string()) return v->get();
      return std::nullopt;
  }
}

std::string wanted_form(const ConfigKey& key) {
  switch (key.type) {
    case KeyType::boolean:
      return "true or false, without quotes";
    case KeyType::integer:
      return "a number, without quotes";
    default:
      return key.list ? "an array of texts in quotes" : "a text in quotes";
  }
}

Unexpected<Error> unknown_key(const std::string& name, unsigned line, std::string_view key) {
  std::vector<std::string> known;
  for (const ConfigKey& k : config_table()) known.emplace_back(k.name);
  std::string text = at(name, line) + "unknown key '" + std::string(key) + "'";
  if (const auto near = nearest_name(key, known)) {
    text += "; did you mean '" + *near + "'?";
  } else {
    text += "; `shoald --print-config-docs` lists the known ones";
  }
  return fail(Code::invalid, std::move(text));
}

Result<FileValue> read_value(const std::string& name, const ConfigKey& key, const toml::node& node) {
  FileValue out{std::string(key.name), node.source().begin.line, {}};
  const auto mismatch = [&](unsigned line) {
    return fail(Code::invalid, at(name, line) + std::string(key.name) + " must be " + wanted_form(key));
  };
  if (const auto* array = node.as_array(); array != nullptr && key.list) {
    for (const toml::node& element : *array) {
      auto text = scalar_text(element, key);
      if (!text) return mismatch(element.source().begin.line);
      out.values.push_back(std::move(*text));
    }
    return out;
  }
  auto text = scalar_text(node, key);
  if (!text || key.list) return mismatch(out.line);
  out.values.push_back(std::move(*text));
  return out;
}

}  // namespace

Result<std::vector<FileValue>> parse_config_text(std::string_view text, const std::string& name) {
  toml::table table;
  try {
    table = toml::parse(text, name);
  } catch (const toml::parse_error& e) {
    return fail(Code::invalid,
                at(name, e.source().begin.line) + "not valid TOML: " + std::string(e.description()));
  }
  std::vector<FileValue> out;
  for (const auto& [key, node] : table) {
    const auto known = std::find_if(config_table().begin(), config_table().end(),
                                    [&](const ConfigKey& k) { return k.name == key.str(); });
    if (known == config_table().end()) return unknown_key(name, key.source().begin.line, key.str());
    auto value = read_value(name, *known, node);
    if (!value) return fail(value.error());
    out.push_back(std::move(*value));
  }
  return out;
}

Result<std::vector<FileValue>> read_config_file(const std::filesystem::path& path) {
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  std::error_code ec;
  if (!in || std::filesystem::is_directory(path, ec)) {
    const int raw = errno != 0 ? errno : EISDIR;
    return fail(
        Code::io,
        "cannot read the configuration file " + path.string() + ": " + std::generic_category().message(raw),
        raw);
  }
  std::string text(kFileBytesMax + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() > kFileBytesMax) {
    return fail(Code::invalid, path.string() + " is larger than 1 MiB and cannot be a configuration file");
  }
  return parse_config_text(text, path.string());
}

}  // namespace shoal
