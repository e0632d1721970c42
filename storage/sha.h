// SHA-256 and SHA-1 as copyable values whose midstate can be written down.
//
// Why not EVP: its contexts can be copied but not stored, and a restart must not hash 100 GB again. These
// stand on OpenSSL's low-level functions, which use the same SHA extensions of the processor.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace shoal {

class Sha256 {
 public:
  static constexpr std::size_t kDigestSize = 32;
  Sha256();
  void update(std::span<const std::byte> bytes);
  // Ends the hash; the object must be reset() before it is used again.
  void finish(std::span<std::uint8_t, kDigestSize> out);
  void reset();
  [[nodiscard]] std::vector<std::uint8_t> save() const;
  // `bytes`: how many were hashed; has to agree with the saved state.
  [[nodiscard]] static std::optional<Sha256> restore(std::span<const std::uint8_t> saved,
                                                     std::uint64_t bytes);

 private:
  alignas(8) std::array<std::byte, 112> context_;  // a SHA256_CTX
};

class Sha1 {
 public:
  static constexpr std::size_t kDigestSize = 20;
  Sha1();
  void update(std::span<const std::byte> bytes);
  void finish(std::span<std::uint8_t, kDigestSize> out);
  void reset();
  [[nodiscard]] std::vector<std::uint8_t> save() const;
  [[nodiscard]] static std::optional<Sha1> restore(std::span<const std::uint8_t> saved, std::uint64_t bytes);

 private:
  alignas(8) std::array<std::byte, 96> context_;  // a SHA_CTX
};

}  // namespace shoal
