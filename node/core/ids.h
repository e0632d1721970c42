// The names of things. Ids and indices are types, not integers or strings.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace shoal {

// Lower-case hex of bytes, and back. from_hex refuses odd lengths, upper case and anything not hex.
[[nodiscard]] std::string to_hex(std::span<const std::uint8_t> bytes);
[[nodiscard]] bool from_hex(std::string_view hex, std::span<std::uint8_t> out);

// A SHA-256 value: a BEP 52 leaf, piece or pieces root, or a whole file's hash.
struct Hash256 {
  std::array<std::uint8_t, 32> bytes{};
  auto operator<=>(const Hash256&) const = default;
  [[nodiscard]] bool is_zero() const { return *this == Hash256{}; }
  [[nodiscard]] std::string hex() const { return to_hex(bytes); }
  [[nodiscard]] static std::optional<Hash256> parse(std::string_view hex);
};

// A node's stable random identity, made at first start and kept in its state.
struct NodeId {
  std::array<std::uint8_t, 16> bytes{};
  // In the order of the bytes, compared as two numbers: several times quicker than byte by byte, which is
  // felt where a thousand neighbours are looked up with every message.
  std::strong_ordering operator<=>(const NodeId& other) const {
    const std::strong_ordering first = word(0) <=> other.word(0);
    return first != 0 ? first : word(8) <=> other.word(8);
  }
  bool operator==(const NodeId& other) const { return word(0) == other.word(0) && word(8) == other.word(8); }
  [[nodiscard]] std::string hex() const { return to_hex(bytes); }
  [[nodiscard]] std::string short_hex() const { return hex().substr(0, 8); }
  [[nodiscard]] static std::optional<NodeId> parse(std::string_view hex);

 private:
  [[nodiscard]] std::uint64_t word(std::size_t from) const {
    std::uint64_t big_endian = 0;
    for (std::size_t i = 0; i < 8; ++i) big_endian = big_endian << 8U | bytes[from + i];  // one instruction
    return big_endian;
  }
};

// The publisher's name for the bytes of one file, always with its size.
// `sha256:<64 hex>` for LFS and Xet files, `git-sha1:<40 hex>` (SHA-1 of "blob <size>\0" + bytes) for the
// others.
struct BlobId {
  enum class Kind : std::uint8_t { sha256 = 1, git_sha1 = 2 };  // values are on the wire and in the database

  Kind kind = Kind::sha256;
  std::array<std::uint8_t, 32> digest{};  // git_sha1 uses the first 20 bytes, the rest is zero
  std::uint64_t size = 0;                 // bytes

  auto operator<=>(const BlobId&) const = default;

  [[nodiscard]] std::span<const std::uint8_t> digest_bytes() const {
    return {digest.data(), kind == Kind::sha256 ? 32U : 20U};
  }
  // The bare hex digest: the file's name under `blobs/` in the Hub's cache ("etag").
  [[nodiscard]] std::string etag() const { return to_hex(digest_bytes()); }
  // "sha256:<hex>" or "git-sha1:<hex>"; the size is not part of the text.
  [[nodiscard]] std::string text() const;

  [[nodiscard]] static std::optional<BlobId> parse(std::string_view text, std::uint64_t size);
  // From a bare digest as the Hub sends it: 64 hex is a sha256, 40 hex a git-sha1.
  [[nodiscard]] static std::optional<BlobId> from_etag(std::string_view etag, std::uint64_t size);
};

// Position of a segment in its blob, of a piece in its segment.
enum class SegmentIndex : std::uint32_t {};
enum class PieceIndex : std::uint8_t {};  // a segment has at most 64 pieces (geometry.h)
[[nodiscard]] constexpr std::uint32_t to_int(SegmentIndex i) {
  return static_cast<std::uint32_t>(i);
}
[[nodiscard]] constexpr int to_int(PieceIndex i) {
  return static_cast<int>(i);
}

struct SegmentKey {
  BlobId blob;
  SegmentIndex index{};
  auto operator<=>(const SegmentKey&) const = default;
};

enum class PullId : std::int64_t {};
[[nodiscard]] constexpr std::int64_t to_int(PullId i) {
  return static_cast<std::int64_t>(i);
}

enum class RepoType : std::uint8_t { model = 1, dataset = 2, space = 3 };
[[nodiscard]] std::string_view to_string(RepoType type);  // "model", "dataset", "space"
[[nodiscard]] std::optional<RepoType> parse_repo_type(std::string_view text);

// A repo as the Hub names it: `org/name`, or a legacy bare `name`.
struct RepoRef {
  RepoType type = RepoType::model;
  std::string name;
  auto operator<=>(const RepoRef&) const = default;
};

// The Hub's rule for repo names (reference section 1). It also makes cache folder names reversible and free
// of path traversal.
[[nodiscard]] bool is_valid_repo_name(std::string_view name);
// A branch, tag, commit or `refs/pr/N`: no empty or dotted segment, no control character, at most 255 bytes.
[[nodiscard]] bool is_valid_revision(std::string_view revision);
// 40 lower-case hex digits.
[[nodiscard]] bool is_commit_id(std::string_view text);
// A path inside a repo: relative, no empty, `.` or `..` part, no NUL, no backslash, at most 1024 bytes.
[[nodiscard]] bool is_valid_repo_path(std::string_view path);

}  // namespace shoal

template <>
struct std::hash<shoal::Hash256> {
  std::size_t operator()(const shoal::Hash256& h) const noexcept;
};
template <>
struct std::hash<shoal::NodeId> {
  std::size_t operator()(const shoal::NodeId& n) const noexcept;
};
template <>
struct std::hash<shoal::BlobId> {
  std::size_t operator()(const shoal::BlobId& b) const noexcept;
};
template <>
struct std::hash<shoal::SegmentKey> {
  std::size_t operator()(const shoal::SegmentKey& k) const noexcept;
};
