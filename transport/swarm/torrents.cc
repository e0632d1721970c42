#include "transport/swarm/torrents.h"

#include "transport/swarm/sha256.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>

namespace shoal {
namespace {

std::string to_string(const Hash256& hash) {
  return {reinterpret_cast<const char*>(hash.bytes.data()), hash.bytes.size()};
}

std::shared_ptr<lt::torrent_info> make_info(const std::string& name, std::uint64_t length,
                                            std::uint32_t piece_size, const Hash256& root,
                                            const std::string& layer, const std::string& authority,
                                            lt::error_code& ec) {
  lt::entry::dictionary_type file;
  file["length"] = static_cast<lt::entry::integer_type>(length);
  file["pieces root"] = to_string(root);
  lt::entry torrent;
  auto& info = torrent["info"];
  info["file tree"][name][""] = file;
  info["meta version"] = 2;
  info["name"] = name;
  info["piece length"] = static_cast<lt::entry::integer_type>(piece_size);
  if (!authority.empty()) info["ssl-cert"] = authority;
  auto& layers = torrent["piece layers"].dict();
  if (!layer.empty()) layers[to_string(root)] = layer;

  std::vector<char> bytes;
  lt::bencode(std::back_inserter(bytes), torrent);
  return std::make_shared<lt::torrent_info>(lt::span<const char>(bytes), ec, lt::from_span);
}

lt::add_torrent_params params_for(std::shared_ptr<lt::torrent_info> info) {
  lt::add_torrent_params params;
  params.ti = std::move(info);
  params.save_path = ".";  // never opened: SegmentDisk knows where the bytes are
  // Not auto_managed, not paused: it starts in the moment it is added.
  params.flags = lt::torrent_flags::no_verify_files | lt::torrent_flags::disable_dht |
                 lt::torrent_flags::disable_pex | lt::torrent_flags::apply_ip_filter;
  return params;
}

}  // namespace

Result<lt::add_torrent_params> segment_torrent(const SegmentSpec& spec, const std::string& authority) {
  const Geometry geometry(spec.key.blob.size);
  const auto segment = spec.key.index;
  if (spec.key.blob.size > kMaxBlobSize || to_int(segment) >= geometry.segment_count()) {
    return fail(Code::invalid, "there is no segment " + std::to_string(to_int(segment)) + " in this blob");
  }
  const auto pieces = static_cast<std::size_t>(geometry.piece_count(segment));
  if (spec.piece_hashes.size() != pieces || std::ranges::any_of(spec.piece_hashes, &Hash256::is_zero)) {
    return fail(Code::invalid,
                "a segment of " + std::to_string(pieces) + " pieces needs as many hashes, none zero");
  }
  if ((spec.have & ~geometry.all_pieces(segment)) != 0 || spec.file == nullptr) {
    return fail(Code::invalid, "pieces held that the segment does not have, or no file");
  }

  // The root is computed from the layer, so libtorrent cannot find that they disagree.
  const auto root = pieces_root(geometry, segment, spec.piece_hashes);
  std::string layer;
  if (pieces > 1) {
    for (const auto& hash : spec.piece_hashes) layer += to_string(hash);
  }
  lt::error_code ec;
  auto info = make_info(root.hex(), geometry.segment_length(segment), geometry.piece_size(), root, layer,
                        authority, ec);
  if (ec) return fail(Code::invalid, "the segment makes no torrent: " + ec.message());

  auto params = params_for(std::move(info));
  params.flags |= lt::torrent_flags::disable_lsd;
  // The full length: a missing tail would be checked.
  params.have_pieces.resize(static_cast<int>(pieces), false);
  for (std::size_t i = 0; i < pieces; ++i) {
    if ((spec.have >> i & 1U) != 0) params.have_pieces.set_bit(lt::piece_index_t(static_cast<int>(i)));
  }
  return params;
}

Result<lt::add_torrent_params> whole_file_params(const WholeFileSpec& spec) {
  const auto torrent = whole_file_torrent(spec);
  if (!torrent) return fail(torrent.error());
  lt::error_code ec;
  auto info = std::make_shared<lt::torrent_info>(lt::span<const char>(torrent->bencoded), ec, lt::from_span);
  if (ec) return fail(Code::invalid, "the file makes no torrent: " + ec.message());
  auto params = params_for(std::move(info));
  // Clients that are no shoal find it by local discovery, ask for the metadata of a magnet, and know no
  // neighbours of ours.
  params.extensions.emplace_back([](const lt::torrent_handle& handle, lt::client_data_t data) {
    return lt::create_ut_metadata_plugin(handle, data);
  });
  params.have_pieces.resize(params.ti->num_pieces(), true);
  return params;
}

lt::add_torrent_params cluster_torrent(std::string_view cluster, bool lsd, const std::string& authority) {
  const std::string sentence = "shoal cluster: " + std::string(cluster);
  lt::error_code ec;
  auto params = params_for(make_info("shoal-cluster", kBlockSize, kBlockSize,
                                     sha256(std::as_bytes(std::span(sentence))), {}, authority, ec));
  if (!lsd) params.flags |= lt::torrent_flags::disable_lsd;
  return params;
}

}  // namespace shoal
