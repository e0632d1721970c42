// The daemon's HTTP API: the routes of docs/api.md over an ApiBackend.
//
// Threads: start, publish and the destructor from any thread; the backend is called on the API's thread. The
// backend must outlive the server.
#pragma once

#include "node/api/api_backend.h"
#include "node/api/http_server.h"
#include "node/api/router.h"
#include "node/core/result.h"
#include "node/core/status.h"

#include <cstddef>
#include <functional>
#include <memory>

namespace shoal {

struct ApiServerOptions {
  HttpServerOptions http;
  std::size_t event_clients_max = 32;     // each is a connection that stays
  std::size_t event_queue_max = 1024;     // a client further behind is cut off and can ask for the list
  std::size_t progress_clients_max = 32;  // open pages, `shoal status --watch`
  std::size_t progress_queue_max = 8;     // seconds; frames are some 100 KB each on a large site
  // Adds further routes (the Hub's read API) after shoal's own.
  std::function<void(Router&)> more_routes;
};

class ApiServer {
 public:
  // Errors: those of HttpServer::start.
  [[nodiscard]] static Result<std::unique_ptr<ApiServer>> start(ApiServerOptions options,
                                                                ApiBackend& backend);
  ~ApiServer();
  ApiServer(const ApiServer&) = delete;
  ApiServer& operator=(const ApiServer&) = delete;

  [[nodiscard]] Endpoint endpoint() const;
  // Hands the event to every client of /shoal/v1/events. Never blocks.
  void publish(const EventRow& event);
  // The same for /shoal/v1/progress, once per snapshot. Costs nothing while nobody listens.
  void publish(const StatusSnapshot& snapshot);

 private:
  struct Impl;
  explicit ApiServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Registers shoal's own routes; what ApiServer does inside, for tests and other servers.
class EventFeed;
void add_room_routes(Router& router, ApiBackend& backend);
void add_shoal_routes(Router& router, ApiBackend& backend, std::shared_ptr<EventFeed> feed);
// What the page lives on: progress, rates, repos, piece maps. live_routes.cc
void add_live_routes(Router& router, ApiBackend& backend, std::shared_ptr<EventFeed> progress);
// The status page and its parts. page_routes.cc
void add_page_routes(Router& router);

}  // namespace shoal
