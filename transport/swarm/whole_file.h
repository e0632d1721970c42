// The standard BitTorrent v2 torrent of a whole blob (BEP 52), from the hashes of its segments alone. Pure.
//
// Segments are aligned and powers of two long, and pieces are as long in all of them. So the piece layer of
// the whole file is that of its segments one after the other, and a segment's pieces root is an inner node of
// the file's tree. One thing differs: a last segment of a single piece has a tree only as wide as its blocks
// (as a file of its own), and in the whole file that piece is as wide as all others.
#pragma once

#include "node/core/geometry.h"
#include "node/core/ids.h"
#include "node/core/ports.h"
#include "node/core/result.h"

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace shoal {

// 8 MiB of piece hashes: libtorrent reads a .torrent of at most 10 MB. Large files have pieces of 16 MiB, so
// this is 4 TiB.
inline constexpr std::size_t kWholeFilePiecesMax = 256 * 1024;

struct WholeFileSpec {
  BlobId blob;
  std::string name;                                // of the file, as other clients save it
  std::vector<std::vector<Hash256>> piece_hashes;  // of each segment, as in SegmentSpec
  std::shared_ptr<BlobFile> file;                  // complete; only for seeding
};

struct WholeFileTorrent {
  std::string bencoded;  // the .torrent
  Hash256 info_hash;
};

// Errors: invalid (hashes that do not fit the blob, an empty one, too many pieces, no name).
[[nodiscard]] Result<WholeFileTorrent> whole_file_torrent(const WholeFileSpec& spec);

// "magnet:?xt=urn:btmh:1220<info-hash>&dn=<name>&xl=<size>&x.pe=<peer>..."
[[nodiscard]] std::string whole_file_magnet(const Hash256& info_hash, const std::string& name,
                                            std::uint64_t size, const std::vector<Endpoint>& peers);

}  // namespace shoal
