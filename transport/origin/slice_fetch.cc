#include "transport/origin/slice_fetch.h"

#include "transport/origin/content_range.h"
#include "transport/origin/slice_pool.h"
#include "transport/origin/text.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace shoal {
namespace {

constexpr int kHopsMax = 5;            // from one CDN host to another
constexpr int kAnswersRefusedMax = 2;  // a URL that has ended is replaced once; then it is no matter of age
constexpr std::chrono::milliseconds kReportEvery{100};
constexpr std::chrono::milliseconds kHoldAtMost{1000};  // on a slow line; a crash loses what is held

Time steady_now() {
  return std::chrono::steady_clock::now();
}

}  // namespace

SliceFetch::SliceFetch(SlicePool& pool, SliceRequest request, std::uint64_t order)
    : pool_(pool), context_(pool.context()), request_(std::move(request)), order_(order) {}

SliceFetch::~SliceFetch() {
  context_.loop.cancel(stall_timer_);
  context_.loop.cancel(retry_timer_);
}

std::string SliceFetch::what() const {
  const std::uint64_t last = request_.offset + request_.length - 1;
  return "bytes " + std::to_string(request_.offset + done_) + "-" + std::to_string(last) + " of " +
         context_.question(request_.file.repo, request_.file.commit, request_.file.path).text();
}

void SliceFetch::locate() {
  pool_.resolver().find(request_.file, [&pool = pool_, id = request_.id](Result<Resolver::Place> place) {
    if (SliceFetch* fetch = pool.find(id)) fetch->on_place(std::move(place));
  });
}

void SliceFetch::on_place(Result<Resolver::Place> place) {
  if (!place) return pool_.end(*this, fail(std::move(place.error())));
  place_ = std::move(*place);
  url_ = place_.url;
  hops_ = 0;
  pool_.make_ready(*this);
}

void SliceFetch::receive() {
  counted_host_ = host();
  verdict_ = Verdict::good;
  head_ = {};
  problem_.reset();
  began_at_ = done_;
  asked_ = left();
  ++context_.requests;
  const std::uint64_t first = request_.offset + done_;
  const ExchangeSpec spec{
      .url = url_,
      .head = false,
      .token = context_.token_for(url_, request_.file.token),
      .range = std::to_string(first) + "-" + std::to_string(request_.offset + request_.length - 1),
      .own_connection = true,
      .time_allowed = {}};
  exchange_ = std::make_unique<Exchange>(context_.loop, context_.http, spec, *this);
  window_began_ = steady_now();
  flushed_at_ = window_began_;
  window_held_up_ = context_.loop.held_up();
  window_bytes_ = 0;
  window_paused_ = false;
  paused_ = false;
  arm_stall_timer(context_.options.stall_time);
}

void SliceFetch::resume() {
  paused_ = false;
  if (exchange_) exchange_->resume();
}

bool SliceFetch::trim(std::uint64_t length) {
  if (length <= done_) return false;
  request_.length = std::min(request_.length, length);
  if (exchange_) exchange_->do_not_reuse();
  return true;
}

void SliceFetch::abandon() {
  exchange_.reset();
  context_.loop.cancel(stall_timer_);
  context_.loop.cancel(retry_timer_);
  if (!counted_host_.empty()) pool_.connection_closed(std::exchange(counted_host_, {}));
  // What the sink says of it does not matter any more.
  static_cast<void>(flush());
  report(steady_now());
}

bool SliceFetch::wrong(Code code, std::string is) {
  verdict_ = Verdict::wrong;
  problem_ = Error{code, host() + " " + std::move(is) + ", asked for " + what(), head_.status};
  return false;
}

bool SliceFetch::on_head(const ResponseHead& head) {
  head_ = head;
  if (head.status == 206) return judge_206(head);
  if (head.status == 200) return judge_200(head);
  if (is_redirect(head.status)) {
    verdict_ = Verdict::hop;
  } else if (head.status == 429) {
    verdict_ = Verdict::limited;
  } else if (is_passing_trouble(head.status)) {
    verdict_ = Verdict::trouble;
  } else if (head.status == 416) {
    return wrong(Code::changed, "says the file ends before that");
  } else if (head.status >= 400) {
    verdict_ = Verdict::refused;
  } else {
    return wrong(Code::invalid, "answers " + std::to_string(head.status));
  }
  return true;
}

bool SliceFetch::judge_206(const ResponseHead& head) {
  const auto range = parse_content_range(head.value("content-range"));
  if (!range) return wrong(Code::invalid, "sent part of a file without saying which");
  if (!range->total || *range->total != request_.file.blob.size) {
    return wrong(Code::changed, "has a file of " +
                                    (range->total ? std::to_string(*range->total) : "unknown") +
                                    " bytes instead of " + std::to_string(request_.file.blob.size));
  }
  const std::uint64_t first = request_.offset + done_;
  if (range->first != first || range->last != first + asked_ - 1) {
    return wrong(Code::invalid, "sent bytes " + std::to_string(range->first) + "-" +
                                    std::to_string(range->last) + " instead");
  }
  return judge_body(head, asked_);
}

bool SliceFetch::judge_200(const ResponseHead& head) {
  // The whole file is what was asked for only if the slice is the whole file and nothing of it has come.
  if (request_.offset != 0 || done_ != 0 || asked_ != request_.file.blob.size) {
    return wrong(Code::invalid, "ignored the range and sent the whole file");
  }
  return judge_body(head, asked_);
}

bool SliceFetch::judge_body(const ResponseHead& head, std::uint64_t expected) {
  const std::string_view encoding = head.value("content-encoding");
  if (!encoding.empty() && encoding != "identity") {
    return wrong(Code::invalid, "compressed the file with " + printable(encoding));
  }
  const std::string_view length = head.value("content-length");
  if (!length.empty() && parse_decimal(length) != expected) {
    return wrong(head.status == 200 ? Code::changed : Code::invalid,
                 "sent " + printable(length) + " bytes instead of " + std::to_string(expected));
  }
  if (context_.is_hub(url_)) {
    if (auto mismatch = identity_mismatch(request_.file, head)) {
      verdict_ = Verdict::wrong;
      problem_ = std::move(*mismatch);
      return false;
    }
  }
  // The CDN's ETag is no hash of ours, but one host has one for one content.
  const std::string_view etag = head.value("etag");
  if (!etag.empty()) {
    if (first_etag_host_ != host()) {
      first_etag_host_ = host();
      first_etag_ = etag;
    } else if (first_etag_ != etag) {
      first_etag_ = etag;  // a fresh URL is vouched for by the Hub's own hash
      return wrong(Code::changed, "has another version of the file than at the slice's beginning");
    }
  }
  return true;
}

Exchange::Take SliceFetch::on_body(std::span<const std::byte> bytes) {
  if (verdict_ != Verdict::good) {
    // The text of an error or redirect: short ones are read, so that the connection can be used again.
    constexpr std::size_t kIgnoredMax = 64 * kKiB;
    window_bytes_ += bytes.size();
    return window_bytes_ <= kIgnoredMax ? Exchange::Take::taken : Exchange::Take::stop;
  }
  const Time now = steady_now();
  if (!pool_.may_receive(now)) {
    paused_ = true;
    window_paused_ = true;
    pool_.wait_for_tokens(request_.id);
    return Exchange::Take::pause;
  }
  pool_.received(bytes.size());
  context_.bytes_received += bytes.size();
  window_bytes_ += bytes.size();
  const bool trimmed = asked_ > request_.length - began_at_;
  if (trimmed && bytes.size() > left()) {
    context_.bytes_wasted += bytes.size() - left();
    bytes = bytes.first(left());
  }
  if (bytes.size() > left()) {
    context_.bytes_wasted += bytes.size();
    wrong(Code::invalid, "sent more bytes than it said");
    return Exchange::Take::stop;
  }
  held_.insert(held_.end(), bytes.begin(), bytes.end());
  done_ += bytes.size();
  unreported_ += bytes.size();
  if (held_.size() >= context_.options.sink_batch || now - flushed_at_ >= kHoldAtMost) {
    if (!flush()) return Exchange::Take::stop;
    flushed_at_ = steady_now();  // not `now`: a slow sink would get small writes, and become slower still
  }
  if (now - reported_at_ >= kReportEvery) report(now);
  // The rest of a trimmed answer is not wanted.
  return trimmed && left() == 0 ? Exchange::Take::stop : Exchange::Take::taken;
}

bool SliceFetch::flush() {
  if (held_.empty() || !request_.sink) return true;
  Result<void> written = request_.sink->write(held_);
  held_.clear();
  if (written) return true;
  verdict_ = Verdict::sink_full;
  problem_ = std::move(written.error());
  request_.sink.reset();
  return false;
}

void SliceFetch::report(Time now) {
  reported_at_ = now;
  if (unreported_ > 0) pool_.report(request_.id, std::exchange(unreported_, 0));
}

void SliceFetch::arm_stall_timer(Duration wait) {
  context_.loop.cancel(stall_timer_);
  stall_timer_ = context_.loop.at(steady_now() + wait, [this] {
    stall_timer_ = {};
    on_stall_timer();
  });
}

void SliceFetch::on_stall_timer() {
  const HubClient::Options& options = context_.options;
  const Duration held_up = context_.loop.held_up() - window_held_up_;
  const Time now = steady_now();
  const Duration watched = now - window_began_ - held_up;
  if (!window_paused_ && window_bytes_ < options.stall_bytes) {
    if (watched < options.stall_time) return arm_stall_timer(options.stall_time - watched);
    exchange_.reset();
    return on_end({Error{Code::timeout,
                         host() + " brought only " + std::to_string(window_bytes_) + " bytes in " +
                             std::to_string(options.stall_time.count()) + " ms of " + what(),
                         0},
                   true});
  }
  window_began_ = now;
  window_held_up_ = context_.loop.held_up();
  window_bytes_ = 0;
  window_paused_ = paused_;
  arm_stall_timer(options.stall_time);
}

void SliceFetch::on_end(ExchangeEnd end) {
  exchange_.reset();
  context_.loop.cancel(stall_timer_);
  pool_.connection_closed(std::exchange(counted_host_, {}));
  if (verdict_ != Verdict::sink_full) static_cast<void>(flush());
  report(steady_now());
  attempt_over(std::move(end));
}

void SliceFetch::attempt_over(ExchangeEnd end) {
  if (verdict_ == Verdict::sink_full) return pool_.end(*this, fail(std::move(*problem_)));
  note_progress();
  switch (verdict_) {
    case Verdict::hop: {
      auto target = redirect_target(url_, head_);
      if (!target) return pool_.end(*this, fail(std::move(target.error())));
      if (++hops_ > kHopsMax) return pool_.end(*this, fail(Code::invalid, host() + " redirects in a circle"));
      url_ = std::move(*target);
      return pool_.make_ready(*this);
    }
    case Verdict::refused:
      return on_refused();
    case Verdict::limited:
      return on_limited();
    case Verdict::trouble:
      return retry({head_.status == 408 ? Code::timeout : Code::unavailable,
                    host() + " answers " + std::to_string(head_.status) + " for " + what(), head_.status});
    case Verdict::wrong:
      return on_wrong();
    case Verdict::good:
    case Verdict::sink_full:
      break;
  }
  if (left() == 0) return pool_.end(*this, {});
  if (!end.error) return retry({Code::unavailable, host() + " ended the answer before " + what(), 0});
  if (!end.passing) return pool_.end(*this, fail(std::move(*end.error)));
  retry(std::move(*end.error));
}

void SliceFetch::note_progress() {
  // Anything less could go on for ever.
  const std::uint64_t enough = std::min(context_.options.stall_bytes, request_.length - began_at_);
  if (verdict_ != Verdict::limited) limits_ = 0;
  if (done_ == began_at_ || done_ - began_at_ < enough) return;
  failures_ = 0;
  refusals_ = 0;
  wrongs_ = 0;
}

void SliceFetch::on_refused() {
  if (++refusals_ < kAnswersRefusedMax) {
    pool_.resolver().refuse(request_.file, place_.generation);
    return locate();
  }
  if (context_.is_hub(url_)) {
    const auto question = context_.question(request_.file.repo, request_.file.commit, request_.file.path);
    return pool_.end(*this, fail(hub_error(question, head_)));
  }
  pool_.end(*this, fail(Code::expired,
                        host() + " answers " + std::to_string(head_.status) + " for " + what() +
                            ", with a URL the Hub has just given",
                        head_.status));
}

void SliceFetch::on_wrong() {
  if (++wrongs_ >= kAnswersRefusedMax || left() == 0) return pool_.end(*this, fail(std::move(*problem_)));
  pool_.resolver().refuse(request_.file, place_.generation);
  retry(std::move(*problem_));
}

void SliceFetch::on_limited() {
  const Time now = steady_now();
  if (limits_++ == 0) limited_since_ = now;
  if (now - limited_since_ > context_.options.rate_limit_patience) {
    return pool_.end(*this, fail(Code::rate_limited, host() + " limits requests, asked for " + what(), 429));
  }
  context_.note_limited(url_, head_, limits_);
  locate();
}

void SliceFetch::retry(Error error) {
  if (++failures_ >= context_.options.max_attempts) return pool_.end(*this, fail(std::move(error)));
  ++context_.retries;
  const Duration wait = context_.backoff(failures_);
  if (context_.notices.on_retry) context_.notices.on_retry(request_.id, std::move(error), wait);
  retry_timer_ = context_.loop.at(steady_now() + wait, [this] {
    retry_timer_ = {};
    locate();
  });
}

}  // namespace shoal
