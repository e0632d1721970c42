#include "transport/origin/hub_call.h"

#include <algorithm>
#include <utility>

namespace shoal {
namespace {

constexpr int kHopsMax = 10;  // a rename, the edge-cached copy, a CDN that passes on: three are usual

}  // namespace

class HubCalls::Call final : public Exchange::Client {
 public:
  Call(HubCalls& owner, std::uint64_t call_id, HubCallSpec spec, Done done)
      : id(call_id),
        owner_(owner),
        context_(owner.context_),
        spec_(std::move(spec)),
        done_(std::move(done)),
        url_(spec_.url) {
    if (spec_.patience) give_up_ = context_now() + *spec_.patience;
  }
  ~Call() override { context_.loop.cancel(timer_); }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  const std::uint64_t id;

  // When its host may be asked.
  [[nodiscard]] Time free_at() const { return context_.pauses.free_at(url_.origin()); }
  // Whether waiting until then would be too long for whoever asked.
  [[nodiscard]] bool too_late(Time when) const { return give_up_ && when >= *give_up_; }
  [[nodiscard]] Error cannot_wait() const {
    return {Code::rate_limited,
            url_.origin() + " limits requests: " + spec_.question.text() + " cannot be asked for yet", 0};
  }

  void run() {
    head_ = {};
    body_.clear();
    problem_.reset();
    ++context_.requests;
    ExchangeSpec exchange{.url = url_,
                          .head = spec_.head,
                          .token = spec_.question.with_token ? context_.token_for(url_, spec_.token) : "",
                          .range = {},
                          .post = spec_.post ? &*spec_.post : nullptr,
                          .content_type = spec_.content_type,
                          .own_connection = false,
                          .time_allowed = context_.options.metadata_timeout};
    if (give_up_) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(*give_up_ - context_now());
      exchange.time_allowed = std::max(std::chrono::milliseconds(1), left);
    }
    exchange_ = std::make_unique<Exchange>(context_.loop, context_.http, exchange, *this);
  }

  void wait_until(Time when) {
    timer_ = context_.loop.at(when, [this] {
      timer_ = {};
      owner_.make_ready(*this);
    });
  }

  [[nodiscard]] bool is_running() const { return exchange_ != nullptr; }
  Done take_done() { return std::move(done_); }

  bool on_head(const ResponseHead& head) override {
    head_ = head;
    const bool success = head.status / 100 == 2;
    const std::string_view encoding = head.value("content-encoding");
    if (success && !spec_.head && !encoding.empty() && encoding != "identity") {
      problem_ =
          Error{Code::invalid, url_.origin() + " sent " + spec_.question.text() + " compressed, unasked",
                head.status};
    } else if (context_.is_hub(url_) && spec_.check && (success || is_redirect(head.status))) {
      problem_ = spec_.check(head);
    }
    return !problem_;
  }

  Exchange::Take on_body(std::span<const std::byte> bytes) override {
    if (head_.status / 100 != 2 && (!spec_.as_it_is || is_redirect(head_.status))) {
      // The text of an error or redirect is not used; a long one is not waited for.
      ignored_ += bytes.size();
      return ignored_ <= kIgnoredMax ? Exchange::Take::taken : Exchange::Take::stop;
    }
    if (body_.size() + bytes.size() > spec_.max_body) {
      problem_ = Error{Code::invalid,
                       url_.origin() + " sent more than " + std::to_string(spec_.max_body) + " bytes for " +
                           spec_.question.text(),
                       head_.status};
      return Exchange::Take::stop;
    }
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): bytes to text
    body_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return Exchange::Take::taken;
  }

  void on_end(ExchangeEnd end) override {
    exchange_.reset();
    ignored_ = 0;
    owner_.slot_free();
    if (problem_) return owner_.end(*this, fail(std::move(*problem_)));
    // An error's or redirect's head is enough, even if its body did not come whole.
    if (head_.status >= 300 && (!spec_.as_it_is || is_redirect(head_.status))) return on_other_status();
    if (end.error)
      return end.passing ? try_again(std::move(*end.error)) : owner_.end(*this, fail(*end.error));
    if (spec_.as_it_is && head_.status == 429) {
      context_.note_limited(url_, head_, ++limited_in_a_row_);
      // Python's client before 1.2 gives up at the first one: what is over in time it need not see.
      if (!too_late(free_at())) return owner_.make_ready(*this);
    }
    if (spec_.as_it_is && is_passing_trouble(head_.status) && failures_ + 1 < spec_.max_attempts) {
      return try_again({Code::unavailable, url_.origin() + " answers " + std::to_string(head_.status), 0});
    }
    owner_.end(*this, HubAnswer{url_, std::move(head_), std::move(body_), std::nullopt});
  }

 private:
  static Time context_now() { return std::chrono::steady_clock::now(); }

  static constexpr std::size_t kIgnoredMax = 64 * kKiB;

  void on_other_status() {
    if (is_redirect(head_.status)) return on_redirect();
    if (head_.status == 429) return on_limited();
    Error error = hub_error(spec_.question, head_);
    const bool at_hub = context_.is_hub(url_);
    if (!at_hub) error = cdn_error();
    if (is_passing_trouble(head_.status)) return try_again(std::move(error));
    if (!at_hub && !refused_before_) {  // the signed URL may have ended: ask the Hub for another one
      refused_before_ = true;
      return start_over();
    }
    owner_.end(*this, fail(std::move(error)));
  }

  Error cdn_error() const {
    const Code code = is_passing_trouble(head_.status) ? Code::unavailable : Code::expired;
    return {code,
            url_.origin() + " answers " + std::to_string(head_.status) + " for " + spec_.question.text() +
                ", with a URL the Hub has just given",
            head_.status};
  }

  void on_redirect() {
    auto target = redirect_target(url_, head_);
    if (!target) return owner_.end(*this, fail(std::move(target.error())));
    if (!spec_.follow_foreign && !context_.is_hub(*target)) {
      return owner_.end(*this, HubAnswer{url_, std::move(head_), {}, std::move(*target)});
    }
    if (++hops_ > kHopsMax) {
      return owner_.end(*this, fail(Code::invalid, context_.hub.origin() + " redirects in a circle for " +
                                                       spec_.question.text()));
    }
    url_ = std::move(*target);
    owner_.make_ready(*this);
  }

  void on_limited() {
    const Time now = std::chrono::steady_clock::now();
    if (limited_in_a_row_++ == 0) limited_since_ = now;
    if (now - limited_since_ > context_.options.rate_limit_patience) {
      return owner_.end(*this, fail(hub_error(spec_.question, head_)));
    }
    context_.note_limited(url_, head_, limited_in_a_row_);
    owner_.make_ready(*this);
  }

  void try_again(Error error) {
    if (++failures_ >= spec_.max_attempts) return owner_.end(*this, fail(std::move(error)));
    const Time when = std::chrono::steady_clock::now() + context_.backoff(failures_);
    if (too_late(when)) return owner_.end(*this, fail(std::move(error)));
    hops_ = 0;
    url_ = spec_.url;
    wait_until(when);
  }

  void start_over() {
    hops_ = 0;
    url_ = spec_.url;
    owner_.make_ready(*this);
  }

  HubCalls& owner_;
  OriginContext& context_;
  const HubCallSpec spec_;
  Done done_;

  Url url_;  // where it asks at present
  std::unique_ptr<Exchange> exchange_;
  CurlLoop::TimerId timer_{};
  ResponseHead head_;
  std::string body_;
  std::size_t ignored_ = 0;
  std::optional<Error> problem_;  // with the answer itself
  int hops_ = 0;
  int failures_ = 0;
  int limited_in_a_row_ = 0;
  Time limited_since_{};
  bool refused_before_ = false;
  std::optional<Time> give_up_;
};

HubCalls::HubCalls(OriginContext& context) : context_(context) {}
HubCalls::~HubCalls() = default;

void HubCalls::start(HubCallSpec spec, Done done) {
  const std::uint64_t id = next_id_++;
  auto call = std::make_unique<Call>(*this, id, std::move(spec), std::move(done));
  Call& reference = *call;
  calls_.emplace(id, std::move(call));
  make_ready(reference);
}

void HubCalls::cancel_all() {
  ready_.clear();
  auto calls = std::exchange(calls_, {});
  for (auto& [id, call] : calls) {
    call->take_done()(fail(Code::cancelled, "the Hub client is being stopped"));
  }
}

void HubCalls::make_ready(Call& call) {
  ready_.push_back(call.id);
  // Later, so that a caller of start() has its own house in order before anything happens.
  context_.loop.defer([this] { pump(); });
}

void HubCalls::slot_free() {
  --running_;
  context_.loop.defer([this] { pump(); });
}

void HubCalls::pump() {
  const int limit = std::max(context_.options.max_metadata_requests, 1);
  while (running_ < limit && !ready_.empty()) {
    const auto found = calls_.find(ready_.front());
    ready_.pop_front();
    if (found == calls_.end()) continue;
    Call& call = *found->second;
    const Time free_at = call.free_at();
    if (free_at > std::chrono::steady_clock::now()) {
      if (call.too_late(free_at)) {
        end(call, fail(call.cannot_wait()));
        continue;
      }
      call.wait_until(free_at);
      continue;
    }
    ++running_;
    call.run();
  }
}

void HubCalls::end(Call& call, Result<HubAnswer> result) {
  const auto found = calls_.find(call.id);
  const Done done = call.take_done();
  // It is still on the stack.
  context_.loop.defer([dead = std::shared_ptr<Call>(std::move(found->second))] {});
  calls_.erase(found);
  done(std::move(result));
}

}  // namespace shoal
