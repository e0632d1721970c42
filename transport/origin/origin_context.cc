#include "transport/origin/origin_context.h"

#include "node/core/backoff.h"
#include "transport/origin/http_date.h"
#include "transport/origin/rate_limit_header.h"
#include "transport/origin/text.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace shoal {
namespace {

HttpSettings http_settings(const HubClient::Options& o) {
  return {o.user_agent, o.ca_file, o.ca_dir, o.proxy, o.connect_timeout, o.max_header_bytes};
}

Url without_trailing_slash(Url url) {
  while (url.path.ends_with('/')) url.path.pop_back();
  url.query.clear();
  return url;
}

}  // namespace

OriginContext::OriginContext(HubClient::Options o, HubClient::Notices n, Url hub_url)
    : options(std::move(o)),
      notices(std::move(n)),
      hub(without_trailing_slash(std::move(hub_url))),
      http(http_settings(options)),
      token(options.token),
      random(std::random_device{}()) {}

Url OriginContext::api_url(const RepoRef& repo, std::string_view what, std::string_view revision,
                           std::string query) const {
  Url url = hub;
  url.path += "/api/" + std::string(to_string(repo.type)) + "s/" + escape_path(repo.name) + "/" +
              std::string(what) + "/" + escape_segment(revision);
  url.query = std::move(query);
  return url;
}

Url OriginContext::resolve_url(const OriginFile& file) const {
  Url url = hub;
  url.path += std::string(web_prefix(file.repo.type)) + escape_path(file.repo.name) + "/resolve/" +
              escape_segment(file.commit) + "/" + escape_path(file.path);
  return url;
}

HubQuestion OriginContext::question(const RepoRef& repo, std::string revision, std::string path) const {
  return {repo, std::move(revision), std::move(path), hub.origin(), !token.empty()};
}

void OriginContext::note_limited(const Url& url, const ResponseHead& head, int in_a_row) {
  ++rate_limited;
  const LimitHeaders headers{head.value("ratelimit"), head.value("ratelimit-policy"),
                             head.value("retry-after")};
  Duration wait = backoff(in_a_row);
  if (const auto asked = limit_pause(headers, server_time(head))) {
    // All nodes of a site share an address and a window: up to a second of jitter keeps them from coming back
    // in the same moment.
    const std::chrono::duration<double> spread(std::min(1.0, 0.1 * static_cast<double>(asked->count())) *
                                               jitter());
    wait = *asked + std::chrono::ceil<Duration>(spread);
  }
  wait = std::min<Duration>(wait, options.rate_limit_pause_max);
  const Time now = std::chrono::steady_clock::now();
  const std::string host = url.origin();
  if (!pauses.pause(host, now + wait, now) || !notices.on_limited) return;
  const auto limit = parse_rate_limit(headers.rate_limit);
  std::string reason = host + " limits requests";
  if (limit && !limit->bucket.empty()) reason += " (" + printable(limit->bucket) + ")";
  notices.on_limited(now + wait, std::move(reason));
}

Duration OriginContext::backoff(int failures) {
  return backoff_pause(failures, jitter(), options.backoff);
}

double OriginContext::jitter() {
  return std::uniform_real_distribution<double>(0.0, 1.0)(random);
}

WallTime wall_now() {
  const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
  return {std::chrono::duration_cast<std::chrono::milliseconds>(since_epoch).count()};
}

WallTime server_time(const ResponseHead& head) {
  return parse_http_date(head.value("date")).value_or(wall_now());
}

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

Result<Url> redirect_target(const Url& from, const ResponseHead& head) {
  const auto target = from.resolve(head.value("location"));
  if (!target) {
    return fail(Code::invalid, from.origin() + " redirects to what is no http or https URL", head.status);
  }
  if (from.tls && !target->tls) {
    return fail(Code::invalid, from.origin() + " redirects to the unencrypted " + target->origin(),
                head.status);
  }
  return *target;
}

std::optional<Error> identity_mismatch(const OriginFile& file, const ResponseHead& head) {
  const bool redirect = is_redirect(head.status);
  const auto changed = [&](const std::string& what, std::string_view is, const std::string& expected) {
    return Error{Code::changed,
                 printable(file.path) + " of " + file.repo.name + " at " + file.commit +
                     " is not what it was: the Hub states " + what + " " + printable(is) + " instead of " +
                     expected,
                 head.status};
  };
  const std::string_view commit = head.value("x-repo-commit");
  if (!commit.empty() && commit != file.commit) return changed("commit", commit, file.commit);

  std::string_view etag = bare_etag(head.value("x-linked-etag"));
  // On a redirect ETag is that of the redirect itself; elsewhere anything that is no hash says nothing.
  if (etag.empty() && !redirect) etag = bare_etag(head.value("etag"));
  if (!etag.empty() && BlobId::from_etag(etag, 0) && etag != file.blob.etag()) {
    return changed("hash", etag, file.blob.etag());
  }

  std::string_view size = head.value("x-linked-size");
  if (size.empty() && head.status == 200) size = head.value("content-length");
  if (!size.empty() && parse_decimal(size) != file.blob.size) {
    return changed("size", size, std::to_string(file.blob.size));
  }
  return std::nullopt;
}

}  // namespace shoal
