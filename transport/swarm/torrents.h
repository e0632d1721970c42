// The kinds of torrents: one per segment, one per cluster, one per exported file. All are functions of their
// content, and the authority of a closed cluster, so that all nodes make the same.
#pragma once

#include "node/core/ports.h"
#include "transport/swarm/libtorrent_all.h"
#include "transport/swarm/whole_file.h"

#include <string>
#include <string_view>

namespace shoal {

// A single-file v2-only torrent: name = hex of the pieces root, length, piece length, meta version 2, nothing
// else. Added, it trusts `have`, checks nothing, announces nowhere and starts at once. Errors: invalid
// (hashes, pieces or index that do not fit the blob).
//
// `authority`: in a closed cluster its certificate (PEM). It stands in the info dictionary, so that the
// torrent is another one than an open cluster's, and libtorrent speaks of it with members only.
[[nodiscard]] Result<lt::add_torrent_params> segment_torrent(const SegmentSpec& spec,
                                                             const std::string& authority = {});

// The torrent of a whole blob, to be seeded: all pieces are there. Errors: those of whole_file_torrent().
[[nodiscard]] Result<lt::add_torrent_params> whole_file_params(const WholeFileSpec& spec);

// The meeting place: a torrent with metadata of which nobody can have the data, because its pieces root is
// the hash of a sentence and not of a tree. libtorrent keeps connections on such a torrent open for as long
// as they are used. It has metadata so that a certificate can be put into it for closed clusters.
[[nodiscard]] lt::add_torrent_params cluster_torrent(std::string_view cluster, bool lsd,
                                                     const std::string& authority = {});

}  // namespace shoal
