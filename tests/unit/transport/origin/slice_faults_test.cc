// What a slice does when the Hub or the CDN misbehaves: it goes on at the first undelivered byte, or fails
// with a code and a sentence, and never hands a wrong byte to its sink.
#include "tests/unit/transport/origin/hub_fixture.h"

#include <string>

#include <gmock/gmock.h>

namespace shoal::testing_hub {
namespace {

using testing::HasSubstr;
using End = ScriptedReply::End;

class SliceFaults : public HubFixture {
 protected:
  // The first `times` answers of the CDN come from `bad`, the others are right.
  void cdn_misbehaves(int times, std::function<ScriptedReply(const SeenRequest&)> bad) {
    on_cdn = [this, times, bad = std::move(bad)](const SeenRequest& request) {
      return bad_answers++ < times ? bad(request) : file_reply(request, content);
    };
  }
  ScriptedReply cut_after(const SeenRequest& request, std::size_t body_bytes, End end) const {
    ScriptedReply out = file_reply(request, content);
    out.bytes.resize(out.bytes.find("\r\n\r\n") + 4 + body_bytes);
    out.end = end;
    return out;
  }
  static constexpr int kAlways = 1'000'000;
  std::atomic<int> bad_answers = 0;
};

TEST_F(SliceFaults, ExpiredUrlInTheMiddleIsResolvedAgain) {
  on_cdn = [this](const SeenRequest& request) {
    // The first signed URL ends after its first, cut, answer.
    if (request.target.find("geheim1") == std::string::npos) return file_reply(request, content);
    return bad_answers++ == 0 ? cut_after(request, 40'000, End::close)
                              : reply(403, {}, "<Error>expired</Error>");
  };
  start();
  expect_slice(0, 100'000);
  EXPECT_EQ(hub.seen().size(), 2U);
  EXPECT_EQ(cdn.seen().at(1).header("range"), "bytes=40000-99999");
  EXPECT_EQ(cdn.seen().at(2).header("range"), "bytes=40000-99999");
  EXPECT_THAT(cdn.seen().at(2).target, HasSubstr("geheim2"));
}

TEST_F(SliceFaults, ManySlicesOfAnExpiredUrlAskTheHubOnce) {
  on_cdn = [this](const SeenRequest& request) {
    if (request.target.find("geheim1") != std::string::npos) return reply(403);
    return file_reply(request, content);
  };
  start();
  std::vector<FetchId> ids;
  for (std::uint64_t i = 0; i < 10; ++i) ids.push_back(fetch(i * 1000, 1000, std::make_shared<MemorySink>()));
  for (const FetchId id : ids) EXPECT_TRUE(wait(id));
  EXPECT_EQ(hub.seen().size(), 2U);
}

TEST_F(SliceFaults, FreshUrlThatIsRefusedFails) {
  cdn_misbehaves(kAlways, [](const SeenRequest&) { return reply(403); });
  start();
  const Error error = expect_failure(0, 1000);
  EXPECT_EQ(error.code, Code::expired);
  EXPECT_EQ(error.raw, 403);
  EXPECT_EQ(cdn.seen().size(), 2U);
}

TEST_F(SliceFaults, UrlThatSaysWhenItEndsIsNotUsedAfterwards) {
  on_hub = [this](const SeenRequest&) {
    Headers headers = linked();
    headers.emplace_back("Location", cdn.url() + "/x?X-Amz-Expires=1");
    return reply(302, headers);
  };
  start();
  expect_slice(0, 100);
  expect_slice(100, 100);
  EXPECT_EQ(hub.seen().size(), 2U);
}

TEST_F(SliceFaults, IgnoredRangeIsNoticed) {
  cdn_misbehaves(kAlways, [this](const SeenRequest&) { return reply(200, {}, content); });
  start();
  std::string got;
  const Error error = expect_failure(1000, 1000, &got);
  EXPECT_EQ(error.code, Code::invalid);
  EXPECT_THAT(error.message, HasSubstr("ignored the range"));
  EXPECT_EQ(got, "");
  EXPECT_EQ(cdn.seen().size(), 2U);
}

TEST_F(SliceFaults, OneWrongAnswerIsForgivenWithAFreshUrl) {
  cdn_misbehaves(1, [this](const SeenRequest&) { return reply(200, {}, content); });
  start();
  expect_slice(1000, 1000);
  EXPECT_EQ(hub.seen().size(), 2U);
}

TEST_F(SliceFaults, WrongRangesAndLengthsAreNoticed) {
  const std::string total = "/" + std::to_string(content.size());
  const struct {
    const char* what;
    Headers headers;
    std::size_t body;
    Code code;
  } rows[] = {
      {"shifted", {{"Content-Range", "bytes 1001-2000" + total}}, 1000, Code::invalid},
      {"longer", {{"Content-Range", "bytes 1000-2000" + total}}, 1001, Code::invalid},
      {"shorter", {{"Content-Range", "bytes 1000-1500" + total}}, 501, Code::invalid},
      {"wrong total", {{"Content-Range", "bytes 1000-1999/5000"}}, 1000, Code::changed},
      {"unknown total", {{"Content-Range", "bytes 1000-1999/*"}}, 1000, Code::changed},
      {"no range", {}, 1000, Code::invalid},
      {"less than its range", {{"Content-Range", "bytes 1000-1999" + total}}, 500, Code::invalid},
      {"more than its range", {{"Content-Range", "bytes 1000-1999" + total}}, 1500, Code::invalid},
      {"compressed",
       {{"Content-Range", "bytes 1000-1999" + total}, {"Content-Encoding", "gzip"}},
       1000,
       Code::invalid},
  };
  std::size_t at = 0;
  on_cdn = [&](const SeenRequest&) { return reply(206, rows[at].headers, std::string(rows[at].body, 'x')); };
  start();
  for (; at < std::size(rows); ++at) {
    std::string got;
    const Error error = expect_failure(1000, 1000, &got);
    EXPECT_EQ(error.code, rows[at].code) << rows[at].what << ": " << error.message;
    EXPECT_EQ(got, "") << rows[at].what;
  }
}

TEST_F(SliceFaults, MoreBytesThanTheRangeAreNotPassedOn) {
  cdn_misbehaves(kAlways, [this](const SeenRequest&) {
    const std::string head = "bytes 0-999/" + std::to_string(content.size());
    return reply(206, {{"Content-Range", head}, {"Transfer-Encoding", "chunked"}},
                 "3e8\r\n" + content.substr(0, 1000) + "\r\n3\r\nxyz\r\n0\r\n\r\n");
  });
  start();
  std::string got;
  const Error error = expect_failure(0, 1000, &got);
  EXPECT_EQ(error.code, Code::invalid);
  EXPECT_LE(got.size(), 1000U);
}

TEST_F(SliceFaults, ChunkedAnswerThatEndsEarlyIsResumed) {
  cdn_misbehaves(1, [this](const SeenRequest&) {
    const std::string range = "bytes 0-1999/" + std::to_string(content.size());
    return reply(206, {{"Content-Range", range}, {"Transfer-Encoding", "chunked"}},
                 "3e8\r\n" + content.substr(0, 1000) + "\r\n0\r\n\r\n");
  });
  start();
  expect_slice(0, 2000);
  EXPECT_EQ(cdn.seen().at(1).header("range"), "bytes=1000-1999");
}

TEST_F(SliceFaults, AnotherHashOrSizeOrCommitOnTheRedirectFailsAtOnce) {
  const Headers right = linked();
  const std::pair<const char*, std::string> rows[] = {
      {"X-Linked-ETag", std::string("\"") + kOtherSha + "\""},
      {"X-Linked-ETag", "\"0123456789012345678901234567890123456789\""},
      {"X-Linked-Size", "299999"},
      {"X-Repo-Commit", "ffffffffffffffffffffffffffffffffffffffff"},
  };
  std::size_t at = 0;
  on_hub = [&](const SeenRequest&) {
    Headers headers = right;
    for (auto& [name, value] : headers) {
      if (name == rows[at].first) value = rows[at].second;
    }
    headers.emplace_back("Location", signed_url());
    return reply(302, headers);
  };
  start();
  for (; at < std::size(rows); ++at) {
    const Error error = expect_failure(0, 1000);
    EXPECT_EQ(error.code, Code::changed) << error.message;
    EXPECT_EQ(hub.seen().size(), at + 1);
  }
  EXPECT_TRUE(cdn.seen().empty());
}

TEST_F(SliceFaults, AnotherHashOnADirectAnswerIsNoticed) {
  on_hub = [this](const SeenRequest& request) {
    const char* sha = request.method == "HEAD" ? kSha : kOtherSha;
    return file_reply(request, content, {{"ETag", std::string("\"") + sha + "\""}});
  };
  start();
  std::string got;
  EXPECT_EQ(expect_failure(0, 1000, &got).code, Code::changed);
  EXPECT_EQ(got, "");
}

TEST_F(SliceFaults, CdnETagThatChangesInTheMiddleAsksTheHub) {
  on_cdn = [this](const SeenRequest& request) {
    if (bad_answers++ > 0) return file_reply(request, content, {{"ETag", "\"two\""}});
    ScriptedReply out = file_reply(request, content, {{"ETag", "\"one\""}});
    out.bytes.resize(out.bytes.find("\r\n\r\n") + 4 + 500);
    out.end = End::close;
    return out;
  };
  start();
  expect_slice(0, 1000);
  EXPECT_EQ(hub.seen().size(), 2U);
}

TEST_F(SliceFaults, CutConnectionIsResumedAtTheFirstMissingByte) {
  cdn_misbehaves(1, [this](const SeenRequest& request) { return cut_after(request, 70'000, End::close); });
  start();
  expect_slice(1000, 100'000);
  EXPECT_EQ(cdn.seen().at(1).header("range"), "bytes=71000-100999");
  EXPECT_EQ(hub.seen().size(), 1U);
  ASSERT_EQ(retries().size(), 1U);
  EXPECT_THAT(retries().at(0).message, HasSubstr("cut the answer short"));
}

TEST_F(SliceFaults, ResetConnectionIsResumed) {
  cdn_misbehaves(2, [this](const SeenRequest& request) { return cut_after(request, 0, End::reset); });
  start();
  expect_slice(0, 100'000);
}

TEST_F(SliceFaults, StallIsGivenUpAndResumed) {
  cdn_misbehaves(1, [this](const SeenRequest& request) { return cut_after(request, 30'000, End::hang); });
  start();
  expect_slice(0, 100'000);
  EXPECT_EQ(cdn.seen().at(1).header("range"), "bytes=30000-99999");
  ASSERT_EQ(retries().size(), 1U);
  EXPECT_EQ(retries().at(0).code, Code::timeout);
}

TEST_F(SliceFaults, TrickleIsAStallAndCannotGoOnForEver) {
  options.stall_time = std::chrono::milliseconds(40);
  cdn_misbehaves(kAlways, [this](const SeenRequest& request) {
    ScriptedReply out = cut_after(request, 0, End::hang);
    out.drip = content.substr(asked_range(request).first, 300);
    return out;
  });
  start();
  std::string got;
  const Error error = expect_failure(0, 100'000, &got);
  EXPECT_EQ(error.code, Code::timeout);
  EXPECT_THAT(error.message, HasSubstr("in 40 ms"));
  EXPECT_EQ(cdn.seen().size(), 4U);
  EXPECT_EQ(asked_range(cdn.seen().at(3)).first + client->counters().bytes_received -
                asked_range(cdn.seen().at(3)).first,
            got.size());
}

TEST_F(SliceFaults, NoAnswerAtAllIsAStall) {
  cdn_misbehaves(1, [](const SeenRequest&) { return ScriptedReply{"", "", End::hang}; });
  start();
  expect_slice(0, 1000);
}

TEST_F(SliceFaults, AttemptsAreCountedAnewAfterProgress) {
  options.max_attempts = 2;
  // Twenty cuts, each after more than stall_bytes.
  cdn_misbehaves(20, [this](const SeenRequest& request) { return cut_after(request, 2000, End::close); });
  start();
  expect_slice(0, 100'000);
  EXPECT_EQ(cdn.seen().size(), 21U);
}

TEST_F(SliceFaults, ServerTroubleIsTriedSomeTimesAndThenTold) {
  cdn_misbehaves(kAlways, [](const SeenRequest&) { return reply(503); });
  start();
  const Error error = expect_failure(0, 1000);
  EXPECT_EQ(error.code, Code::unavailable);
  EXPECT_EQ(error.raw, 503);
  EXPECT_THAT(error.message, HasSubstr("bytes 0-999 of sub/model 1.safetensors of model org/name at 0123"));
  EXPECT_EQ(cdn.seen().size(), 4U);
  EXPECT_EQ(client->counters().retries, 3U);
}

TEST_F(SliceFaults, ServerTroubleThatPassesDoesNotMatter) {
  cdn_misbehaves(3, [](const SeenRequest&) { return reply(500, {}, "oh no"); });
  start();
  expect_slice(0, 1000);
}

TEST_F(SliceFaults, CdnThatIsGoneIsToldWithItsHost) {
  std::string gone;
  {
    ScriptedServer short_lived([](const SeenRequest&) { return reply(200); });
    gone = short_lived.url();
  }
  on_hub = [&](const SeenRequest&) {
    Headers headers = linked();
    headers.emplace_back("Location", gone + "/x?Signature=geheim");
    return reply(302, headers);
  };
  start();
  const Error error = expect_failure(0, 1000);
  EXPECT_EQ(error.code, Code::unavailable);
  EXPECT_THAT(error.message, HasSubstr(gone));
}

TEST_F(SliceFaults, TroubleAtTheHubIsTriedAsOftenAsTroubleAtTheCdn) {
  options.max_metadata_attempts = 1;
  on_hub = [this](const SeenRequest&) { return bad_answers++ < 3 ? reply(502) : redirect_to_cdn(); };
  start();
  expect_slice(0, 1000);
  bad_answers = -kAlways;
  client->set_token("forgets what was resolved");
  const Error error = expect_failure(0, 1000);
  EXPECT_EQ(error.code, Code::unavailable);
  EXPECT_EQ(error.raw, 502);
  EXPECT_EQ(hub.seen().size(), 8U);
}

TEST_F(SliceFaults, TheHubsRefusalReachesEverySlice) {
  on_hub = [](const SeenRequest&) { return reply(403, {{"X-Error-Code", "GatedRepo"}}); };
  start();
  const FetchId one = fetch(0, 1000, std::make_shared<MemorySink>());
  const FetchId two = fetch(1000, 1000, std::make_shared<MemorySink>());
  EXPECT_EQ(wait(one).error().code, Code::gated);
  EXPECT_EQ(wait(two).error().code, Code::gated);
}

TEST_F(SliceFaults, RedirectsToOddPlacesAreRefused) {
  const std::pair<std::string, const char*> rows[] = {
      {"ftp://evil/x", "no http or https URL"},
      {"file:///etc/passwd", "no http or https URL"},
      {"http://user:password@127.0.0.1/x", "no http or https URL"},
      {"", "no http or https URL"},
  };
  std::size_t at = 0;
  on_hub = [&](const SeenRequest&) { return reply(302, {{"Location", rows[at].first}}); };
  start();
  for (; at < std::size(rows); ++at) {
    const Error error = expect_failure(0, 1000);
    EXPECT_EQ(error.code, Code::invalid);
    EXPECT_THAT(error.message, HasSubstr(rows[at].second));
  }
}

TEST_F(SliceFaults, CdnsThatRedirectInACircleAreGivenUp) {
  on_cdn = [this](const SeenRequest&) { return reply(302, {{"Location", cdn.url() + "/again"}}); };
  start();
  EXPECT_THAT(expect_failure(0, 1000).message, HasSubstr("in a circle"));
  EXPECT_EQ(cdn.seen().size(), 6U);
}

}  // namespace
}  // namespace shoal::testing_hub
