// The port where machines join a closed cluster: TLS, one request and one answer a connection. It is open
// only while the authority has open invitations.
//
// A stranger may connect: it learns the authority's certificate and nothing else, and holds one of kSessions
// places for at most kPatience.
//
// Threads: one of its own, on which the handler is called. start() and the destructor block for moments.
#pragma once

#include "node/core/messages.h"
#include "node/core/result.h"
#include "node/trust/certificates.h"

#include <chrono>
#include <functional>
#include <memory>
#include <string>

namespace shoal {

class JoinListener {
 public:
  static constexpr int kSessions = 32;                  // a script that joins a whole site at once
  static constexpr std::chrono::seconds kPatience{10};  // for handshake, request and answer together

  // Answers the text of a request (join_text.h) with a text.
  using Handler = std::function<std::string(const std::string& request, const std::string& remote)>;

  // `shown`: the certificate of this port; `authority_pem` is sent along, so that it can be held against the
  // token. Errors: unavailable (the address cannot be listened on), invalid.
  [[nodiscard]] static Result<std::unique_ptr<JoinListener>> start(const Endpoint& listen, const Keyed& shown,
                                                                   const std::string& authority_pem,
                                                                   Handler handler);
  ~JoinListener();
  JoinListener(const JoinListener&) = delete;
  JoinListener& operator=(const JoinListener&) = delete;

  // With the port that the system chose, if it was to.
  [[nodiscard]] Endpoint endpoint() const;

 private:
  class Impl;
  explicit JoinListener(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace shoal
