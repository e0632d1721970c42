#include "transport/origin/json_walk.h"

#include <array>

#include <nlohmann/json.hpp>

namespace shoal {
namespace {

using nlohmann::json;

class Adapter final : public json::json_sax_t {
 public:
  explicit Adapter(JsonVisitor& visitor) : visitor_(visitor) {}
  [[nodiscard]] bool malformed() const { return malformed_; }

  bool null() override { return scalar({}); }
  bool boolean(bool value) override { return scalar({value}); }
  bool number_integer(number_integer_t value) override {
    if (value < 0) return scalar({JsonScalar::OtherNumber{}});
    return scalar({static_cast<std::uint64_t>(value)});
  }
  bool number_unsigned(number_unsigned_t value) override { return scalar({std::uint64_t{value}}); }
  bool number_float(number_float_t /*value*/, const string_t& /*text*/) override {
    return scalar({JsonScalar::OtherNumber{}});
  }
  bool string(string_t& value) override { return scalar({std::string_view(value)}); }
  bool binary(binary_t& /*value*/) override { return false; }
  bool key(string_t& value) override {
    key_.swap(value);
    return true;
  }
  bool start_object(std::size_t /*elements*/) override { return open(true); }
  bool end_object() override { return close(true); }
  bool start_array(std::size_t /*elements*/) override { return open(false); }
  bool end_array() override { return close(false); }
  bool parse_error(std::size_t /*position*/, const std::string& /*token*/,
                   const json::exception& /*e*/) override {
    malformed_ = true;
    return false;
  }

 private:
  bool scalar(const JsonScalar& value) {
    const bool go_on = visitor_.on_scalar(depth_, key_, value);
    key_.clear();
    return go_on;
  }
  bool open(bool is_object) {
    if (depth_ == kJsonDepthMax) {
      malformed_ = true;
      return false;
    }
    ++depth_;
    const bool go_on = visitor_.on_open(depth_, key_, is_object);
    key_.clear();
    return go_on;
  }
  bool close(bool is_object) {
    const bool go_on = visitor_.on_close(depth_, is_object);
    --depth_;
    return go_on;
  }

  JsonVisitor& visitor_;
  std::string key_;
  int depth_ = 0;
  bool malformed_ = false;
};

}  // namespace

JsonOutcome walk_json(std::string_view json_text, JsonVisitor& visitor) {
  Adapter adapter(visitor);
  try {
    if (json::sax_parse(json_text, &adapter)) return JsonOutcome::complete;
  } catch (const json::exception&) {
    return JsonOutcome::malformed;
  }
  return adapter.malformed() ? JsonOutcome::malformed : JsonOutcome::stopped;
}

}  // namespace shoal
