// Programs that read a file through the endpoint while it is still coming in.
//
// - Only verified pieces are given out, in the order of the file.
// - The last piece of a blob is held back until the publisher's hash matched. Why: no client checks a hash,
//   so whoever got every byte would believe them all.
// - When bytes that were given out turn out wrong, every reader that got any is cut off, and for a while
//   nobody may go on in the middle of that blob: a program that resumes would put right bytes behind wrong
//   ones.
// - Where the readers are is told to the scheduler, so that what they wait for comes first.
//
// Owned by the loop thread; the streams are used on the API's thread and post.
#pragma once

#include "node/api/http_message.h"
#include "node/core/ids.h"
#include "node/core/ports.h"
#include "node/core/result.h"
#include "node/core/time.h"
#include "node/daemon/event_log.h"
#include "node/daemon/loop.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace shoal {

class BlobStore;
class PartialBlob;

class Readers : public std::enable_shared_from_this<Readers> {
 public:
  enum class Id : std::uint64_t {};
  // Where readers of a blob are, as offsets; empty: nobody reads it any more.
  using OnPositions = std::function<void(const BlobId&, const std::vector<std::uint64_t>&)>;

  static constexpr std::size_t kWrongKept = 1024;  // blobs remembered as given out wrong: 60 KiB
  // How long a part of such a blob is refused. Longer than clients repeat a request for one part.
  static constexpr std::chrono::minutes kPartsRefused{10};

  // `is_settled`: whether the verified pieces of a partial blob are believed at this moment.
  Readers(Loop& loop, BlobStore& store, EventLog& events, OnPositions on_positions,
          std::function<bool(const BlobId&)> is_settled);

  struct What {
    BlobId blob;
    std::string repo;  // for the log
    std::string path;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
  };
  // Waits for bytes from the moment its next() is called; dropping it is leaving.
  [[nodiscard]] std::shared_ptr<FileStream> open(What what);

  void on_progress(const BlobId& blob);  // pieces came, or the blob was opened
  void on_done(const BlobId& blob);      // it is published
  void on_failed(const BlobId& blob, const Error& error);
  void on_wrong(const BlobId& blob, const std::string& text);

  [[nodiscard]] bool any(const BlobId& blob) const { return by_blob_.contains(blob); }
  [[nodiscard]] std::size_t count() const { return readers_.size(); }
  // When bytes of it were given out that turned out wrong.
  [[nodiscard]] std::optional<Time> wrong_since(const BlobId& blob) const;

 private:
  class Stream;
  struct Reader {
    What what;
    std::uint64_t at = 0;  // the next byte it needs
    std::uint64_t end = 0;
    bool got_any = false;
    std::shared_ptr<BlobFile> whole;  // published
    FileStream::Ready waiting;
    std::optional<Error> broken;
  };

  void next(Id id, FileStream::Ready ready);
  void close(Id id);
  void serve(Reader& reader);
  void give(Reader& reader, std::shared_ptr<BlobFile> file, std::uint64_t to);
  void break_off(Reader& reader, const Error& error);
  void tell_positions(const BlobId& blob);
  void remember_wrong(const BlobId& blob);
  template <typename Do>
  void each(const BlobId& blob, Do what);

  Loop& loop_;
  BlobStore& store_;
  EventLog& events_;
  OnPositions on_positions_;
  std::function<bool(const BlobId&)> is_settled_;
  std::map<Id, Reader> readers_;
  std::map<BlobId, std::set<Id>> by_blob_;
  std::set<BlobId> given_;  // bytes of it were given out before it was published
  std::map<BlobId, Time> wrong_;
  std::uint64_t next_id_ = 1;
};

// How far the blob's bytes may be given out from `offset` on: the end of the verified pieces that follow each
// other there, and never into the last piece of the blob before it is published. A pure function.
[[nodiscard]] std::uint64_t readable_end(const PartialBlob& partial, std::uint64_t offset);

}  // namespace shoal
