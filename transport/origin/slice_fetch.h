// One slice on its way: resolve, wait for a connection, receive, and go on after whatever went wrong from the
// first byte the sink has not got.
//
// The loop's thread only.
#pragma once

#include "node/core/ports.h"
#include "transport/origin/exchange.h"
#include "transport/origin/origin_context.h"
#include "transport/origin/resolver.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace shoal {

class SlicePool;

class SliceFetch final : public Exchange::Client {
 public:
  SliceFetch(SlicePool& pool, SliceRequest request, std::uint64_t order);
  ~SliceFetch() override;
  SliceFetch(const SliceFetch&) = delete;
  SliceFetch& operator=(const SliceFetch&) = delete;

  [[nodiscard]] FetchId id() const { return request_.id; }
  [[nodiscard]] std::uint64_t order() const { return order_; }  // first come, first served, retries included
  [[nodiscard]] std::string host() const { return url_.origin(); }

  // Asks where the bytes are; make_ready() of the pool follows, or the end.
  void locate();
  // The pool gives a connection.
  void receive();
  void resume();
  // Ends after this many bytes of the slice and closes the connection. false: it has got as many already.
  [[nodiscard]] bool trim(std::uint64_t length);
  // Gives up what is under way, keeps what arrived: the bytes still held go to the sink.
  void abandon();
  void drop_sink() { request_.sink.reset(); }

 private:
  // What is wrong with the connection's answer.
  enum class Verdict : std::uint8_t {
    good,      // bytes flow
    hop,       // a redirect
    refused,   // 4xx: the URL has ended, most likely
    limited,   // 429
    trouble,   // 5xx
    wrong,     // not the bytes that were asked for
    sink_full  // the sink said no
  };

  bool on_head(const ResponseHead& head) override;
  Exchange::Take on_body(std::span<const std::byte> bytes) override;
  void on_end(ExchangeEnd end) override;

  void on_place(Result<Resolver::Place> place);
  bool judge_206(const ResponseHead& head);
  bool judge_200(const ResponseHead& head);
  bool judge_body(const ResponseHead& head, std::uint64_t expected);
  bool wrong(Code code, std::string what);
  void on_stall_timer();
  void arm_stall_timer(Duration wait);
  void attempt_over(ExchangeEnd end);
  void note_progress();
  void on_refused();
  void on_wrong();
  void on_limited();
  void retry(Error error);
  bool flush();  // hands held bytes to the sink; false: it refused
  void report(Time now);

  [[nodiscard]] std::uint64_t left() const { return request_.length - done_; }  // not yet with us
  [[nodiscard]] std::string what() const;                                       // for messages

  SlicePool& pool_;
  OriginContext& context_;
  SliceRequest request_;
  const std::uint64_t order_;

  // Where the bytes are.
  Resolver::Place place_;
  Url url_;  // place_.url, or where it redirected to
  int hops_ = 0;

  // What has come.
  std::uint64_t done_ = 0;       // bytes received and right in place: in the sink, or held
  std::vector<std::byte> held_;  // the last of them, not yet in the sink
  Time flushed_at_{};
  std::uint64_t unreported_ = 0;
  Time reported_at_{};

  // This attempt.
  std::unique_ptr<Exchange> exchange_;
  std::string counted_host_;  // under which the pool counts the connection; empty: none
  Verdict verdict_ = Verdict::good;
  ResponseHead head_;
  std::optional<Error> problem_;
  std::uint64_t began_at_ = 0;  // done_ when the attempt began
  std::uint64_t asked_ = 0;     // bytes its request asked for; more than left() once the slice was trimmed
  std::string first_etag_;      // of the first good answer, and who gave it
  std::string first_etag_host_;

  // Stall watch.
  CurlLoop::TimerId stall_timer_{};
  Time window_began_{};
  Duration window_held_up_{};
  std::uint64_t window_bytes_ = 0;
  bool window_paused_ = false;  // it waited for tokens: no fault of the connection
  bool paused_ = false;         // at this moment

  // In a row without progress.
  int failures_ = 0;
  int refusals_ = 0;
  int wrongs_ = 0;
  int limits_ = 0;
  Time limited_since_{};
  CurlLoop::TimerId retry_timer_{};
};

}  // namespace shoal
