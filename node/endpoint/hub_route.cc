#include "node/endpoint/hub_route.h"

#include "node/api/request_target.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace shoal {
namespace {

using Kind = HubRoute::Kind;
using Parts = std::vector<std::string>;

constexpr std::size_t kPartsMax = 128;  // a path of 1024 bytes has fewer in practice, and each costs

std::optional<Parts> split(std::string_view path) {
  Parts parts;
  if (!path.starts_with('/')) return std::nullopt;
  path.remove_prefix(1);
  while (true) {
    const auto slash = std::min(path.find('/'), path.size());
    auto part = percent_decode(path.substr(0, slash), false);
    if (!part || parts.size() >= kPartsMax) return std::nullopt;
    parts.push_back(std::move(*part));
    if (slash == path.size()) return parts;
    path.remove_prefix(slash + 1);
  }
}

std::string join(const Parts& parts, std::size_t from) {
  std::string out;
  for (std::size_t i = from; i < parts.size(); ++i) out += (i == from ? "" : "/") + parts[i];
  return out;
}

std::optional<RepoType> type_of(std::string_view plural) {
  if (!plural.ends_with('s')) return std::nullopt;
  return parse_repo_type(plural.substr(0, plural.size() - 1));
}

std::optional<Kind> question_of(std::string_view word) {
  static constexpr std::array<std::pair<std::string_view, Kind>, 8> kWords{
      {{"revision", Kind::info},
       {"tree", Kind::tree},
       {"paths-info", Kind::paths_info},
       {"refs", Kind::refs},
       {"commits", Kind::commits},
       {"treesize", Kind::treesize},
       {"auth-check", Kind::auth_check},
       {"xet-read-token", Kind::xet_token}}};
  for (const auto& [name, kind] : kWords) {
    if (name == word) return kind;
  }
  return std::nullopt;
}

HubRoute checked(HubRoute route) {
  if (route.revision.empty()) route.revision = "main";
  const bool file = route.kind == Kind::resolve || route.kind == Kind::raw;
  if (!is_valid_repo_name(route.repo.name) || !is_valid_revision(route.revision) ||
      ((file || !route.path.empty()) && !is_valid_repo_path(route.path))) {
    route.kind = Kind::bad;
  }
  return route;
}

// The question about one repo; `parts` from its name on.
HubRoute repo_question(RepoType type, const Parts& parts) {
  HubRoute route;
  route.repo.type = type;
  const bool two = parts.size() > 1 && !parts[1].empty() && !question_of(parts[1]);
  route.repo.name = two ? parts[0] + "/" + parts[1] : parts[0];
  const std::size_t at = two ? 2 : 1;
  if (at >= parts.size() || (at + 1 == parts.size() && parts[at].empty())) {
    route.kind = Kind::info;
    return checked(std::move(route));
  }
  const auto kind = question_of(parts[at]);
  if (!kind) {
    route.kind = Kind::other_api;
    return checked(std::move(route));
  }
  route.kind = *kind;
  if (*kind == Kind::tree || *kind == Kind::treesize) {
    if (at + 1 >= parts.size()) return checked(std::move(route));
    // refs/pr/1 arrives as three parts from JavaScript.
    const bool ref = parts[at + 1] == "refs" && at + 2 < parts.size() &&
                     (parts[at + 2] == "pr" || parts[at + 2] == "convert");
    const std::size_t length = ref ? std::min<std::size_t>(3, parts.size() - at - 1) : 1;
    for (std::size_t i = 0; i < length; ++i) route.revision += (i == 0 ? "" : "/") + parts[at + 1 + i];
    route.path = join(parts, at + 1 + length);
    while (route.path.ends_with('/')) route.path.pop_back();
  } else {
    route.revision = join(parts, at + 1);
  }
  return checked(std::move(route));
}

HubRoute api_route(const Parts& parts) {
  HubRoute route;
  route.kind = Kind::other_api;
  if (parts.size() < 2) return route;
  if (parts[1] == "agent-harnesses" || parts[1] == "telemetry") route.kind = Kind::trifle;
  if (parts[1] == "resolve-cache" && parts.size() >= 6) {
    const auto type = type_of(parts[2]);
    if (!type) return route;
    const std::size_t name = is_commit_id(parts[4]) ? 1 : 2;
    route.kind = Kind::resolve;
    route.repo = {*type, name == 1 ? parts[3] : parts[3] + "/" + parts[4]};
    route.revision = parts[3 + name];
    route.path = join(parts, 4 + name);
    if (!is_commit_id(route.revision)) route.kind = Kind::bad;
    return route.kind == Kind::bad ? route : checked(std::move(route));
  }
  const auto type = type_of(parts[1]);
  if (!type || parts.size() < 3 || parts[2].empty()) return route;
  return repo_question(*type, Parts(parts.begin() + 2, parts.end()));
}

// Where "resolve" or "raw" stands after a repo's name.
std::optional<std::size_t> file_word(const Parts& parts, std::size_t name) {
  for (const std::size_t at : {name + 1, name + 2}) {
    if (at + 2 < parts.size() && (parts[at] == "resolve" || parts[at] == "raw")) return at;
  }
  return std::nullopt;
}

}  // namespace

HubRoute parse_hub_route(std::string_view raw_path) {
  HubRoute route;
  const auto parts = split(raw_path);
  if (!parts) {
    route.kind = Kind::bad;
    return route;
  }
  if (parts->front() == "api") return api_route(*parts);
  std::size_t name = 0;
  if (parts->front() == "datasets" || parts->front() == "spaces") {
    route.repo.type = *type_of(parts->front());
    name = 1;
  }
  const auto word = file_word(*parts, name);
  if (!word) return route;
  route.kind = (*parts)[*word] == "raw" ? Kind::raw : Kind::resolve;
  route.repo.name = (*parts)[name];
  if (*word == name + 2) route.repo.name += "/" + (*parts)[name + 1];
  route.revision = (*parts)[*word + 1];
  route.path = join(*parts, *word + 2);
  return checked(std::move(route));
}

bool lengthen_revision(HubRoute& route) {
  if (route.path.empty()) return false;
  const auto slash = std::min(route.path.find('/'), route.path.size());
  route.revision += "/" + route.path.substr(0, slash);
  route.path.erase(0, std::min(slash + 1, route.path.size()));
  return is_valid_revision(route.revision);
}

}  // namespace shoal
