#include "node/core/invite_token.h"

#include <algorithm>
#include <span>

namespace shoal {
namespace {

constexpr std::string_view kFamily = "shoal";
constexpr std::string_view kPrefix = "shoal1-";
constexpr std::size_t kSecretAt = 0;
constexpr std::size_t kAuthorityAt = kSecretAt + 16;
constexpr std::size_t kExpiryAt = kAuthorityAt + 32;
constexpr std::size_t kChecksumAt = kExpiryAt + 8;
constexpr std::size_t kBytes = kChecksumAt + 4;
using Bytes = std::array<std::uint8_t, kBytes>;

// FNV-1a over prefix and bytes.
std::uint32_t checksum(std::span<const std::uint8_t> bytes) {
  std::uint32_t sum = 2166136261U;
  const auto add = [&sum](std::uint8_t byte) { sum = (sum ^ byte) * 16777619U; };
  for (const char c : kPrefix) add(static_cast<std::uint8_t>(c));
  for (const std::uint8_t byte : bytes) add(byte);
  return sum;
}

void put(std::uint64_t value, std::span<std::uint8_t> out) {
  for (std::size_t i = out.size(); i > 0; --i, value >>= 8U) out[i - 1] = static_cast<std::uint8_t>(value);
}

std::uint64_t get(std::span<const std::uint8_t> in) {
  std::uint64_t value = 0;
  for (const std::uint8_t byte : in) value = value << 8U | byte;
  return value;
}

}  // namespace

std::string format_token(const InviteToken& token) {
  Bytes bytes{};
  const std::span all(bytes);
  std::ranges::copy(token.secret, all.subspan(kSecretAt).begin());
  std::ranges::copy(token.authority.bytes, all.subspan(kAuthorityAt).begin());
  put(static_cast<std::uint64_t>(token.expires_at), all.subspan(kExpiryAt, 8));
  put(checksum(all.first(kChecksumAt)), all.subspan(kChecksumAt, 4));
  return std::string(kPrefix) + to_hex(bytes);
}

Result<InviteToken> parse_token(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' '))
    text.remove_suffix(1);
  if (!text.starts_with(kPrefix)) {
    const bool later = text.starts_with(kFamily) && text.size() > 6 && text[5] >= '2' && text[5] <= '9';
    return fail(Code::invalid, later ? "the token is of a later shoal: update this machine first"
                                     : "this is no token: `shoal cluster invite` prints one that begins "
                                       "with shoal1-");
  }
  text.remove_prefix(kPrefix.size());
  Bytes bytes{};
  if (text.size() != 2 * kBytes || !from_hex(text, bytes)) {
    return fail(Code::invalid, "the token is not whole: it has " + std::to_string(2 * kBytes) +
                                   " hex digits after shoal1-, this one has " + std::to_string(text.size()) +
                                   " characters");
  }
  const std::span<const std::uint8_t> all(bytes);
  if (get(all.subspan(kChecksumAt, 4)) != checksum(all.first(kChecksumAt)))
    return fail(Code::invalid, "the token was mistyped: copy it again");
  InviteToken out;
  std::ranges::copy(all.subspan(kSecretAt, 16), out.secret.begin());
  std::ranges::copy(all.subspan(kAuthorityAt, 32), out.authority.bytes.begin());
  // A time that does not fit is one that has not come yet for anybody; int64 seconds are no such thing.
  const std::uint64_t expires = get(all.subspan(kExpiryAt, 8));
  if (expires > (std::uint64_t{1} << 40U)) return fail(Code::invalid, "the token's end is no date");
  out.expires_at = static_cast<std::int64_t>(expires);
  return out;
}

}  // namespace shoal
