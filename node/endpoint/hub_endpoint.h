// The Hub's read API for unchanged programs (`HF_ENDPOINT=http://127.0.0.1:8420`): what of it is answered
// from listings and files of this node, and what is passed on to the Hub. docs/endpoint.md says which.
//
// Threads: handle() on the API's thread. The backend outlives it.
#pragma once

#include "node/api/http_message.h"
#include "node/endpoint/endpoint_backend.h"

namespace shoal {

// Answers a request whose path none of shoal's own routes has; false: it is none of the Hub's either.
bool handle_hub_request(EndpointBackend& backend, const HttpRequest& request, const Responder& respond);

}  // namespace shoal
