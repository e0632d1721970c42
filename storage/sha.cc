// OpenSSL 3 marks the low-level hash functions as deprecated in favour of EVP. EVP cannot write a midstate
// down, which is what this file is for, so the warnings are switched off here and only here.
#define OPENSSL_SUPPRESS_DEPRECATED

#include "storage/sha.h"

#include <cstring>
#include <type_traits>

#include <openssl/sha.h>

namespace shoal {
namespace {

static_assert(sizeof(SHA256_CTX) == 112 && alignof(SHA256_CTX) <= 8);
static_assert(sizeof(SHA_CTX) == 96 && alignof(SHA_CTX) <= 8);
static_assert(std::is_trivially_copyable_v<SHA256_CTX> && std::is_trivially_copyable_v<SHA_CTX>);

// The saved form is our own, so that it does not depend on a structure of OpenSSL's or the byte order:
// the chaining words, then the bytes of the block that is not full yet.
constexpr std::size_t kBlock = 64;

void put_word(std::vector<std::uint8_t>& out, std::uint32_t word) {
  for (unsigned shift : {24U, 16U, 8U, 0U}) out.push_back(static_cast<std::uint8_t>(word >> shift));
}

std::uint32_t get_word(const std::uint8_t* in) {
  return std::uint32_t{in[0]} << 24U | std::uint32_t{in[1]} << 16U | std::uint32_t{in[2]} << 8U | in[3];
}

void append_pending(std::vector<std::uint8_t>& out, const SHA_LONG* data, unsigned count) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(data);
  out.insert(out.end(), bytes, bytes + count);
}

SHA256_CTX* as256(std::array<std::byte, 112>& context) {
  return reinterpret_cast<SHA256_CTX*>(context.data());
}
SHA_CTX* as1(std::array<std::byte, 96>& context) {
  return reinterpret_cast<SHA_CTX*>(context.data());
}

}  // namespace

Sha256::Sha256() {
  reset();
}
void Sha256::reset() {
  SHA256_Init(as256(context_));
}
void Sha256::update(std::span<const std::byte> bytes) {
  SHA256_Update(as256(context_), bytes.data(), bytes.size());
}
void Sha256::finish(std::span<std::uint8_t, kDigestSize> out) {
  SHA256_Final(out.data(), as256(context_));
}

std::vector<std::uint8_t> Sha256::save() const {
  SHA256_CTX c;
  std::memcpy(&c, context_.data(), sizeof c);
  std::vector<std::uint8_t> out;
  for (const auto word : c.h) put_word(out, word);
  append_pending(out, c.data, c.num);
  return out;
}

std::optional<Sha256> Sha256::restore(std::span<const std::uint8_t> saved, std::uint64_t bytes) {
  if (saved.size() != 32 + bytes % kBlock) return std::nullopt;
  Sha256 sha;
  SHA256_CTX c;
  SHA256_Init(&c);
  for (std::size_t i = 0; i < 8; ++i) c.h[i] = get_word(&saved[4 * i]);
  // The counters are of whole blocks so far; update() adds what is pending.
  const std::uint64_t bits = (bytes - bytes % kBlock) * 8;
  c.Nl = static_cast<SHA_LONG>(bits);
  c.Nh = static_cast<SHA_LONG>(bits >> 32U);
  std::memcpy(sha.context_.data(), &c, sizeof c);
  sha.update(std::as_bytes(saved.subspan(32)));
  return sha;
}

Sha1::Sha1() {
  reset();
}
void Sha1::reset() {
  SHA1_Init(as1(context_));
}
void Sha1::update(std::span<const std::byte> bytes) {
  SHA1_Update(as1(context_), bytes.data(), bytes.size());
}
void Sha1::finish(std::span<std::uint8_t, kDigestSize> out) {
  SHA1_Final(out.data(), as1(context_));
}

std::vector<std::uint8_t> Sha1::save() const {
  SHA_CTX c;
  std::memcpy(&c, context_.data(), sizeof c);
  std::vector<std::uint8_t> out;
  for (const auto word : {c.h0, c.h1, c.h2, c.h3, c.h4}) put_word(out, word);
  append_pending(out, c.data, c.num);
  return out;
}

std::optional<Sha1> Sha1::restore(std::span<const std::uint8_t> saved, std::uint64_t bytes) {
  if (saved.size() != 20 + bytes % kBlock) return std::nullopt;
  Sha1 sha;
  SHA_CTX c;
  SHA1_Init(&c);
  c.h0 = get_word(&saved[0]);
  c.h1 = get_word(&saved[4]);
  c.h2 = get_word(&saved[8]);
  c.h3 = get_word(&saved[12]);
  c.h4 = get_word(&saved[16]);
  const std::uint64_t bits = (bytes - bytes % kBlock) * 8;
  c.Nl = static_cast<SHA_LONG>(bits);
  c.Nh = static_cast<SHA_LONG>(bits >> 32U);
  std::memcpy(sha.context_.data(), &c, sizeof c);
  sha.update(std::as_bytes(saved.subspan(20)));
  return sha;
}

}  // namespace shoal
