#include "node/endpoint/hub_endpoint.h"

#include "node/endpoint/file_answer.h"
#include "node/endpoint/hub_answer.h"
#include "node/endpoint/hub_json.h"
#include "node/endpoint/hub_route.h"

#include <memory>
#include <utility>

namespace shoal {
namespace {

using Kind = HubRoute::Kind;

// One request on its way through the answers that it needs. Kept alive by the callbacks that hold it.
class Question : public std::enable_shared_from_this<Question> {
 public:
  Question(EndpointBackend& backend, const HttpRequest& request, HubRoute route, Responder respond)
      : backend_(backend),
        request_(request),
        route_(std::move(route)),
        token_(token_of(request)),
        respond_(std::move(respond)) {}

  void start() {
    switch (route_.kind) {
      case Kind::trifle:
        return respond_(hub_json_answer("{}"));
      case Kind::xet_token:
        return respond_(
            hub_error(404, "", "this node serves whole files; there is no Xet storage behind it", true));
      case Kind::paths_info:
        if (request_.method != "POST") return wrong_method("POST");
        return find();
      case Kind::refs:
      case Kind::commits:
      case Kind::other_api:
        if (request_.method != "GET") return wrong_method("GET, HEAD");
        return ask_hub();
      case Kind::info:
      case Kind::tree:
      case Kind::treesize:
      case Kind::auth_check:
      case Kind::resolve:
      case Kind::raw:
        if (request_.method != "GET") return wrong_method("GET, HEAD");
        return find();
      case Kind::none:
      case Kind::bad:
        break;
    }
    respond_(
        hub_error(400, "", "this is no repo, revision or path that the Hub could have", route_.is_api()));
  }

 private:
  void wrong_method(const char* allowed) {
    auto answer = hub_error(405, "", "this does not take " + request_.method, route_.is_api());
    respond_(std::move(answer.with("Allow", allowed)));
  }

  void find() {
    backend_.find_listing(
        route_.repo, route_.revision, token_,
        [self = shared_from_this()](FoundListing found) { self->on_listing(std::move(found)); });
  }

  void on_listing(FoundListing found) {
    if (const auto* listing = std::get_if<ListingPtr>(&found)) {
      listing_ = *listing;
      return answer();
    }
    if (const auto* reply = std::get_if<HubReply>(&found)) {
      // A branch's slashes are not always escaped: "feature/x" may be a branch, or a folder of "feature".
      if (route_.kind == Kind::tree && reply->status == 404 && ++tries_ < kRevisionParts &&
          lengthen_revision(route_)) {
        return find();
      }
      return respond_(pass_on(*reply, base_of(request_), route_.is_api()));
    }
    respond_(hub_unreachable(std::get<Error>(found), route_.is_api()));
  }

  void answer() {
    switch (route_.kind) {
      case Kind::info:
        return answer_info();
      case Kind::tree:
        return answer_tree();
      case Kind::paths_info:
        return answer_paths();
      case Kind::treesize:
        return with_commit(hub_json_answer(treesize_json(*listing_, route_.path)));
      case Kind::auth_check:
        return check_access(
            [](const std::shared_ptr<Question>& self) { self->respond_(hub_json_answer("{}")); });
      default:
        return check_access([](const std::shared_ptr<Question>& self) {
          answer_file(self->backend_,
                      {self->listing_, self->route_.revision, self->route_.path, self->token_},
                      self->route_.kind == Kind::raw, self->request_, self->respond_);
        });
    }
  }

  void with_commit(HttpResponse response) {
    respond_(std::move(response.with("X-Repo-Commit", listing_->commit)));
  }

  void answer_info() {
    if (auto json = info_json(*listing_, request_.query))
      return with_commit(hub_json_answer(std::move(*json)));
    ask_hub([](const std::shared_ptr<Question>& self) {
      self->with_commit(hub_json_answer(info_json_as_known(*self->listing_, self->request_.query)));
    });
  }

  void answer_tree() {
    if (!listing_->has_folder(route_.path)) {
      if (listing_->partial) {
        return respond_(hub_unreachable(
            {Code::unavailable, "the Hub is out of reach, and this node holds nothing of " + route_.path, 0},
            true));
      }
      return respond_(entry_not_found(route_.path + " does not exist on \"" + route_.revision + "\"",
                                      listing_->commit, true));
    }
    const auto from_listing = [](const std::shared_ptr<Question>& self) {
      auto page = tree_page(*self->listing_, self->route_.path, self->request_.query);
      if (!page) return self->respond_(hub_error(400, "", "the cursor or limit is not valid", true));
      auto response = hub_json_answer(std::move(page->json));
      if (page->next_query) {
        response.with("Link", "<" + base_of(self->request_) + self->request_.raw_path + "?" +
                                  *page->next_query + ">; rel=\"next\"");
      }
      self->with_commit(std::move(response));
    };
    // Who last touched a file only the Hub knows.
    if (query_flag(request_.query, "expand")) return ask_hub(from_listing);
    from_listing(shared_from_this());
  }

  void answer_paths() {
    auto question = read_paths_question(request_.header("content-type"), request_.body);
    if (!question) return respond_(hub_error(400, "", "the body names no paths, or too many", true));
    paths_ = std::move(question->paths);
    const auto from_listing = [](const std::shared_ptr<Question>& self) {
      self->with_commit(hub_json_answer(paths_json(*self->listing_, self->paths_)));
    };
    if (question->expand) return ask_hub(from_listing);
    from_listing(shared_from_this());
  }

  using Then = std::function<void(const std::shared_ptr<Question>&)>;

  void check_access(Then then) {
    backend_.check_access(listing_, route_.path, token_,
                          [self = shared_from_this(), then = std::move(then)](const auto& refusal) {
                            if (!refusal) return then(self);
                            const bool api = self->route_.is_api();
                            if (const auto* reply = std::get_if<HubReply>(&*refusal)) {
                              return self->respond_(pass_on(*reply, base_of(self->request_), api));
                            }
                            self->respond_(hub_unreachable(std::get<Error>(*refusal), api));
                          });
  }

  // Passes the question on. `otherwise` answers when the Hub cannot.
  void ask_hub(Then otherwise = {}) {
    HubQuery query{request_.head ? "HEAD" : request_.method,
                   request_.raw_path,
                   query_text(request_),
                   request_.body,
                   std::string(request_.header("content-type")),
                   token_};
    backend_.ask_hub(std::move(query),
                     [self = shared_from_this(), otherwise = std::move(otherwise)](Result<HubReply> reply) {
                       const bool no_answer = !reply || reply->status >= 500 || reply->status == 429;
                       if (no_answer && otherwise) return otherwise(self);
                       if (!reply && self->route_.kind == Kind::refs)
                         return self->answer_known_refs(reply.error());
                       if (!reply) return self->respond_(hub_unreachable(reply.error(), true));
                       self->respond_(pass_on(*reply, base_of(self->request_), true));
                     });
  }

  void answer_known_refs(const Error& error) {
    backend_.known_revisions(route_.repo, [self = shared_from_this(), error](const auto& revisions) {
      if (revisions.empty()) return self->respond_(hub_unreachable(error, true));
      self->respond_(hub_json_answer(refs_json(revisions)));
    });
  }

  static constexpr int kRevisionParts = 4;

  EndpointBackend& backend_;
  const HttpRequest request_;
  HubRoute route_;
  const std::string token_;
  const Responder respond_;
  ListingPtr listing_;
  std::vector<std::string> paths_;
  int tries_ = 0;
};

}  // namespace

bool handle_hub_request(EndpointBackend& backend, const HttpRequest& request, const Responder& respond) {
  HubRoute route = parse_hub_route(request.raw_path);
  if (route.kind == Kind::none) return false;
  std::make_shared<Question>(backend, request, std::move(route), respond)->start();
  return true;
}

}  // namespace shoal
