// What a machine that joins a closed cluster and the authority say to each other (node/trust/join_text.h),
// and the certificates in it.
#include "node/trust/certificates.h"
#include "node/trust/join_text.h"
#include "tests/fuzz/fuzz_authority.h"
#include "tests/fuzz/fuzz_target.h"

using namespace shoal;

namespace {

void check_request(const JoinRequest& request) {
  const auto again = parse_join_request(format_join_request(request));
  FUZZ_REQUIRE(again.has_value() && again->secret == request.secret && again->node == request.node &&
               again->name == request.name && again->cluster == request.cluster &&
               again->request_pem == request.request_pem);
  const auto issued =
      issue_node(fuzz::authority(), request.request_pem, request.node, request.name, fuzz::now());
  if (!issued) return;
  // Whatever the request says of names: the certificate is the one of the node that asked.
  const auto info = describe_certificate(*issued);
  FUZZ_REQUIRE(info.has_value() && info->node == request.node);
}

void check_answer(const JoinAnswer& answer) {
  const auto again = parse_join_answer(format_join_answer(answer));
  FUZZ_REQUIRE(again.has_value() && again->authority_pem == answer.authority_pem &&
               again->cert_pem == answer.cert_pem && again->revoked_der == answer.revoked_der);
  const auto described = describe_certificate(answer.cert_pem);
  const auto cluster = cluster_of(answer.authority_pem);
  const auto print = fingerprint(answer.authority_pem);
  if (cluster) FUZZ_REQUIRE(print.has_value());
  if (described) FUZZ_REQUIRE(fingerprint(answer.cert_pem).has_value());
}

}  // namespace

SHOAL_FUZZ_TARGET(join_text, 4) {
  const auto text = fuzz::as_text(input);
  if (const auto request = parse_join_request(text)) check_request(*request);
  const auto answer = parse_join_answer(text);
  if (answer) check_answer(*answer);
  // A refusal is shown to a person: one short line.
  if (!answer) {
    FUZZ_REQUIRE(answer.error().message.size() < 500 &&
                 answer.error().message.find_first_of("\r\n\x1b") == std::string::npos);
  }
}
