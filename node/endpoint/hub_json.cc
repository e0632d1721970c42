#include "node/endpoint/hub_json.h"

#include "node/api/request_target.h"
#include "node/core/json_depth.h"

#include <algorithm>
#include <array>
#include <charconv>

#include <nlohmann/json.hpp>

namespace shoal {
namespace {

using Json = nlohmann::ordered_json;

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json entry_json(const ListingEntry& entry) {
  if (entry.folder) {
    return {{"type", "directory"}, {"oid", entry.oid}, {"size", 0}, {"path", entry.path}};
  }
  Json out{{"type", "file"}, {"oid", entry.oid}, {"size", entry.blob.size}, {"path", entry.path}};
  if (entry.pointer_size > 0) {
    out["lfs"] = {{"oid", entry.blob.etag()}, {"size", entry.blob.size}, {"pointerSize", entry.pointer_size}};
  }
  return out;
}

Json siblings_json(const RepoListing& listing, bool blobs) {
  Json siblings = Json::array();
  for (const ListingEntry& entry : listing.entries()) {
    if (entry.folder) continue;
    Json sibling{{"rfilename", entry.path}};
    if (blobs) {
      sibling["size"] = entry.blob.size;
      sibling["blobId"] = entry.oid;
      if (entry.pointer_size > 0) {
        sibling["lfs"] = {
            {"sha256", entry.blob.etag()}, {"size", entry.blob.size}, {"pointerSize", entry.pointer_size}};
      }
    }
    siblings.push_back(std::move(sibling));
  }
  return siblings;
}

std::vector<std::string> expanded(const Query& query) {
  std::vector<std::string> fields;
  for (const auto& [name, value] : query) {
    if (name == "expand" || name == "expand[]") fields.push_back(value);
  }
  return fields;
}

// Fields of the plain description: when one is missing there, the Hub would leave it out as well.
bool is_plain_field(std::string_view field) {
  static constexpr std::array<std::string_view, 22> kPlain{
      "sha",        "author",      "private", "gated",           "disabled",     "lastModified",
      "createdAt",  "siblings",    "tags",    "downloads",       "likes",        "usedStorage",
      "cardData",   "config",      "modelId", "pipeline_tag",    "library_name", "mask_token",
      "widgetData", "model-index", "sdk",     "transformersInfo"};
  return std::ranges::find(kPlain, field) != kPlain.end();
}

std::optional<std::string> value_of(const Query& query, std::string_view name) {
  for (const auto& [key, value] : query) {
    if (key == name) return value;
  }
  return std::nullopt;
}

std::optional<std::size_t> count_of(std::string_view text) {
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

void drop_xet(Json& json) {
  if (json.is_object()) {
    json.erase("xetHash");
    json.erase("xet");
  }
  if (json.is_structured()) {
    for (auto& child : json) drop_xet(child);
  }
}

}  // namespace

bool is_true(std::string_view value) {
  return value == "1" ||
         (value.size() == 4 && std::ranges::equal(value, std::string_view("true"), [](char a, char b) {
            return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b;
          }));
}

bool query_flag(const Query& query, std::string_view name) {
  const auto value = value_of(query, name);
  return value && is_true(*value);
}

std::optional<std::string> info_json(const RepoListing& listing, const Query& query) {
  if (query_flag(query, "securityStatus")) return std::nullopt;
  const auto info = Json::parse(listing.info, nullptr, false);
  for (const std::string& field : expanded(query)) {
    if (!info.contains(field) && !is_plain_field(field)) return std::nullopt;
  }
  return info_json_as_known(listing, query);
}

std::string info_json_as_known(const RepoListing& listing, const Query& query) {
  Json info = Json::parse(listing.info, nullptr, false);
  info["siblings"] = siblings_json(listing, query_flag(query, "blobs"));
  const auto fields = expanded(query);
  if (fields.empty()) return dump(info);
  Json chosen = Json::object();
  for (auto it = info.begin(); it != info.end(); ++it) {
    const bool wanted =
        it.key() == "_id" || it.key() == "id" || std::ranges::find(fields, it.key()) != fields.end();
    if (wanted) chosen[it.key()] = it.value();
  }
  return dump(chosen);
}

std::optional<TreePage> tree_page(const RepoListing& listing, std::string_view folder, const Query& query) {
  const auto entries = listing.below(folder, query_flag(query, "recursive"));
  std::size_t limit = kTreePageMax;
  if (const auto asked = value_of(query, "limit")) {
    const auto n = count_of(*asked);
    if (!n || *n == 0) return std::nullopt;
    limit = std::min(*n, kTreePageMax);
  }
  std::size_t from = 0;
  if (const auto cursor = value_of(query, "cursor")) {
    const auto n = count_of(*cursor);
    if (!n || *n > entries.size()) return std::nullopt;
    from = *n;
  }
  const std::size_t end = std::min(entries.size(), from + limit);
  Json page = Json::array();
  for (std::size_t i = from; i < end; ++i) page.push_back(entry_json(*entries[i]));
  TreePage out{dump(page), std::nullopt};
  if (end == entries.size()) return out;
  std::string next;
  for (const auto& [name, value] : query) {
    if (name != "cursor") next += percent_encode(name, false) + "=" + percent_encode(value, false) + "&";
  }
  out.next_query = next + "cursor=" + std::to_string(end);
  return out;
}

std::optional<PathsQuestion> read_paths_question(std::string_view content_type, std::string_view body) {
  PathsQuestion question;
  if (content_type.find("json") != std::string_view::npos) {
    if (nests_deeper_than(body, kJsonNestingMax)) return std::nullopt;
    const Json json = Json::parse(body, nullptr, false);
    if (!json.is_object()) return std::nullopt;
    if (const auto expand = json.find("expand"); expand != json.end()) {
      question.expand = (expand->is_boolean() && expand->get<bool>()) ||
                        (expand->is_string() && is_true(expand->get<std::string>()));
    }
    const auto paths = json.find("paths");
    if (paths == json.end()) return question;
    if (paths->is_string()) {
      question.paths.push_back(paths->get<std::string>());
      return question;
    }
    if (!paths->is_array() || paths->size() > kPathsMax) return std::nullopt;
    for (const Json& path : *paths) {
      if (!path.is_string()) return std::nullopt;
      question.paths.push_back(path.get<std::string>());
    }
    return question;
  }
  while (!body.empty()) {
    const auto end = std::min(body.find('&'), body.size());
    const std::string_view field = body.substr(0, end);
    body.remove_prefix(std::min(end + 1, body.size()));
    const auto equals = std::min(field.find('='), field.size());
    const auto value = percent_decode(field.substr(std::min(equals + 1, field.size())), true);
    if (!value) return std::nullopt;
    if (field.substr(0, equals) == "paths") question.paths.push_back(*value);
    if (field.substr(0, equals) == "expand") question.expand = is_true(*value);
    if (question.paths.size() > kPathsMax) return std::nullopt;
  }
  return question;
}

std::string paths_json(const RepoListing& listing, const std::vector<std::string>& paths) {
  Json out = Json::array();
  for (std::string_view path : paths) {
    while (path.ends_with('/')) path.remove_suffix(1);
    if (const ListingEntry* entry = listing.find(path)) out.push_back(entry_json(*entry));
  }
  return dump(out);
}

std::string treesize_json(const RepoListing& listing, std::string_view folder) {
  std::uint64_t size = 0;
  for (const ListingEntry* entry : listing.below(folder, true)) size += entry->blob.size;
  return dump({{"path", "/" + std::string(folder)}, {"size", size}});
}

std::string refs_json(const std::vector<std::pair<std::string, std::string>>& revisions) {
  Json branches = Json::array();
  Json converts = Json::array();
  for (const auto& [name, commit] : revisions) {
    const bool ref = name.starts_with("refs/");
    const Json row{{"name", name}, {"ref", ref ? name : "refs/heads/" + name}, {"targetCommit", commit}};
    if (!ref) branches.push_back(row);
    if (name.starts_with("refs/convert/")) converts.push_back(row);
  }
  return dump({{"branches", branches}, {"tags", Json::array()}, {"converts", converts}});
}

std::string error_json(std::string_view message) {
  return dump({{"error", message}});
}

std::string without_xet(std::string body) {
  if (body.find("xet") == std::string::npos || nests_deeper_than(body, kJsonNestingMax)) return body;
  Json json = Json::parse(body, nullptr, false);
  if (json.is_discarded()) return body;
  drop_xet(json);
  return dump(json);
}

std::string next_link(std::string_view header, std::string_view base) {
  while (!header.empty()) {
    const auto open = header.find('<');
    const auto close = header.find('>', std::min(open, header.size()));
    if (open == std::string_view::npos || close == std::string_view::npos) return {};
    std::string_view target = header.substr(open + 1, close - open - 1);
    const auto end = std::min(header.find('<', close), header.size());
    const std::string_view parameters = header.substr(close + 1, end - close - 1);
    header.remove_prefix(end);
    if (parameters.find("rel=\"next\"") == std::string_view::npos &&
        parameters.find("rel=next") == std::string_view::npos) {
      continue;
    }
    if (const auto scheme = target.find("://"); scheme != std::string_view::npos) {
      target.remove_prefix(std::min(target.find('/', scheme + 3), target.size()));
    }
    // A Hub with a path prefix of its own is asked below that prefix.
    const auto api = target.find("/api/");
    if (api == std::string_view::npos) return {};
    return "<" + std::string(base) + std::string(target.substr(api)) + ">; rel=\"next\"";
  }
  return {};
}

}  // namespace shoal
