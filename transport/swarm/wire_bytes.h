// Reading and writing the primitive values of the gossip messages. Big-endian fixed integers, LEB128 varints,
// counted texts. The reader never reads past the end: it remembers the first failure and then answers zeros.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace shoal {

class ByteWriter {
 public:
  void u8(std::uint8_t v) { out_.push_back(static_cast<std::byte>(v)); }
  void u16(std::uint16_t v) { fixed(v, 2); }
  void u64(std::uint64_t v) { fixed(v, 8); }
  // Seven bits a byte, low bits first, the top bit says that more follow.
  void varint(std::uint64_t v) {
    for (; v >= 0x80; v >>= 7U) u8(static_cast<std::uint8_t>(v | 0x80U));
    u8(static_cast<std::uint8_t>(v));
  }
  void bytes(std::span<const std::uint8_t> b) { append(std::as_bytes(b)); }
  void bytes(std::span<const std::byte> b) { append(b); }
  // One byte of length, then the bytes. REQUIRES: max <= 255.
  void text(std::string_view t, std::size_t max) {
    t = t.substr(0, max);
    u8(static_cast<std::uint8_t>(t.size()));
    append(std::as_bytes(std::span(t)));
  }
  [[nodiscard]] std::vector<std::byte> take() && { return std::move(out_); }

 private:
  void append(std::span<const std::byte> b) { out_.insert(out_.end(), b.begin(), b.end()); }
  void fixed(std::uint64_t v, unsigned count) {
    while (count > 0) u8(static_cast<std::uint8_t>(v >> (8U * --count)));
  }

  std::vector<std::byte> out_;
};

class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> in) : in_(in) {}

  [[nodiscard]] bool ok() const { return why_ == nullptr; }
  [[nodiscard]] const char* why() const { return ok() ? "" : why_; }
  // Whether anything follows: fields that were appended to a message may be missing.
  [[nodiscard]] bool more() const { return ok() && !in_.empty(); }
  // Records a failure, the first one stays. `why` must outlive the reader: a literal.
  void refuse(const char* why) {
    if (ok()) why_ = why;
    in_ = {};
  }

  std::uint8_t u8() { return static_cast<std::uint8_t>(fixed(1)); }
  std::uint16_t u16() { return static_cast<std::uint16_t>(fixed(2)); }
  std::uint64_t u64() { return fixed(8); }

  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const std::uint64_t byte = u8();
      // The tenth byte has room for one bit only.
      if (shift == 63 && byte > 1) break;
      value |= (byte & 0x7fU) << shift;
      if ((byte & 0x80U) == 0) return ok() ? value : 0;
    }
    refuse("number does not fit 64 bits");
    return 0;
  }

  void bytes(std::span<std::uint8_t> out) { bytes(std::as_writable_bytes(out)); }
  void bytes(std::span<std::byte> out) {
    if (in_.size() < out.size()) {
      refuse("ends too early");
      return;
    }
    // memcpy from or to a null pointer is undefined even for no bytes.
    if (!out.empty()) std::memcpy(out.data(), in_.data(), out.size());
    in_ = in_.subspan(out.size());
  }

  std::string text(std::size_t max) {
    const std::size_t length = u8();
    if (length > max) {
      refuse("text longer than allowed");
      return {};
    }
    std::string out;
    if (!fits(1, length)) return out;
    out.resize(length);
    bytes(std::as_writable_bytes(std::span(out)));
    return out;
  }

  // A count of entries that follow: at most `max`, and no more than can be there at `bytes_each` or more.
  std::size_t count(std::size_t max, std::size_t bytes_each) {
    const auto n = varint();
    if (n > max) {
      refuse("more entries than allowed");
      return 0;
    }
    return fits(static_cast<std::size_t>(n), bytes_each) ? static_cast<std::size_t>(n) : 0;
  }

  // Are there that many bytes left? Refuses if not. REQUIRES: n is already bounded by a limit of ours.
  bool fits(std::size_t n, std::size_t bytes_each) {
    if (!ok()) return false;
    if (bytes_each != 0 && n > in_.size() / bytes_each) {
      refuse("ends too early");
      return false;
    }
    return true;
  }

 private:
  std::uint64_t fixed(unsigned count) {
    if (in_.size() < count) {
      refuse("ends too early");
      return 0;
    }
    std::uint64_t v = 0;
    for (unsigned i = 0; i < count; ++i) v = (v << 8U) | std::to_integer<std::uint64_t>(in_[i]);
    in_ = in_.subspan(count);
    return v;
  }

  std::span<const std::byte> in_;
  const char* why_ = nullptr;
};

}  // namespace shoal
