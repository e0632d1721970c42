#include "node/api/api_server.h"

#include "node/api/event_feed.h"
#include "node/api/json_rows.h"
#include "node/api/live_rows.h"
#include "node/version.h"

#include <utility>

#include <nlohmann/json.hpp>

namespace shoal {

struct ApiServer::Impl {
  Router router;
  std::shared_ptr<EventFeed> feed;
  std::shared_ptr<EventFeed> progress;
  std::unique_ptr<HttpServer> server;
};

ApiServer::ApiServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

// The server goes first: its connections use the router.
ApiServer::~ApiServer() {
  impl_->server.reset();
}

Result<std::unique_ptr<ApiServer>> ApiServer::start(ApiServerOptions options, ApiBackend& backend) {
  auto impl = std::make_unique<Impl>();
  impl->feed =
      std::make_shared<EventFeed>(EventFeed::Limits{options.event_clients_max, options.event_queue_max});
  impl->progress = std::make_shared<EventFeed>(
      EventFeed::Limits{options.progress_clients_max, options.progress_queue_max});
  add_shoal_routes(impl->router, backend, impl->feed);
  add_room_routes(impl->router, backend);
  add_live_routes(impl->router, backend, impl->progress);
  add_page_routes(impl->router);
  if (options.more_routes) options.more_routes(impl->router);
  // The client compares this version with its own.
  options.http.server_name = std::string("shoald/") + kVersion;
  auto server = HttpServer::start(std::move(options.http),
                                  [router = &impl->router](const HttpRequest& request, Responder respond) {
                                    router->handle(request, std::move(respond));
                                  });
  if (!server) return fail(server.error());
  impl->server = std::move(*server);
  return std::unique_ptr<ApiServer>(new ApiServer(std::move(impl)));
}

Endpoint ApiServer::endpoint() const {
  return impl_->server->endpoint();
}

void ApiServer::publish(const EventRow& event) {
  // A frame of server-sent events; JSON has no line ends inside.
  impl_->feed->publish("event: " + event.kind + "\ndata: " + dump(to_json(event)) + "\n\n");
}

void ApiServer::publish(const StatusSnapshot& snapshot) {
  if (impl_->progress->has_clients()) impl_->progress->publish(progress_frame(snapshot));
}

}  // namespace shoal
