#include "storage/read_hash.h"

#include "storage/file.h"

#include <algorithm>

#include <fcntl.h>

namespace shoal {
namespace {

constexpr std::size_t kHashReadSize = kMiB;
constexpr std::uint64_t kReportBytes = 4 * kMiB;

}  // namespace

Result<WholeHashes> read_and_hash(FileSystem& files, int fd, const BlobId& id, const std::string& path,
                                  const std::function<void(std::uint64_t)>& on_bytes,
                                  const std::stop_token& stop) {
  const Geometry geometry(id.size);
  WholeHashes out{BlobHasher(id), {}};
  std::vector<std::byte> buffer(std::min<std::uint64_t>(kHashReadSize, id.size));
  // Read-ahead; a failure costs speed only. Terabytes pass here once and should not push out what programs
  // use.
  ::posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
  ::posix_fadvise(fd, 0, 0, POSIX_FADV_NOREUSE);
  std::uint64_t unreported = 0;
  for (std::uint32_t i = 0; i < geometry.segment_count(); ++i) {
    const auto segment = static_cast<SegmentIndex>(i);
    SegmentRecord record{.index = segment,
                         .written = geometry.all_pieces(segment),
                         .durable = geometry.all_pieces(segment),
                         .hashes = {}};
    for (int j = 0; j < geometry.piece_count(segment); ++j) {
      const auto piece = static_cast<PieceIndex>(j);
      PieceHasher hasher(geometry, segment, piece);
      while (!hasher.whole()) {
        if (stop.stop_requested()) return fail(Code::cancelled, "stopped while reading " + path);
        const auto part =
            std::span(buffer).first(std::min<std::size_t>(buffer.size(), hasher.length() - hasher.fed()));
        if (auto read = read_exactly(files, fd, out.whole.bytes(), part, path); !read)
          return fail(read.error());
        hasher.update(part);
        out.whole.update(part);
        unreported += part.size();
        if (on_bytes && unreported >= kReportBytes) on_bytes(std::exchange(unreported, 0));
      }
      record.hashes.push_back(hasher.finish());
    }
    out.segments.push_back(std::move(record));
  }
  if (on_bytes && unreported > 0) on_bytes(unreported);
  return out;
}

}  // namespace shoal
