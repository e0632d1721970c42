// Reads JSON as a stream of events, without building it: a page of a listing may be large, and only a few of
// its fields matter. Used by the parsers of this folder only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <variant>

namespace shoal {

// One scalar and where it stands.
struct JsonScalar {
  // null, true/false, a whole number >= 0, any other number, or text.
  struct OtherNumber {};
  std::variant<std::monostate, bool, std::uint64_t, OtherNumber, std::string_view> value;

  [[nodiscard]] const std::string_view* text() const { return std::get_if<std::string_view>(&value); }
  [[nodiscard]] const std::uint64_t* number() const { return std::get_if<std::uint64_t>(&value); }
  [[nodiscard]] const bool* boolean() const { return std::get_if<bool>(&value); }
};

class JsonVisitor {
 public:
  virtual ~JsonVisitor() = default;
  // `depth` is the number of open objects and arrays around the value; `key` its name in the innermost object
  // (empty in an array). Return false to stop.
  virtual bool on_scalar(int depth, std::string_view key, const JsonScalar& scalar) = 0;
  // `depth` counts the opened one as well; `key` is the name it stands under.
  virtual bool on_open(int depth, std::string_view key, bool is_object) = 0;
  virtual bool on_close(int depth, bool is_object) = 0;
};

// Deeper nesting is refused: the Hub's answers have 6 levels at most.
inline constexpr int kJsonDepthMax = 32;

enum class JsonOutcome : std::uint8_t { complete, stopped, malformed };
// Exceptions do not leave it.
[[nodiscard]] JsonOutcome walk_json(std::string_view json, JsonVisitor& visitor);

}  // namespace shoal
