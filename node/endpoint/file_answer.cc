#include "node/endpoint/file_answer.h"

#include "node/api/request_target.h"
#include "node/endpoint/byte_range.h"
#include "node/endpoint/hub_answer.h"

#include <utility>

namespace shoal {
namespace {

std::string disposition(std::string_view path) {
  const auto slash = path.rfind('/');
  const auto name = slash == std::string_view::npos ? path : path.substr(slash + 1);
  std::string plain;
  for (const char c : name) plain += c >= ' ' && c <= '~' && c != '"' && c != '\\' ? c : '_';
  return "inline; filename*=UTF-8''" + percent_encode(name, false) + "; filename=\"" + plain + "\";";
}

HttpResponse file_head(const FileQuestion& question, const std::string& etag, bool lfs) {
  HttpResponse out;
  out.with("X-Repo-Commit", question.listing->commit)
      .with("ETag", etag)
      .with("Accept-Ranges", "bytes")
      .with("Content-Type", lfs ? "application/octet-stream" : "text/plain; charset=utf-8")
      .with("Content-Disposition", disposition(question.path))
      // A browser must not keep what another person may not see, nor run what a repo calls a page.
      .with("Cache-Control", "no-store")
      .with("Content-Security-Policy", "default-src 'none'; sandbox");
  return out;
}

// The pointer of an LFS file, which is text of a hundred bytes.
HttpResponse pointer_answer(const FileQuestion& question, const ListingEntry& entry) {
  auto out = file_head(question, "\"" + entry.oid + "\"", false);
  out.body = lfs_pointer(entry);
  return out;
}

std::string content_range(const RangeChoice& range, std::uint64_t size) {
  return "bytes " + std::to_string(range.first) + "-" + std::to_string(range.first + range.length - 1) + "/" +
         std::to_string(size);
}

}  // namespace

void answer_file(EndpointBackend& backend, const FileQuestion& question, bool raw, const HttpRequest& request,
                 const Responder& respond) {
  const RepoListing& listing = *question.listing;
  const ListingEntry* entry = listing.find(question.path);
  if (entry == nullptr && listing.partial) {
    return respond(hub_unreachable(
        {Code::unavailable, "the Hub is out of reach, and " + question.path + " is not held by this node", 0},
        false));
  }
  if (entry == nullptr || entry->folder)
    return respond(entry_not_found("Entry not found", listing.commit, false));
  const bool lfs = entry->pointer_size > 0;
  if (raw && lfs) return respond(pointer_answer(question, *entry));

  const std::string etag = "\"" + entry->blob.etag() + "\"";
  const std::uint64_t size = entry->blob.size;
  HttpResponse head = file_head(question, etag, lfs);
  if (lfs) head.with("X-Linked-ETag", etag).with("X-Linked-Size", std::to_string(size));
  if (const auto tags = request.header("if-none-match"); !raw && !tags.empty() && names_etag(tags, etag)) {
    head.status = 304;
    return respond(std::move(head));
  }
  if (const auto tags = request.header("if-match"); !tags.empty() && !names_etag(tags, etag)) {
    return respond(hub_error(412, "", "the file is another one by now", false));
  }
  const auto range_header = request.header("range");
  RangeChoice range{RangeChoice::Kind::whole, 0, size, false};
  // On HEAD a Range means nothing (RFC 9110, section 14.2): clients want the length of the file.
  if (!request.head && !range_header.empty() && if_range_holds(request.header("if-range"), etag)) {
    range = choose_range(range_header, size);
  }
  if (range.kind == RangeChoice::Kind::unsatisfiable) {
    head.with("Content-Range", "bytes */" + std::to_string(size));
    // 416 would be allowed for the empty file, too, but the JavaScript client takes it for trouble.
    head.status = size == 0 ? 200 : 416;
    return respond(std::move(head));
  }
  if (request.head) {
    head.head_length = size;
    return respond(std::move(head));
  }
  FileWanted wanted{listing.repo,    question.revision, listing.commit,
                    question.path,   entry->blob,       question.token,
                    range.first,     range.length,      range.kind == RangeChoice::Kind::part,
                    range.to_the_end};
  backend.open_file(std::move(wanted),
                    [head = std::move(head), range, size, respond](Result<FileOpened> opened) mutable {
                      if (!opened) return respond(hub_unreachable(opened.error(), false));
                      if (range.kind == RangeChoice::Kind::part && !opened->whole_instead) {
                        head.status = 206;
                        head.with("Content-Range", content_range(range, size));
                      }
                      if (opened->body) head.body = std::move(opened->body);
                      respond(std::move(head));
                    });
}

}  // namespace shoal
