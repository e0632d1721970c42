#include "transport/origin/hub_client.h"

#include "transport/origin/hub_call.h"
#include "transport/origin/origin_context.h"
#include "transport/origin/repo_json.h"
#include "transport/origin/resolver.h"
#include "transport/origin/slice_pool.h"
#include "transport/origin/text.h"
#include "transport/origin/tree_listing.h"

#include <algorithm>
#include <mutex>
#include <unordered_set>
#include <utility>

namespace shoal {
namespace {

std::optional<Error> bad_repo(const RepoRef& repo) {
  if (is_valid_repo_name(repo.name)) return std::nullopt;
  return Error{Code::invalid, "'" + printable(repo.name) + "' is no repo name: it looks like org/name", 0};
}

std::optional<Error> bad_file(const OriginFile& file) {
  if (auto error = bad_repo(file.repo)) return error;
  if (!is_commit_id(file.commit))
    return Error{Code::invalid, "'" + printable(file.commit) + "' is no commit", 0};
  if (!is_valid_repo_path(file.path)) {
    return Error{Code::invalid, "'" + printable(file.path) + "' is no path inside a repo", 0};
  }
  return std::nullopt;
}

std::optional<Error> bad_slice(const SliceRequest& request) {
  if (auto error = bad_file(request.file)) return error;
  const std::uint64_t size = request.file.blob.size;
  if (!request.sink || request.length == 0 || request.offset > size ||
      request.length > size - request.offset) {
    return Error{Code::invalid, "a slice has to have bytes of its file and a sink to put them", 0};
  }
  return std::nullopt;
}

std::vector<std::byte> to_bytes(const std::string& text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

}  // namespace

struct HubClient::Impl {
  Impl(Options options, Callbacks callbacks, Notices notices, Url hub)
      : on_done(callbacks.on_done),
        context(std::move(options), std::move(notices), std::move(hub)),
        calls(context),
        resolver(context, calls),
        pool(context, resolver, std::move(callbacks)) {}

  // Takes a place in the queue. False: it is full, or the client is being stopped.
  bool enter() {
    const std::lock_guard lock(mutex);
    if (under_way >= context.options.max_waiting) return false;
    ++under_way;
    return true;
  }
  void leave() {
    const std::lock_guard lock(mutex);
    --under_way;
  }
  static Unexpected<Error> full() {
    return fail(Code::unavailable, "too many requests to the Hub are waiting already");
  }

  // Runs `begin` on the loop with a `done` that frees the place; refuses on the spot if there is none.
  template <typename T, typename Begin>
  void call(Done<T> done, std::optional<Error> bad, Begin begin) {
    if (!enter()) return done(full());
    Done<T> leaving = [this, done = std::move(done)](Result<T> result) {
      leave();
      done(std::move(result));
    };
    context.loop.post([leaving = std::move(leaving), bad = std::move(bad), begin = std::move(begin)] {
      if (bad) return leaving(fail(*bad));
      begin(leaving);
    });
  }

  void resolve(const RepoRef& repo, const std::string& revision, const Done<RepoInfo>& done);
  void fetch_small(const OriginFile& file, const Done<std::vector<std::byte>>& done);
  void is_public(const OriginFile& file, const Done<bool>& done);
  void ask(const Ask& ask, const Done<Reply>& done);

  const std::function<void(FetchId, Result<void>)> on_done;

  std::mutex mutex;
  std::size_t under_way = 0;                   // slices and calls; guarded by mutex
  std::unordered_set<FetchId> fetches;         // accepted and not ended; guarded by mutex
  std::unordered_set<FetchId> cancels_posted;  // part of `fetches`; guarded by mutex

  // The loop's thread; declared so that they are destroyed before the loop they use.
  OriginContext context;
  HubCalls calls;
  Resolver resolver;
  SlicePool pool;
};

Result<std::unique_ptr<HubClient>> HubClient::create(Options options, Callbacks callbacks, Notices notices) {
  auto hub = parse_url(options.endpoint);
  if (!hub) {
    return fail(Code::invalid, "the Hub's address '" + printable(options.endpoint) +
                                   "' is no http or https URL: check HF_ENDPOINT or --hub");
  }
  auto impl =
      std::make_unique<Impl>(std::move(options), std::move(callbacks), std::move(notices), std::move(*hub));
  if (auto started = impl->context.loop.start(); !started) return fail(std::move(started.error()));
  Impl& reference = *impl;
  impl->context.loop.post([&reference] {
    const Options& o = reference.context.options;
    reference.context.loop.keep_connections(o.max_connections + o.max_metadata_requests);
  });
  return std::unique_ptr<HubClient>(new HubClient(std::move(impl)));
}

HubClient::HubClient(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

HubClient::~HubClient() {
  impl_->context.loop.stop([impl = impl_.get()] {
    impl->pool.cancel_all();
    impl->calls.cancel_all();
  });
}

void HubClient::resolve(RepoRef repo, std::string revision, Done<RepoInfo> done) {
  auto bad = bad_repo(repo);
  if (!bad && !is_valid_revision(revision)) {
    bad = Error{Code::invalid, "'" + printable(revision) + "' is no branch, tag or commit", 0};
  }
  impl_->call<RepoInfo>(std::move(done), std::move(bad),
                        [impl = impl_.get(), repo = std::move(repo), revision = std::move(revision)](
                            const Done<RepoInfo>& on_result) { impl->resolve(repo, revision, on_result); });
}

void HubClient::Impl::resolve(const RepoRef& repo, const std::string& revision, const Done<RepoInfo>& done) {
  HubCallSpec spec;
  spec.max_attempts = context.options.max_metadata_attempts;
  spec.question = context.question(repo, revision, {});
  spec.url = context.api_url(repo, "revision", revision);
  spec.max_body = context.options.max_info_bytes;
  const std::string where = spec.question.text();
  calls.start(std::move(spec), [repo, done, where](Result<HubAnswer> answer) {
    if (!answer) return done(fail(std::move(answer.error())));
    if (answer->foreign) {
      return done(fail(Code::invalid, "the Hub redirects to another host, " + answer->foreign->origin() +
                                          ": name that one in HF_ENDPOINT or --hub"));
    }
    auto info = parse_repo_info(answer->body);
    if (!info) return done(fail(Code::invalid, where + ": " + info.error().message));
    if (info->id.empty()) info->id = repo.name;
    done(std::move(info));
  });
}

void HubClient::list_files(RepoRef repo, std::string commit, Done<std::vector<RepoFile>> done) {
  auto bad = bad_repo(repo);
  if (!bad && !is_commit_id(commit))
    bad = Error{Code::invalid, "'" + printable(commit) + "' is no commit", 0};
  impl_->call<std::vector<RepoFile>>(
      std::move(done), std::move(bad),
      [impl = impl_.get(), repo = std::move(repo),
       commit = std::move(commit)](const Done<std::vector<RepoFile>>& on_result) {
        std::make_shared<TreeListing>(impl->context, impl->calls, repo, commit, on_result)->start();
      });
}

void HubClient::fetch_small(OriginFile file, Done<std::vector<std::byte>> done) {
  auto bad = bad_file(file);
  if (!bad && file.blob.size > kSmallBlobMax) {
    bad = Error{Code::invalid, "'" + printable(file.path) + "' is too large to be fetched in one piece", 0};
  }
  impl_->call<std::vector<std::byte>>(
      std::move(done), std::move(bad),
      [impl = impl_.get(), file = std::move(file)](const Done<std::vector<std::byte>>& on_result) {
        impl->fetch_small(file, on_result);
      });
}

void HubClient::Impl::fetch_small(const OriginFile& file, const Done<std::vector<std::byte>>& done) {
  HubCallSpec spec;
  spec.max_attempts = context.options.max_metadata_attempts;
  spec.question = context.question(file.repo, file.commit, file.path);
  spec.url = context.resolve_url(file);
  spec.max_body = file.blob.size;
  spec.token = file.token;
  spec.question.with_token = spec.question.with_token || !file.token.empty();
  spec.follow_foreign = true;
  spec.check = [file](const ResponseHead& head) { return identity_mismatch(file, head); };
  calls.start(std::move(spec), [this, file, done](Result<HubAnswer> answer) {
    if (!answer) return done(fail(std::move(answer.error())));
    context.bytes_received += answer->body.size();
    if (answer->head.status != 200 || answer->body.size() != file.blob.size) {
      return done(fail(Code::changed,
                       answer->url.origin() + " sent " + std::to_string(answer->body.size()) + " bytes of " +
                           printable(file.path) + " instead of " + std::to_string(file.blob.size),
                       answer->head.status));
    }
    done(to_bytes(answer->body));
  });
}

std::string HubClient::Reply::header(std::string_view lower_case_name) const {
  for (const auto& [name, value] : headers) {
    if (name == lower_case_name) return value;
  }
  return {};
}

void HubClient::ask(Ask ask, Done<Reply> done) {
  std::optional<Error> bad;
  if (!ask.path.starts_with('/')) bad = Error{Code::invalid, "not a path of the Hub", 0};
  impl_->call<Reply>(std::move(done), std::move(bad),
                     [impl = impl_.get(), ask = std::move(ask)](const Done<Reply>& on_result) {
                       impl->ask(ask, on_result);
                     });
}

void HubClient::Impl::ask(const Ask& ask, const Done<Reply>& done) {
  HubCallSpec spec;
  spec.question.path = ask.path;
  spec.question.host = context.hub.origin();
  spec.question.with_token = ask.use_own_token || !ask.token.empty();
  spec.url = context.hub;
  spec.url.path += ask.path;
  spec.url.query = ask.query;
  spec.head = ask.method == "HEAD";
  spec.max_body = context.options.max_tree_page_bytes;
  spec.max_attempts = 2;
  if (!ask.use_own_token) spec.token = ask.token;
  if (ask.method == "POST") spec.post = ask.body;
  spec.content_type = ask.content_type;
  spec.patience = ask.patience;
  spec.as_it_is = true;
  calls.start(std::move(spec), [done](Result<HubAnswer> answer) {
    if (!answer) return done(fail(std::move(answer.error())));
    done(Reply{answer->head.status, std::move(answer->head.headers), std::move(answer->body)});
  });
}

void HubClient::is_public(RepoRef repo, std::string commit, std::string path, Done<bool> done) {
  OriginFile file{std::move(repo), std::move(commit), std::move(path), {}};
  auto bad = bad_file(file);
  impl_->call<bool>(std::move(done), std::move(bad),
                    [impl = impl_.get(), file = std::move(file)](const Done<bool>& on_result) {
                      impl->is_public(file, on_result);
                    });
}

void HubClient::Impl::is_public(const OriginFile& file, const Done<bool>& done) {
  HubCallSpec spec;
  spec.max_attempts = context.options.max_metadata_attempts;
  spec.question = context.question(file.repo, file.commit, file.path);
  spec.question.with_token = false;
  spec.url = context.resolve_url(file);
  spec.head = true;
  calls.start(std::move(spec), [done](Result<HubAnswer> answer) {
    if (answer) return done(true);
    const Error& error = answer.error();
    const bool refused =
        error.code == Code::unauthorized || error.code == Code::gated || error.code == Code::not_found;
    if (refused) return done(false);
    done(fail(std::move(answer.error())));
  });
}

void HubClient::fetch(SliceRequest request) {
  const FetchId id = request.id;
  std::optional<Error> refused = bad_slice(request);
  bool on_the_spot = false;
  {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->under_way >= impl_->context.options.max_waiting) {
      refused = Impl::full().error;
      on_the_spot = true;
    } else if (!refused && !impl_->fetches.insert(id).second) {
      refused = Error{Code::invalid, "a fetch with this id is under way already", 0};
    }
    if (!on_the_spot) ++impl_->under_way;
  }
  if (on_the_spot) {
    request.sink.reset();
    if (impl_->on_done) impl_->on_done(id, fail(std::move(*refused)));
    return;
  }
  Impl* impl = impl_.get();
  if (refused) {
    impl->context.loop.post([impl, id, error = std::move(*refused)] {
      impl->leave();
      if (impl->on_done) impl->on_done(id, fail(error));
    });
    return;
  }
  impl->context.loop.post([impl, id, request = std::move(request)]() mutable {
    impl->pool.start(std::move(request), [impl, id] {
      const std::lock_guard lock(impl->mutex);
      --impl->under_way;
      impl->fetches.erase(id);
      impl->cancels_posted.erase(id);
    });
  });
}

void HubClient::trim(FetchId id, std::uint64_t length) {
  {
    const std::lock_guard lock(impl_->mutex);
    if (!impl_->fetches.contains(id)) return;
  }
  impl_->context.loop.post([impl = impl_.get(), id, length] { impl->pool.trim(id, length); });
}

void HubClient::cancel(FetchId id) {
  {
    // A cancel for nothing, or a second one, would only fill the queue.
    const std::lock_guard lock(impl_->mutex);
    if (!impl_->fetches.contains(id) || !impl_->cancels_posted.insert(id).second) return;
  }
  impl_->context.loop.post([impl = impl_.get(), id] { impl->pool.cancel(id); });
}

void HubClient::set_max_connections(int connections) {
  impl_->context.loop.post([impl = impl_.get(), connections] {
    impl->context.loop.keep_connections(std::max(connections, 1) +
                                        impl->context.options.max_metadata_requests);
    impl->pool.set_max_connections(connections);
  });
}

void HubClient::set_rate_limit(std::uint64_t bytes_per_s) {
  impl_->context.loop.post([impl = impl_.get(), bytes_per_s] { impl->pool.set_rate_limit(bytes_per_s); });
}

void HubClient::set_token(std::string token) {
  impl_->context.loop.post([impl = impl_.get(), token = std::move(token)] {
    impl->context.token = token;
    impl->resolver.forget_all();
  });
}

HubClient::Counters HubClient::counters() const {
  const OriginContext& c = impl_->context;
  return {c.requests,       c.resolves,     c.rate_limited, c.retries,
          c.bytes_received, c.bytes_wasted, c.connections,  c.waiting};
}

}  // namespace shoal
