// One question to the Hub with a short answer: API requests, resolves, small files. Redirects are followed by
// hand, passing trouble is tried again, 429 is waited out.
//
// The loop's thread only.
#pragma once

#include "node/core/result.h"
#include "transport/origin/exchange.h"
#include "transport/origin/origin_context.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>

namespace shoal {

struct HubCallSpec {
  HubQuestion question;  // for messages; with_token decides whether the token goes along
  Url url;
  bool head = false;
  std::string token;                                  // of whom this is asked for; empty: the node's own
  std::optional<std::string> post;                    // the body of a POST
  std::string content_type;                           // of that body
  std::optional<std::chrono::milliseconds> patience;  // give up with `timeout` when it is over
  // The answer is wanted as it is, whatever its status: only redirects inside the Hub are followed, and
  // passing trouble is asked again. A host that has to be left alone longer than `patience` is
  // `rate_limited`.
  bool as_it_is = false;
  std::size_t max_body = 0;
  int max_attempts = 1;  // in all, when trouble passes
  // A redirect to another origin ends the call (resolve), or is followed without the token (small files).
  bool follow_foreign = false;
  // Looks at every 2xx and 3xx of the Hub, e.g. to hold a hash against it. May be empty.
  std::function<std::optional<Error>(const ResponseHead&)> check;
};

struct HubAnswer {
  Url url;            // that gave the answer
  ResponseHead head;  // 2xx, 3xx if `foreign`, or anything if it was wanted as it is
  std::string body;
  std::optional<Url> foreign;  // where the Hub redirected to, outside of itself
};

// Runs calls, `max_metadata_requests` at a time, first come first served. Waiting calls are bounded by
// HubClient.
class HubCalls {
 public:
  using Done = std::function<void(Result<HubAnswer>)>;

  explicit HubCalls(OriginContext& context);
  ~HubCalls();

  // `done` comes later, exactly once.
  void start(HubCallSpec spec, Done done);
  // Ends every call with `cancelled`.
  void cancel_all();

 private:
  class Call;

  void make_ready(Call& call);
  void pump();
  void slot_free();
  void end(Call& call, Result<HubAnswer> result);

  OriginContext& context_;
  std::unordered_map<std::uint64_t, std::unique_ptr<Call>> calls_;
  std::deque<std::uint64_t> ready_;
  std::uint64_t next_id_ = 1;
  int running_ = 0;
};

}  // namespace shoal
