#include "transport/origin/tree_listing.h"

#include "transport/origin/link_header.h"
#include "transport/origin/repo_json.h"
#include "transport/origin/text.h"

#include <cstddef>
#include <utility>

namespace shoal {
namespace {

// A page has 1000 entries by default and never ends up empty before the last: far beyond max_tree_entries.
constexpr int kPagesMax = 4000;

}  // namespace

TreeListing::TreeListing(OriginContext& context, HubCalls& calls, RepoRef repo, std::string commit, Done done)
    : context_(context),
      calls_(calls),
      repo_(std::move(repo)),
      commit_(std::move(commit)),
      done_(std::move(done)) {}

void TreeListing::start() {
  ask(context_.api_url(repo_, "tree", commit_, "recursive=true&expand=false"));
}

void TreeListing::ask(const Url& page) {
  HubCallSpec spec;
  spec.max_attempts = context_.options.max_metadata_attempts;
  spec.question = context_.question(repo_, commit_, {});
  spec.url = page;
  spec.max_body = context_.options.max_tree_page_bytes;
  calls_.start(std::move(spec),
               [self = shared_from_this()](Result<HubAnswer> answer) { self->on_page(std::move(answer)); });
}

void TreeListing::on_page(Result<HubAnswer> answer) {
  if (!answer) return done_(fail(std::move(answer.error())));
  const std::string where = context_.question(repo_, commit_, {}).text() + ": ";
  if (answer->foreign) {
    return done_(fail(Code::invalid,
                      where + "the listing is redirected to another host, " + answer->foreign->origin()));
  }
  auto page = parse_tree_page(answer->body);
  if (!page) return done_(fail(Code::invalid, where + page.error().message));
  if (auto added = add(std::move(*page)); !added)
    return done_(fail(Code::invalid, where + added.error().message));

  const auto next = parse_link_next(answer->head.value("link"));
  if (!next) return done_(std::move(files_));
  const auto url = answer->url.resolve(*next);
  if (!url || !context_.is_hub(*url)) {
    return done_(fail(Code::invalid, where + "the next page of the listing is not on " +
                                         context_.hub.origin() + " but on " +
                                         (url ? url->origin() : "no http or https URL")));
  }
  if (*url == answer->url || ++pages_ > kPagesMax) {
    return done_(fail(Code::invalid, where + "the listing has no end"));
  }
  ask(*url);
}

Result<void> TreeListing::add(std::vector<RepoFile> files) {
  if (files_.size() + files.size() > context_.options.max_tree_entries) {
    return fail(Code::invalid,
                "the listing has more than " + std::to_string(context_.options.max_tree_entries) + " files");
  }
  for (RepoFile& file : files) {
    const std::string& path = file.path;
    if (!names_.insert(path).second)
      return fail(Code::invalid, "the listing has '" + printable(path) + "' twice");
    if (folders_.contains(path)) {
      return fail(Code::invalid, "the listing has '" + printable(path) + "' as a file and as a folder");
    }
    for (std::size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
      std::string folder = path.substr(0, slash);
      if (names_.contains(folder)) {
        return fail(Code::invalid, "the listing has '" + printable(folder) + "' as a file and as a folder");
      }
      folders_.insert(std::move(folder));
    }
    files_.push_back(std::move(file));
  }
  return {};
}

}  // namespace shoal
