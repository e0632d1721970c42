// Live events for any number of clients, each behind a bounded queue of its own.
//
// Threads: all methods from any thread.
#pragma once

#include "node/api/http_message.h"

#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace shoal {

class EventStream;

class EventFeed {
 public:
  struct Limits {
    std::size_t clients_max = 32;  // each is a connection that stays
    std::size_t queue_max = 1024;  // frames; a client further behind is cut off
  };
  explicit EventFeed(Limits limits) : limits_(limits) {}

  // Queues one frame, already in the form of server-sent events, for every client.
  void publish(const std::string& frame);
  [[nodiscard]] bool has_clients();
  // A body that never ends by itself and begins with `first`; null when there are clients_max already.
  [[nodiscard]] std::shared_ptr<BodyStream> subscribe(const std::string& first = {});

 private:
  // Drops the streams of clients that are gone. REQUIRES: mutex_ held.
  void forget_the_gone();

  const Limits limits_;
  std::mutex mutex_;
  std::vector<std::weak_ptr<EventStream>> streams_;  // guarded by mutex_
};

}  // namespace shoal
