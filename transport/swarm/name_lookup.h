// Turns the names of explicit peers into addresses, in the background.
//
// getaddrinfo blocks for as long as it likes and cannot be cancelled, so it runs on a thread that nobody
// waits for; an answer that comes after the owner is gone is dropped. One round at a time.
#pragma once

#include "node/core/messages.h"

#include <functional>
#include <memory>
#include <vector>

namespace shoal {

class NameLookup {
 public:
  // `answer` is called on the lookup's thread, with all addresses found; it must only post.
  explicit NameLookup(std::function<void(std::vector<Endpoint>)> answer);
  ~NameLookup();
  NameLookup(const NameLookup&) = delete;
  NameLookup& operator=(const NameLookup&) = delete;

  // False, and nothing done, while a round is under way. REQUIRES: there are names.
  [[nodiscard]] bool look_up(std::vector<Endpoint> names);

 private:
  struct Mailbox;
  std::shared_ptr<Mailbox> mailbox_;
};

}  // namespace shoal
