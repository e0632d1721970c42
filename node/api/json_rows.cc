#include "node/api/json_rows.h"

#include <array>
#include <cstdio>
#include <ctime>
#include <optional>

#include <nlohmann/json.hpp>

namespace shoal {
namespace {

using Json = nlohmann::ordered_json;

Json text_or_null(const std::string& text) {
  return text.empty() ? Json(nullptr) : Json(text);
}

template <typename T>
Json value_or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json code_or_null(const std::optional<Code>& code) {
  return code ? Json(to_string(*code)) : Json(nullptr);
}

// An unresolved pull has no size yet, and has not done all of nothing.
double pull_percent(PullState state, std::uint64_t done, std::uint64_t size) {
  if (state == PullState::done) return 100.0;
  return size == 0 ? 0.0 : percent(done, size);
}

}  // namespace

Json time_json(WallTime time) {
  if (time.ms == 0) return nullptr;
  const std::time_t seconds = time.ms / 1000;
  std::tm utc{};
  if (gmtime_r(&seconds, &utc) == nullptr) return nullptr;
  std::array<char, 80> text{};
  const int length = std::snprintf(text.data(), text.size(), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
                                   utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min,
                                   utc.tm_sec, static_cast<int>(time.ms % 1000));
  return std::string(text.data(), static_cast<std::size_t>(length));
}

Json to_json(const FileStatus& f, WallTime updated_at) {
  return {{"repo", f.repo.name},
          {"revision", f.revision},
          {"commit_id", text_or_null(f.commit_id)},
          {"path", f.path},
          {"blob_id", f.blob.text()},
          {"size", f.blob.size},
          {"bytes_done", f.bytes_done},
          {"bytes_lan", f.bytes_lan},
          {"bytes_origin", f.bytes_origin},
          {"bytes_local", f.bytes_local},
          {"percent", percent(f.bytes_done, f.blob.size)},
          {"bytes_per_s", f.bytes_per_s},
          {"eta_s", value_or_null(f.eta_s)},
          {"state", to_string(f.state)},
          {"waiting_for", text_or_null(f.waiting_for)},
          {"error", text_or_null(f.error)},
          {"updated_at", time_json(updated_at)},
          {"type", to_string(f.repo.type)}};
}

Json to_json(const PullStatus& p) {
  return {{"id", to_int(p.id)},
          {"type", to_string(p.repo.type)},
          {"repo", p.repo.name},
          {"revision", p.revision},
          {"commit_id", text_or_null(p.commit_id)},
          {"include", p.include},
          {"exclude", p.exclude},
          {"source", to_string(p.source)},
          {"priority", to_string(p.priority)},
          {"state", to_string(p.state)},
          {"files", p.files},
          {"files_done", p.files_done},
          {"size", p.size},
          {"bytes_done", p.bytes_done},
          {"bytes_lan", p.bytes_lan},
          {"bytes_origin", p.bytes_origin},
          {"bytes_local", p.bytes_local},
          {"percent", pull_percent(p.state, p.bytes_done, p.size)},
          {"bytes_per_s", p.bytes_per_s},
          {"eta_s", value_or_null(p.eta_s)},
          {"waiting_for", text_or_null(p.waiting_for)},
          {"error_code", code_or_null(p.error_code)},
          {"error", text_or_null(p.error)},
          {"snapshot_path", text_or_null(p.snapshot_path)},
          {"created_at", time_json(p.created_at)},
          {"finished_at", time_json(p.finished_at)}};
}

Json to_json(const DeviceLoad& l) {
  return {{"busy", l.busy},
          {"cpu_permille", l.cpu_permille},
          {"memory_permille", l.memory_permille},
          {"io_permille", l.io_permille},
          {"nic_permille", l.nic_permille},
          {"gpu_permille", l.gpu_permille},
          {"origin_bytes_per_s", l.origin_bytes_per_s},
          {"upload_bytes_per_s", l.upload_bytes_per_s},
          {"download_bytes_per_s", l.download_bytes_per_s}};
}

Json to_json(const PeerStatus& p) {
  Json out{{"node", p.node.hex()},
           {"name", p.name},
           {"version", p.version},
           {"endpoint", p.endpoint.text()},
           {"alive", p.alive}};
  out.update(to_json(p.load));
  out.update(Json{{"blobs_held", p.blobs_held},
                  {"bytes_held", p.bytes_held},
                  {"bytes_received", p.bytes_received},
                  {"bytes_sent", p.bytes_sent},
                  {"first_seen", time_json(p.first_seen)},
                  {"last_seen", time_json(p.last_seen)},
                  {"banned_until", time_json(p.banned_until)}});
  return out;
}

Json to_json(const EventRow& e) {
  return {{"at", time_json(e.at)},
          {"level", to_string(e.level)},
          {"kind", e.kind},
          {"pull", e.pull ? Json(to_int(*e.pull)) : Json(nullptr)},
          {"repo", text_or_null(e.repo)},
          {"path", text_or_null(e.path)},
          {"peer", text_or_null(e.peer)},
          {"text", e.text}};
}

Json to_json(const Holding& h) {
  return {{"repo", h.repo.name},
          {"type", to_string(h.repo.type)},
          {"revision", text_or_null(h.revision)},
          {"commit_id", h.commit_id},
          {"path", h.path},
          {"blob_id", h.blob.text()},
          {"size", h.blob.size}};
}

Json to_json(const JobStatus& j) {
  Json findings = Json::array();
  for (const JobFinding& f : j.findings) {
    findings.push_back({{"path", f.path}, {"code", to_string(f.code)}, {"text", f.text}});
  }
  return {{"id", static_cast<std::int64_t>(j.id)},
          {"kind", to_string(j.kind)},
          {"target", text_or_null(j.target)},
          {"state", to_string(j.state)},
          {"files", j.files},
          {"files_done", j.files_done},
          {"size", j.size},
          {"bytes_done", j.bytes_done},
          {"percent", pull_percent(j.state, j.bytes_done, j.size)},
          {"bytes_per_s", j.bytes_per_s},
          {"eta_s", value_or_null(j.eta_s)},
          {"findings_count", j.findings_count},
          {"findings", std::move(findings)},
          {"error_code", code_or_null(j.error_code)},
          {"error", text_or_null(j.error)},
          {"created_at", time_json(j.created_at)},
          {"finished_at", time_json(j.finished_at)}};
}

Json to_json(const NodeInfo& n) {
  return {{"node", n.node.hex()},
          {"name", n.node_name},
          {"version", n.version},
          {"cluster", n.cluster},
          {"api", n.api.text()},
          {"swarm", n.swarm.text()},
          {"hub", n.hub},
          {"cache_dir", n.cache_dir},
          {"state_dir", n.state_dir},
          {"cache_writable", n.cache_writable},
          {"disk_size", n.disk_size},
          {"disk_free", n.disk_free},
          {"free_space_floor", n.free_space_floor},
          {"has_token", n.has_token},
          {"peers_alive", n.peers_alive},
          {"busy", n.busy},
          {"started_at", time_json(n.started_at)}};
}

Json to_json(const RepoSummary& r) {
  return {{"repo", r.repo.name},
          {"type", to_string(r.repo.type)},
          {"revision", text_or_null(r.revision)},
          {"commit_id", text_or_null(r.commit_id)},
          {"files", r.files},
          {"files_held", r.files_held},
          {"files_failed", r.files_failed},
          {"size", r.size},
          {"bytes_done", r.bytes_done},
          {"bytes_lan", r.bytes_lan},
          {"bytes_origin", r.bytes_origin},
          {"bytes_local", r.bytes_local},
          {"percent", percent(r.bytes_done, r.size)},
          {"updated_at", time_json(r.updated_at)}};
}

Json to_json(const RateSample& s) {
  return {{"at", time_json(s.at)},
          {"origin_bytes_per_s", s.origin_bytes_per_s},
          {"download_bytes_per_s", s.download_bytes_per_s},
          {"upload_bytes_per_s", s.upload_bytes_per_s}};
}

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace shoal
