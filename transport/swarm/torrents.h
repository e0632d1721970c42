// The two kinds of torrents: one per segment, and one per cluster. Both are functions of their content alone,
// so that all nodes make the same.
#pragma once

#include "node/core/ports.h"
#include "transport/swarm/libtorrent_all.h"

#include <string_view>

namespace shoal {

// A single-file v2-only torrent: name = hex of the pieces root, length, piece length, meta version 2, nothing
// else. Added, it trusts `have`, checks nothing, announces nowhere and starts at once. Errors: invalid
// (hashes, pieces or index that do not fit the blob).
[[nodiscard]] Result<lt::add_torrent_params> segment_torrent(const SegmentSpec& spec);

// The meeting place: a torrent with metadata of which nobody can have the data, because its pieces root is
// the hash of a sentence and not of a tree. libtorrent keeps connections on such a torrent open for as long
// as they are used. It has metadata so that a certificate can be put into it for closed clusters.
[[nodiscard]] lt::add_torrent_params cluster_torrent(std::string_view cluster, bool lsd);

}  // namespace shoal
