#include "transport/swarm/name_lookup.h"

#include <array>
#include <cstring>
#include <mutex>
#include <thread>
#include <utility>

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>

namespace shoal {
namespace {

std::vector<Endpoint> resolve(const Endpoint& name) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  std::vector<Endpoint> out;
  if (getaddrinfo(name.address.c_str(), nullptr, &hints, &list) != 0) return out;
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(list, &freeaddrinfo);
  for (const addrinfo* i = list; i != nullptr; i = i->ai_next) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (i->ai_family == AF_INET) {
      sockaddr_in v4{};
      std::memcpy(&v4, i->ai_addr, sizeof v4);
      inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
    } else if (i->ai_family == AF_INET6) {
      sockaddr_in6 v6{};
      std::memcpy(&v6, i->ai_addr, sizeof v6);
      inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size());
    }
    if (text[0] != '\0') out.push_back({text.data(), name.port});
  }
  return out;
}

}  // namespace

struct NameLookup::Mailbox {
  std::mutex mutex;
  // Guarded by mutex.
  std::function<void(std::vector<Endpoint>)> answer;  // empty once the owner is gone
  bool busy = false;
};

NameLookup::NameLookup(std::function<void(std::vector<Endpoint>)> answer)
    : mailbox_(std::make_shared<Mailbox>()) {
  mailbox_->answer = std::move(answer);
}

NameLookup::~NameLookup() {
  const std::lock_guard lock(mailbox_->mutex);
  mailbox_->answer = nullptr;
}

bool NameLookup::look_up(std::vector<Endpoint> names) {
  {
    const std::lock_guard lock(mailbox_->mutex);
    if (mailbox_->busy) return false;
    mailbox_->busy = true;
  }
  std::thread([mailbox = mailbox_, names = std::move(names)] {
    pthread_setname_np(pthread_self(), "swarm-names");
    std::vector<Endpoint> found;
    for (const auto& name : names) {
      for (auto& endpoint : resolve(name)) found.push_back(std::move(endpoint));
    }
    const std::lock_guard lock(mailbox->mutex);
    mailbox->busy = false;
    if (mailbox->answer) mailbox->answer(std::move(found));
  }).detach();
  return true;
}

}  // namespace shoal
