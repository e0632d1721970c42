#include "node/core/ids.h"

#include <algorithm>
#include <cstring>

namespace shoal {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// The bytes hashed are themselves uniformly distributed hashes or random ids, so their first word is a good
// hash.
std::size_t first_word(const std::uint8_t* bytes) {
  std::size_t word = 0;
  std::memcpy(&word, bytes, sizeof word);
  return word;
}

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool is_valid_name_part(std::string_view part) {
  if (part.empty() || part.size() > 96) return false;
  if (!is_word(part.front()) || !is_word(part.back())) return false;
  return std::ranges::all_of(part, [](char c) { return is_word(c) || c == '-' || c == '.'; });
}

// Applies `accept` to each '/'-separated part; false if any is refused.
template <typename Accept>
bool all_parts(std::string_view text, Accept accept) {
  while (true) {
    const auto slash = text.find('/');
    if (!accept(text.substr(0, slash))) return false;
    if (slash == std::string_view::npos) return true;
    text.remove_prefix(slash + 1);
  }
}

bool has_control_character(std::string_view text) {
  return std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

}  // namespace

std::string to_hex(std::span<const std::uint8_t> bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const std::uint8_t b : bytes) {
    out.push_back(kHexDigits[b >> 4U]);
    out.push_back(kHexDigits[b & 0xfU]);
  }
  return out;
}

bool from_hex(std::string_view hex, std::span<std::uint8_t> out) {
  if (hex.size() != out.size() * 2) return false;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const int high = hex_value(hex[2 * i]);
    const int low = hex_value(hex[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    out[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  return true;
}

std::optional<Hash256> Hash256::parse(std::string_view hex) {
  Hash256 hash;
  if (!from_hex(hex, hash.bytes)) return std::nullopt;
  return hash;
}

std::optional<NodeId> NodeId::parse(std::string_view hex) {
  NodeId id;
  if (!from_hex(hex, id.bytes)) return std::nullopt;
  return id;
}

std::string BlobId::text() const {
  return (kind == Kind::sha256 ? "sha256:" : "git-sha1:") + etag();
}

std::optional<BlobId> BlobId::parse(std::string_view text, std::uint64_t size) {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto id = from_etag(text.substr(colon + 1), size);
  if (!id || text.substr(0, colon) != (id->kind == Kind::sha256 ? "sha256" : "git-sha1")) return std::nullopt;
  return id;
}

std::optional<BlobId> BlobId::from_etag(std::string_view etag, std::uint64_t size) {
  BlobId id;
  id.size = size;
  if (etag.size() == 64) {
    id.kind = Kind::sha256;
  } else if (etag.size() == 40) {
    id.kind = Kind::git_sha1;
  } else {
    return std::nullopt;
  }
  if (!from_hex(etag, std::span(id.digest).first(etag.size() / 2))) return std::nullopt;
  return id;
}

std::string_view to_string(RepoType type) {
  switch (type) {
    case RepoType::model:
      return "model";
    case RepoType::dataset:
      return "dataset";
    case RepoType::space:
      break;
  }
  return "space";
}

std::optional<RepoType> parse_repo_type(std::string_view text) {
  if (text == "model") return RepoType::model;
  if (text == "dataset") return RepoType::dataset;
  if (text == "space") return RepoType::space;
  return std::nullopt;
}

bool is_valid_repo_name(std::string_view name) {
  if (std::ranges::count(name, '/') > 1) return false;
  if (name.find("--") != std::string_view::npos || name.find("..") != std::string_view::npos) return false;
  if (name.ends_with(".git")) return false;
  return all_parts(name, is_valid_name_part);
}

bool is_valid_revision(std::string_view revision) {
  if (revision.empty() || revision.size() > 255 || has_control_character(revision)) return false;
  return all_parts(revision, [](std::string_view part) {
    return !part.empty() && part.front() != '.' && part.find("..") == std::string_view::npos &&
           part.find_first_of("\\ ~^:?*[") == std::string_view::npos && !part.ends_with(".lock");
  });
}

bool is_commit_id(std::string_view text) {
  return text.size() == 40 && std::ranges::all_of(text, [](char c) { return hex_value(c) >= 0; });
}

bool is_valid_repo_path(std::string_view path) {
  if (path.empty() || path.size() > 1024) return false;
  if (path.find('\0') != std::string_view::npos || path.find('\\') != std::string_view::npos) return false;
  return all_parts(path, [](std::string_view part) {
    return !part.empty() && part != "." && part != ".." && part.size() <= 255;
  });
}

}  // namespace shoal

std::size_t std::hash<shoal::Hash256>::operator()(const shoal::Hash256& h) const noexcept {
  return shoal::first_word(h.bytes.data());
}
std::size_t std::hash<shoal::NodeId>::operator()(const shoal::NodeId& n) const noexcept {
  return shoal::first_word(n.bytes.data());
}
std::size_t std::hash<shoal::BlobId>::operator()(const shoal::BlobId& b) const noexcept {
  return shoal::first_word(b.digest.data());
}
std::size_t std::hash<shoal::SegmentKey>::operator()(const shoal::SegmentKey& k) const noexcept {
  // 2^64 / golden ratio: spreads the small consecutive indices.
  return shoal::first_word(k.blob.digest.data()) ^
         (std::size_t{0x9e3779b97f4a7c15} * (shoal::to_int(k.index) + 1));
}
