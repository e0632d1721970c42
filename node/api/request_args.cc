#include "node/api/request_args.h"

#include <algorithm>
#include <charconv>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace shoal {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kDepthMax = 8;  // the deepest request has two levels
constexpr std::size_t kPathBytesMax = 4096;
constexpr std::chrono::seconds kBusyMax{366 * 86400};

Unexpected<Error> bad(std::string message) {
  return fail(Code::invalid, std::move(message));
}

// The body as an object with none but the known fields.
Result<Json> read_object(const HttpRequest& request, std::initializer_list<std::string_view> known) {
  // A page of another site can send text/plain without asking first, JSON it cannot.
  const auto type = request.header("content-type");
  if (type.substr(0, type.find(';')) != "application/json") {
    return bad("the request needs a JSON body with Content-Type: application/json");
  }
  bool too_deep = false;
  const auto watch_depth = [&](int depth, Json::parse_event_t, Json&) {
    too_deep = too_deep || depth > kDepthMax;
    return !too_deep;
  };
  Json body = Json::parse(request.body, watch_depth, false);
  if (body.is_discarded() || too_deep) return bad("the body is not valid JSON");
  if (!body.is_object()) return bad("the body must be a JSON object");
  for (const auto& [name, value] : body.items()) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    std::string text = "unknown field '" + name.substr(0, 64) + "'; known are";
    for (const auto field : known) text += " " + std::string(field);
    return bad(std::move(text));
  }
  return body;
}

Result<std::string> text_field(const Json& body, const char* name, std::string otherwise) {
  const auto found = body.find(name);
  if (found == body.end() || found->is_null()) return otherwise;
  if (!found->is_string()) return bad(std::string("'") + name + "' must be a string");
  return found->get<std::string>();
}

Result<std::vector<std::string>> globs_field(const Json& body, const char* name) {
  std::vector<std::string> out;
  const auto found = body.find(name);
  if (found == body.end() || found->is_null()) return out;
  if (!found->is_array()) return bad(std::string("'") + name + "' must be an array of strings");
  if (found->size() > kGlobsMax) return bad(std::string("'") + name + "' has more than 256 entries");
  for (const Json& glob : *found) {
    if (!glob.is_string()) return bad(std::string("'") + name + "' must be an array of strings");
    auto text = glob.get<std::string>();
    if (text.empty() || text.size() > kGlobBytesMax || text.find('\0') != std::string::npos) {
      return bad(std::string("'") + name + "' has an entry that is empty, too long or contains NUL");
    }
    out.push_back(std::move(text));
  }
  return out;
}

Result<RepoType> repo_type(const std::string& text) {
  if (const auto type = parse_repo_type(text)) return *type;
  return bad("'" + text.substr(0, 64) + "' is no repo type: it is model, dataset or space");
}

Result<RepoRef> repo_ref(const std::string& type, const std::string& name) {
  auto parsed = repo_type(type);
  if (!parsed) return fail(parsed.error());
  if (!is_valid_repo_name(name)) {
    return bad("'" + name.substr(0, 200) + "' is no repo name: it looks like org/name");
  }
  return RepoRef{*parsed, name};
}

Result<RepoRef> repo_fields(const Json& body) {
  auto type = text_field(body, "type", "model");
  if (!type) return fail(type.error());
  auto name = text_field(body, "repo", "");
  if (!name) return fail(name.error());
  if (name->empty()) return bad("'repo' is missing");
  return repo_ref(*type, *name);
}

Result<std::string> valid_revision(std::string revision) {
  if (is_valid_revision(revision)) return revision;
  return bad("'" + revision.substr(0, 200) + "' is no revision: it is a branch, a tag or a commit");
}

}  // namespace

Result<PullRequest> read_pull_request(const HttpRequest& request) {
  auto body = read_object(request, {"repo", "type", "revision", "include", "exclude", "source", "priority"});
  if (!body) return fail(body.error());
  PullRequest out;
  auto repo = repo_fields(*body);
  if (!repo) return fail(repo.error());
  out.repo = std::move(*repo);

  auto revision = text_field(*body, "revision", "main");
  if (revision) revision = valid_revision(std::move(*revision));
  if (!revision) return fail(revision.error());
  out.revision = std::move(*revision);

  auto include = globs_field(*body, "include");
  if (!include) return fail(include.error());
  out.include = std::move(*include);
  auto exclude = globs_field(*body, "exclude");
  if (!exclude) return fail(exclude.error());
  out.exclude = std::move(*exclude);

  auto source = text_field(*body, "source", "auto");
  if (!source) return fail(source.error());
  const auto policy = parse_source_policy(*source);
  if (!policy) return bad("'source' must be auto, lan or origin");
  out.source = *policy;

  auto priority_text = text_field(*body, "priority", "normal");
  if (!priority_text) return fail(priority_text.error());
  const auto priority = parse_priority(*priority_text);
  if (!priority) return bad("'priority' must be high, normal or low");
  out.priority = *priority;
  return out;
}

Result<SeedRequest> read_seed_request(const HttpRequest& request) {
  auto body = read_object(request, {"path", "repo", "type"});
  if (!body) return fail(body.error());
  if (body->contains("path") == body->contains("repo")) return bad("give either 'path' or 'repo'");
  SeedRequest out;
  if (body->contains("repo")) {
    auto repo = repo_fields(*body);
    if (!repo) return fail(repo.error());
    out.repo = std::move(*repo);
    return out;
  }
  auto path = text_field(*body, "path", "");
  if (!path) return fail(path.error());
  if (!path->starts_with('/') || path->size() > kPathBytesMax || path->find('\0') != std::string::npos) {
    return bad("'path' must be an absolute path on the node's machine");
  }
  out.path = std::move(*path);
  return out;
}

Result<std::optional<RepoRef>> read_verify_request(const HttpRequest& request) {
  if (request.body.empty()) return std::optional<RepoRef>{};
  auto body = read_object(request, {"repo", "type"});
  if (!body) return fail(body.error());
  if (!body->contains("repo")) return std::optional<RepoRef>{};
  auto repo = repo_fields(*body);
  if (!repo) return fail(repo.error());
  return std::optional<RepoRef>(std::move(*repo));
}

Result<LoadRequest> read_load_request(const HttpRequest& request) {
  auto body = read_object(request, {"busy", "for_s"});
  if (!body) return fail(body.error());
  LoadRequest out;
  const auto busy = body->find("busy");
  if (busy == body->end() || !busy->is_boolean()) return bad("'busy' must be true or false");
  out.busy = busy->get<bool>();
  const auto duration = body->find("for_s");
  if (duration == body->end() || duration->is_null()) return out;
  const bool positive = duration->is_number_integer() && *duration > 0;
  if (!positive || *duration > kBusyMax.count()) {
    return bad("'for_s' must be a whole number of seconds, at most a year");
  }
  if (!out.busy) return bad("'for_s' goes with busy: true only");
  out.duration = std::chrono::seconds(duration->get<std::int64_t>());
  return out;
}

Result<GcRequest> read_gc_request(const HttpRequest& request) {
  auto body = read_object(request, {"to", "dry_run", "even_last_copies"});
  if (!body) return fail(body.error());
  GcRequest out;
  if (const auto to = body->find("to"); to != body->end() && !to->is_null()) {
    if (!to->is_number_unsigned()) return bad("'to' must be a number of bytes");
    out.to = to->get<std::uint64_t>();
  }
  for (const auto& [name, place] :
       {std::pair{"dry_run", &out.dry_run}, std::pair{"even_last_copies", &out.even_last_copies}}) {
    const auto flag = body->find(name);
    if (flag == body->end() || flag->is_null()) continue;
    if (!flag->is_boolean()) return bad(std::string("'") + name + "' must be true or false");
    *place = flag->get<bool>();
  }
  return out;
}

Result<ExportRequest> read_export_request(const HttpRequest& request) {
  auto body = read_object(request, {"repo", "type", "revision", "path"});
  if (!body) return fail(body.error());
  ExportRequest out;
  auto repo = repo_fields(*body);
  if (!repo) return fail(repo.error());
  out.repo = std::move(*repo);
  auto revision = text_field(*body, "revision", "");
  if (revision && !revision->empty()) revision = valid_revision(std::move(*revision));
  if (!revision) return fail(revision.error());
  out.revision = std::move(*revision);
  auto path = text_field(*body, "path", "");
  if (!path) return fail(path.error());
  if (!is_valid_repo_path(*path)) return bad("'path' must be the path of a file in the repo");
  out.path = std::move(*path);
  return out;
}

Result<void> read_empty_request(const HttpRequest& request) {
  const auto body = read_object(request, {});
  return body ? Result<void>() : Result<void>(fail(body.error()));
}

Result<std::chrono::seconds> read_invite_request(const HttpRequest& request) {
  const auto body = read_object(request, {"for_s"});
  if (!body) return fail(body.error());
  const auto life = body->find("for_s");
  if (life == body->end() || life->is_null()) return std::chrono::seconds(std::chrono::hours(1));
  // The authority has the bounds; here only what fits its type.
  if (!life->is_number_integer() || *life < 1 || *life > kBusyMax.count())
    return bad("'for_s' must be a whole number of seconds");
  return std::chrono::seconds(life->get<std::int64_t>());
}

Result<ClusterJoin> read_cluster_join_request(const HttpRequest& request) {
  const auto body = read_object(request, {"token", "at"});
  if (!body) return fail(body.error());
  ClusterJoin out;
  auto token = text_field(*body, "token", "");
  if (!token) return fail(token.error());
  if (token->empty() || token->size() > 1024) return bad("'token' is missing, or too long to be one");
  out.token = std::move(*token);
  auto at = text_field(*body, "at", "");
  if (!at) return fail(at.error());
  std::string_view rest = *at;
  // "[fd00::7]:8422", "host:8422", "host".
  const auto bracket = rest.starts_with('[') ? rest.find(']') : std::string_view::npos;
  const auto colon = rest.find(':', bracket == std::string_view::npos ? 0 : bracket);
  out.host = bracket == std::string_view::npos ? rest.substr(0, colon) : rest.substr(1, bracket - 1);
  out.port = kJoinPort;
  if (colon != std::string_view::npos) {
    const std::string_view port = rest.substr(colon + 1);
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), out.port);
    if (error != std::errc{} || end != port.data() + port.size()) out.port = 0;
  }
  const bool plain = std::all_of(out.host.begin(), out.host.end(),
                                 [](unsigned char c) { return c > 0x20 && c < 0x7f && c != '/'; });
  if (out.host.empty() || out.host.size() > 253 || !plain || out.port == 0)
    return bad("'at' must be the HOST:PORT that `shoal cluster invite` printed");
  return out;
}

Result<std::string> read_revoke_request(const HttpRequest& request) {
  const auto body = read_object(request, {"node"});
  if (!body) return fail(body.error());
  auto node = text_field(*body, "node", "");
  if (!node) return fail(node.error());
  if (node->empty() || node->size() > limits::kNodeNameBytes)
    return bad("'node' must be a node's name or id, as `shoal cluster status` shows them");
  return node;
}

Result<RepoRef> read_pin_request(const HttpRequest& request) {
  auto body = read_object(request, {"repo", "type"});
  if (!body) return fail(body.error());
  return repo_fields(*body);
}

Result<RemoveRequest> read_remove_request(const std::string& type, const std::string& repo,
                                          const HttpRequest& request) {
  if (auto known = check_query(request, {"revision"}); !known) return fail(known.error());
  auto ref = repo_ref(type, repo);
  if (!ref) return fail(ref.error());
  RemoveRequest out{std::move(*ref), {}};
  if (auto text = request.query_value("revision")) {
    auto revision = valid_revision(std::move(*text));
    if (!revision) return fail(revision.error());
    out.revision = std::move(*revision);
  }
  return out;
}

Result<std::int64_t> read_id(const std::string& text) {
  std::int64_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc{} || end != text.data() + text.size() || id <= 0) {
    return bad("'" + text.substr(0, 64) + "' is no id: it is a positive number");
  }
  return id;
}

Result<void> check_query(const HttpRequest& request, std::initializer_list<std::string_view> known) {
  for (const auto& [name, value] : request.query) {
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      return bad("unknown query field '" + name.substr(0, 64) + "'");
    }
  }
  return {};
}

Result<std::size_t> read_limit(const HttpRequest& request, std::size_t normal, std::size_t max) {
  const auto text = request.query_value("limit");
  if (!text) return normal;
  std::size_t limit = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), limit);
  if (error != std::errc{} || end != text->data() + text->size() || limit == 0 || limit > max) {
    return bad("'limit' must be a number from 1 to " + std::to_string(max));
  }
  return limit;
}

Result<std::chrono::milliseconds> read_wait(const HttpRequest& request) {
  const auto text = request.query_value("wait_ms");
  if (!text) return std::chrono::milliseconds(0);
  std::int64_t wait = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), wait);
  if (error != std::errc{} || end != text->data() + text->size() || wait < 0 || wait > kWaitMax.count()) {
    return bad("'wait_ms' must be a number from 0 to " + std::to_string(kWaitMax.count()));
  }
  return std::chrono::milliseconds(wait);
}

Result<RepoFilter> read_repo_filter(const HttpRequest& request) {
  RepoFilter out;
  if (auto name = request.query_value("repo")) {
    if (!is_valid_repo_name(*name))
      return bad("'" + name->substr(0, 200) + "' is no repo name: it looks like org/name");
    out.repo = std::move(*name);
  }
  if (const auto text = request.query_value("type")) {
    auto type = repo_type(*text);
    if (!type) return fail(type.error());
    out.type = *type;
  }
  return out;
}

}  // namespace shoal
