#include "node/core/status.h"

#include <array>
#include <utility>

namespace shoal {
namespace {

template <typename E, std::size_t N>
std::optional<E> parse_name(const std::array<std::pair<E, std::string_view>, N>& names,
                            std::string_view text) {
  for (const auto& [value, name] : names) {
    if (name == text) return value;
  }
  return std::nullopt;
}

template <typename E, std::size_t N>
std::string_view name_of(const std::array<std::pair<E, std::string_view>, N>& names, E value) {
  for (const auto& [candidate, name] : names) {
    if (candidate == value) return name;
  }
  return "unknown";
}

constexpr std::array kFileStates{std::pair{FileState::queued, std::string_view{"queued"}},
                                 std::pair{FileState::fetching, std::string_view{"fetching"}},
                                 std::pair{FileState::checking, std::string_view{"checking"}},
                                 std::pair{FileState::held, std::string_view{"held"}},
                                 std::pair{FileState::failed, std::string_view{"failed"}}};
constexpr std::array kPullStates{std::pair{PullState::resolving, std::string_view{"resolving"}},
                                 std::pair{PullState::running, std::string_view{"running"}},
                                 std::pair{PullState::done, std::string_view{"done"}},
                                 std::pair{PullState::failed, std::string_view{"failed"}},
                                 std::pair{PullState::cancelled, std::string_view{"cancelled"}}};
constexpr std::array kPolicies{std::pair{SourcePolicy::automatic, std::string_view{"auto"}},
                               std::pair{SourcePolicy::lan_only, std::string_view{"lan"}},
                               std::pair{SourcePolicy::origin_only, std::string_view{"origin"}}};
constexpr std::array kPriorities{std::pair{Priority::high, std::string_view{"high"}},
                                 std::pair{Priority::normal, std::string_view{"normal"}},
                                 std::pair{Priority::low, std::string_view{"low"}}};
constexpr std::array kLevels{std::pair{EventLevel::info, std::string_view{"info"}},
                             std::pair{EventLevel::warning, std::string_view{"warning"}},
                             std::pair{EventLevel::error, std::string_view{"error"}}};

}  // namespace

std::string_view to_string(FileState state) {
  return name_of(kFileStates, state);
}
std::string_view to_string(PullState state) {
  return name_of(kPullStates, state);
}
std::string_view to_string(SourcePolicy policy) {
  return name_of(kPolicies, policy);
}
std::string_view to_string(Priority priority) {
  return name_of(kPriorities, priority);
}
std::string_view to_string(EventLevel level) {
  return name_of(kLevels, level);
}

std::optional<SourcePolicy> parse_source_policy(std::string_view text) {
  return parse_name(kPolicies, text);
}
std::optional<Priority> parse_priority(std::string_view text) {
  return parse_name(kPriorities, text);
}

double percent(std::uint64_t done, std::uint64_t size) {
  if (done >= size) return 100.0;
  // Sizes are at most 2^46 (kMaxBlobSize), so the product stays below 2^56.
  return static_cast<double>(done * 1000 / size) / 10.0;
}

}  // namespace shoal
