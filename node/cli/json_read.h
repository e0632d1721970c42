// Fields of a JSON object, forgiving: what is missing or of another type counts as not there.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

namespace shoal::cli {

inline std::string text_of(const nlohmann::ordered_json& row, const char* name) {
  if (!row.is_object()) return {};
  const auto found = row.find(name);
  return found != row.end() && found->is_string() ? found->get<std::string>() : std::string();
}
inline std::uint64_t number_of(const nlohmann::ordered_json& row, const char* name) {
  if (!row.is_object()) return 0;
  const auto found = row.find(name);
  return found != row.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}
inline std::optional<std::int64_t> optional_number(const nlohmann::ordered_json& row, const char* name) {
  if (!row.is_object()) return std::nullopt;
  const auto found = row.find(name);
  if (found == row.end() || !found->is_number_integer()) return std::nullopt;
  return found->get<std::int64_t>();
}
inline double real_of(const nlohmann::ordered_json& row, const char* name) {
  if (!row.is_object()) return 0;
  const auto found = row.find(name);
  return found != row.end() && found->is_number() ? found->get<double>() : 0;
}
inline bool flag_of(const nlohmann::ordered_json& row, const char* name) {
  if (!row.is_object()) return false;
  const auto found = row.find(name);
  return found != row.end() && found->is_boolean() && found->get<bool>();
}
// The array of that name, or an empty one.
inline const nlohmann::ordered_json& rows_of(const nlohmann::ordered_json& body, const char* name) {
  static const nlohmann::ordered_json kNone = nlohmann::ordered_json::array();
  if (!body.is_object()) return kNone;
  const auto found = body.find(name);
  return found != body.end() && found->is_array() ? *found : kNone;
}

}  // namespace shoal::cli
