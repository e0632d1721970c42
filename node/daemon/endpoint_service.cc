#include "node/daemon/endpoint_service.h"

#include "node/daemon/pulls.h"
#include "storage/blob_store.h"
#include "storage/partial_blob.h"

namespace shoal {
namespace {

// A file that is here whole: one region.
class HeldFile final : public FileStream {
 public:
  HeldFile(std::shared_ptr<BlobFile> file, std::uint64_t offset, std::uint64_t length)
      : region_{std::move(file), offset, length} {}
  [[nodiscard]] std::uint64_t length() const override { return region_.length; }
  void next(Ready ready) override { ready(region_); }

 private:
  const FileRegion region_;
};

// The blob's file if all of it is here and verified.
std::shared_ptr<BlobFile> whole_file(BlobStore& store, const BlobId& blob) {
  auto file = store.open(blob);
  if (!file) return nullptr;
  const auto* partial = dynamic_cast<const PartialBlob*>(file->get());
  return partial == nullptr || partial->published() ? std::move(*file) : nullptr;
}

}  // namespace

void EndpointService::find_listing(RepoRef repo, std::string revision, std::string token,
                                   Reply<FoundListing> reply) {
  loop_.post([this, repo = std::move(repo), revision = std::move(revision), token = std::move(token),
              reply = std::move(reply)] { listings_.find(repo, revision, token, reply); });
}

void EndpointService::check_access(ListingPtr listing, std::string path, std::string token,
                                   Reply<std::optional<std::variant<HubReply, Error>>> reply) {
  loop_.post([this, listing = std::move(listing), path = std::move(path), token = std::move(token),
              reply = std::move(reply)] { listings_.check_access(listing, path, token, reply); });
}

void EndpointService::ask_hub(HubQuery query, Reply<Result<HubReply>> reply) {
  loop_.post([this, query = std::move(query), reply = std::move(reply)] { listings_.ask_hub(query, reply); });
}

void EndpointService::known_revisions(RepoRef repo,
                                      Reply<std::vector<std::pair<std::string, std::string>>> reply) {
  loop_.post(
      [this, repo = std::move(repo), reply = std::move(reply)] { listings_.known_revisions(repo, reply); });
}

void EndpointService::open_file(FileWanted wanted, Reply<Result<FileOpened>> reply) {
  loop_.post([this, wanted = std::move(wanted), reply = std::move(reply)] { open_on_loop(wanted, reply); });
}

void EndpointService::want(const FileWanted& wanted) {
  OriginFile file{wanted.repo, wanted.commit, wanted.path, wanted.blob, {}};
  // Public content is fetched as this node; anything else as the program that may have it.
  if (!rules_.is_public(wanted.repo).value_or(false)) file.token = wanted.token;
  pulls_.want_file(std::move(file), wanted.revision);
}

void EndpointService::open_on_loop(FileWanted wanted, Reply<Result<FileOpened>> reply) {
  bool whole_instead = false;
  if (const auto since = readers_->wrong_since(wanted.blob); since && wanted.offset > 0) {
    if (wanted.to_the_end) {
      whole_instead = true;
      wanted.offset = 0;
      wanted.length = wanted.blob.size;
    } else if (std::chrono::steady_clock::now() - *since < Readers::kPartsRefused) {
      return reply(shoal::fail(Code::unavailable,
                               "bytes of " + wanted.path +
                                   " that were given out turned out wrong: for ten minutes it "
                                   "is given whole only, so that nobody joins right parts with wrong ones"));
    }
  }
  struct Look {
    std::shared_ptr<BlobFile> file;
    bool in_repo = false;
  };
  loop_.run(
      [&store = store_, blob = wanted.blob, repo = wanted.repo] {
        return Look{whole_file(store, blob), store.find(blob, repo).has_value()};
      },
      [this, wanted, whole_instead, reply](const Look& look) {
        FileOpened opened;
        opened.whole_instead = whole_instead;
        const bool empty = wanted.blob.size == 0;
        if (look.file && !empty) {
          opened.body = std::make_shared<HeldFile>(look.file, wanted.offset, wanted.length);
        } else if (!empty) {
          // The reader comes before the want, so that it hears of everything.
          opened.body =
              readers_->open({wanted.blob, wanted.repo.name, wanted.path, wanted.offset, wanted.length});
        }
        if (!look.in_repo) want(wanted);
        reply(std::move(opened));
      });
}

}  // namespace shoal
