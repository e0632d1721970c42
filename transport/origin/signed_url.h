// Until when a signed CDN URL may be used, as its query says.
#pragma once

#include "node/core/time.h"

#include <chrono>
#include <optional>
#include <string_view>

namespace shoal {

// `Expires` (Unix seconds: CloudFront, old S3), or `X-Amz-Date` with `X-Amz-Expires`, or the same of
// `X-Goog-`. Without a date the seconds count from `now`. Nullopt: the query does not say.
[[nodiscard]] std::optional<WallTime> signed_url_expiry(std::string_view query, WallTime now);

// How long to keep a URL that was received at `now` by the server's clock: a minute less than it lives, or
// half its life if that is longer, so that no request is sent with a URL that ends on its way; 50 minutes
// when it does not say (the Hub's live an hour); 20 s when it seems to have ended before it came, so that a
// clock that is off costs requests and not the download; never over 12 hours. Whole seconds: one that lives a
// second is used for what it was asked for, and not kept.
[[nodiscard]] std::chrono::seconds signed_url_keep(std::string_view query, WallTime now);

}  // namespace shoal
