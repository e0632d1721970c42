#include "transport/origin/repo_json.h"

#include "node/core/geometry.h"
#include "transport/origin/json_walk.h"
#include "transport/origin/text.h"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace shoal {
namespace {

class InfoVisitor final : public JsonVisitor {
 public:
  RepoInfo info;
  std::string bad;  // the field that has a wrong value

  bool on_scalar(int depth, std::string_view key, const JsonScalar& scalar) override {
    if (depth == 0) return refuse("the answer, which is no object");
    if (depth != 1) return true;
    if (key == "sha") {
      if (!scalar.text() || !is_commit_id(*scalar.text())) return refuse("sha");
      info.commit = *scalar.text();
    } else if (key == "id") {
      if (!scalar.text() || !is_valid_repo_name(*scalar.text())) return refuse("id");
      info.id = *scalar.text();
    } else if (key == "private") {
      info.is_private = scalar.boolean() && *scalar.boolean();
    } else if (key == "disabled") {
      info.disabled = scalar.boolean() && *scalar.boolean();
    } else if (key == "gated") {  // false, true, "auto" or "manual"
      info.gated = (scalar.boolean() && *scalar.boolean()) || scalar.text();
    }
    return true;
  }
  bool on_open(int depth, std::string_view key, bool is_object) override {
    if (depth == 1 && !is_object) return refuse("the answer, which is no object");
    if (depth == 2 && (key == "sha" || key == "id")) return refuse(std::string(key));
    return true;
  }
  bool on_close(int /*depth*/, bool /*is_object*/) override { return true; }

 private:
  bool refuse(std::string field) {
    bad = std::move(field);
    return false;
  }
};

class TreeVisitor final : public JsonVisitor {
 public:
  std::vector<RepoFile> files;
  std::string problem;

  bool on_scalar(int depth, std::string_view key, const JsonScalar& scalar) override {
    if (depth == 2) return on_entry_field(key, scalar);
    if (depth == 3 && in_lfs_) {
      if (key == "oid" && scalar.text()) lfs_oid_ = *scalar.text();
      if (key == "size") lfs_size_ = scalar.number() ? std::optional(*scalar.number()) : std::nullopt;
      return true;
    }
    return depth > 2 || refuse("the listing is no array of objects");
  }
  bool on_open(int depth, std::string_view key, bool is_object) override {
    if (depth == 1) return !is_object || refuse("the listing is no array");
    if (depth == 2) {
      if (!is_object) return refuse("the listing is no array of objects");
      type_.clear();
      oid_.clear();
      path_.reset();
      size_.reset();
      lfs_oid_.clear();
      lfs_size_.reset();
      has_lfs_ = false;
    }
    if (depth == 3) {
      in_lfs_ = is_object && key == "lfs";
      has_lfs_ = has_lfs_ || in_lfs_;
    }
    return true;
  }
  bool on_close(int depth, bool /*is_object*/) override {
    if (depth == 3) in_lfs_ = false;
    return depth != 2 || on_entry_end();
  }

 private:
  bool on_entry_field(std::string_view key, const JsonScalar& scalar) {
    if (key == "type" && scalar.text()) type_ = *scalar.text();
    if (key == "oid" && scalar.text()) oid_ = *scalar.text();
    if (key == "path" && scalar.text()) path_ = *scalar.text();
    if (key == "size") size_ = scalar.number() ? std::optional(*scalar.number()) : std::nullopt;
    return true;
  }

  bool on_entry_end() {
    if (!path_) return refuse("an entry of the listing has no path");
    if (type_ != "file") return true;  // folders; other kinds have no content of their own
    const std::string name = "the listing's entry '" + printable(*path_) + "' ";
    if (!is_valid_repo_path(*path_)) return refuse(name + "is not an allowed path");
    const auto size = has_lfs_ ? lfs_size_ : size_;
    if (!size || *size > kMaxBlobSize) return refuse(name + "has no valid size");
    if (has_lfs_ && size_ && *size_ != *size) return refuse(name + "has two different sizes");
    const auto blob = BlobId::from_etag(has_lfs_ ? lfs_oid_ : oid_, *size);
    const auto kind = has_lfs_ ? BlobId::Kind::sha256 : BlobId::Kind::git_sha1;
    if (!blob || blob->kind != kind) return refuse(name + "has no valid hash");
    files.push_back({std::move(*path_), *blob});
    return true;
  }

  bool refuse(std::string why) {
    problem = std::move(why);
    return false;
  }

  std::string type_;
  std::string oid_;
  std::optional<std::string> path_;
  std::optional<std::uint64_t> size_;
  std::string lfs_oid_;
  std::optional<std::uint64_t> lfs_size_;
  bool has_lfs_ = false;
  bool in_lfs_ = false;
};

}  // namespace

Result<RepoInfo> parse_repo_info(std::string_view json) {
  InfoVisitor visitor;
  const JsonOutcome outcome = walk_json(json, visitor);
  if (!visitor.bad.empty()) {
    return fail(Code::invalid, "the Hub's description of the repo has a wrong value: " + visitor.bad);
  }
  if (outcome != JsonOutcome::complete) {
    return fail(Code::invalid, "the Hub's description of the repo is no proper JSON");
  }
  if (visitor.info.commit.empty()) {
    return fail(Code::invalid, "the Hub's description of the repo names no commit");
  }
  return std::move(visitor.info);
}

Result<std::vector<RepoFile>> parse_tree_page(std::string_view json) {
  TreeVisitor visitor;
  const JsonOutcome outcome = walk_json(json, visitor);
  if (!visitor.problem.empty()) return fail(Code::invalid, visitor.problem);
  if (outcome != JsonOutcome::complete) return fail(Code::invalid, "the listing is no proper JSON");
  return std::move(visitor.files);
}

}  // namespace shoal
