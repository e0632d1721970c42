#include "node/trust/join_text.h"

#include "node/core/messages.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <span>

namespace shoal {
namespace {

constexpr std::string_view kFirstLine = "shoal-join 1";
constexpr std::size_t kSentenceMax = 400;  // of a refusal, shown to a person

bool printable(std::string_view text) {
  return std::ranges::none_of(text, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

// Takes lines from the front.
class Lines {
 public:
  explicit Lines(std::string_view text) : rest_(text) {}
  std::optional<std::string_view> next() {
    const auto end = rest_.find('\n');
    if (end == std::string_view::npos) return std::nullopt;
    const auto line = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    return line;
  }
  // "key value" -> "value".
  std::optional<std::string> field(std::string_view key) {
    const auto line = next();
    if (!line || !line->starts_with(key) || line->size() <= key.size() || (*line)[key.size()] != ' ')
      return std::nullopt;
    const auto value = line->substr(key.size() + 1);
    if (!printable(value)) return std::nullopt;
    return std::string(value);
  }
  // From "-----BEGIN <what>-----" to its end, both included.
  std::optional<std::string> block(std::string_view what) {
    const std::string begin = "-----BEGIN " + std::string(what) + "-----\n";
    const std::string end = "-----END " + std::string(what) + "-----\n";
    if (!rest_.starts_with(begin)) return std::nullopt;
    const auto at = rest_.find(end);
    if (at == std::string_view::npos) return std::nullopt;
    const auto out = rest_.substr(0, at + end.size());
    rest_.remove_prefix(out.size());
    return std::string(out);
  }
  [[nodiscard]] bool at_end() const { return rest_ == "\n"; }

 private:
  std::string_view rest_;
};

std::string one_line(std::string text) {
  for (char& c : text) {
    if (!printable(std::string_view(&c, 1))) c = ' ';
  }
  return text.substr(0, kSentenceMax);
}

Unexpected<Error> odd_request(const char* what) {
  return fail(Code::invalid, std::string("the request to join has no good ") + what);
}

}  // namespace

std::string format_join_request(const JoinRequest& request) {
  return std::string(kFirstLine) + "\nsecret " + to_hex(request.secret) + "\nnode " + request.node.hex() +
         "\nname " + one_line(request.name) + "\ncluster " + one_line(request.cluster) + "\n" +
         request.request_pem + "\n";
}

Result<JoinRequest> parse_join_request(std::string_view text) {
  if (text.size() > kJoinRequestMax) return fail(Code::invalid, "the request to join is too long");
  Lines lines(text);
  JoinRequest out;
  if (lines.next() != kFirstLine) return odd_request("first line");
  const auto secret = lines.field("secret");
  if (!secret || !from_hex(*secret, out.secret)) return odd_request("secret");
  const auto node = lines.field("node");
  const auto id = node ? NodeId::parse(*node) : std::nullopt;
  if (!id || *id == NodeId{}) return odd_request("node id");
  out.node = *id;
  auto name = lines.field("name");
  if (!name || name->size() > limits::kNodeNameBytes) return odd_request("name");
  out.name = std::move(*name);
  auto cluster = lines.field("cluster");
  if (!cluster || cluster->size() > 64) return odd_request("cluster name");
  out.cluster = std::move(*cluster);
  auto pem = lines.block("CERTIFICATE REQUEST");
  if (!pem || !lines.at_end()) return odd_request("request for a certificate");
  out.request_pem = std::move(*pem);
  return out;
}

std::string format_join_answer(const JoinAnswer& answer) {
  const std::span bytes(reinterpret_cast<const std::uint8_t*>(answer.revoked_der.data()),
                        answer.revoked_der.size());
  return "ok\nrevoked x" + to_hex(bytes) + "\n" + answer.authority_pem + answer.cert_pem + "\n";
}

std::string format_join_refusal(const Error& error) {
  return "no " + one_line(error.message) + "\n\n";
}

Result<JoinAnswer> parse_join_answer(std::string_view text) {
  if (text.size() > kJoinAnswerMax) return fail(Code::invalid, "the answer is too long");
  Lines lines(text);
  const auto first = lines.next();
  if (first && first->starts_with("no ")) {
    return fail(Code::unauthorized, "the authority refused: " + one_line(std::string(first->substr(3))));
  }
  if (first != "ok") return fail(Code::invalid, "the answer is none of a shoal's");
  JoinAnswer out;
  const auto revoked = lines.field("revoked");
  // Two hex digits a byte behind the x, which is there so that the field is never empty.
  if (!revoked || !revoked->starts_with('x') || revoked->size() > 1 + 2 * limits::kRevocationBytes)
    return fail(Code::invalid, "the answer has no good list of revoked certificates");
  std::vector<std::uint8_t> bytes(revoked->size() / 2);
  if (revoked->size() % 2 != 1 || !from_hex(std::string_view(*revoked).substr(1), bytes))
    return fail(Code::invalid, "the answer has no good list of revoked certificates");
  const auto as_bytes = std::as_bytes(std::span(bytes));
  out.revoked_der.assign(as_bytes.begin(), as_bytes.end());
  auto authority = lines.block("CERTIFICATE");
  auto cert = lines.block("CERTIFICATE");
  if (!authority || !cert || !lines.at_end())
    return fail(Code::invalid, "the answer has not the two certificates it should");
  out.authority_pem = std::move(*authority);
  out.cert_pem = std::move(*cert);
  return out;
}

}  // namespace shoal
