#include "transport/swarm/whole_file.h"

#include "transport/swarm/libtorrent_all.h"
#include "transport/swarm/sha256.h"

#include <algorithm>
#include <bit>
#include <iterator>

namespace shoal {
namespace {

std::string text_of(const Hash256& hash) {
  return {reinterpret_cast<const char*>(hash.bytes.data()), hash.bytes.size()};
}

// The hashes of all pieces of the file, each as wide as a piece.
Result<std::vector<Hash256>> piece_layer(const Geometry& geometry,
                                         const std::vector<std::vector<Hash256>>& segments) {
  if (segments.size() != geometry.segment_count() || segments.empty())
    return fail(Code::invalid, "an empty file, or hashes of another one");
  std::vector<Hash256> out;
  for (std::size_t s = 0; s < segments.size(); ++s) {
    const auto pieces = static_cast<std::size_t>(
        geometry.piece_count(static_cast<SegmentIndex>(static_cast<std::uint32_t>(s))));
    if (segments[s].size() != pieces || std::ranges::any_of(segments[s], &Hash256::is_zero))
      return fail(Code::invalid, "the hashes of segment " + std::to_string(s) + " are not all there");
    out.insert(out.end(), segments[s].begin(), segments[s].end());
  }
  if (out.size() > kWholeFilePiecesMax)
    return fail(Code::invalid, "the file is too large for one torrent that others can read");
  const auto last = static_cast<SegmentIndex>(geometry.segment_count() - 1);
  if (out.size() > 1 && geometry.piece_count(last) == 1) {
    const std::uint64_t blocks = (geometry.segment_length(last) + kBlockSize - 1) / kBlockSize;
    out.back() = widened(out.back(), std::bit_ceil(blocks), geometry.piece_size() / kBlockSize);
  }
  return out;
}

// "a%20b". Everything but letters, digits and "-._~".
std::string escaped(const std::string& text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
                       (byte >= 'A' && byte <= 'Z') ||
                       std::string_view("-._~").find(c) != std::string_view::npos;
    if (plain) {
      out += c;
    } else {
      out += '%';
      out += kHex[byte >> 4U];
      out += kHex[byte & 0xfU];
    }
  }
  return out;
}

}  // namespace

Result<WholeFileTorrent> whole_file_torrent(const WholeFileSpec& spec) {
  if (spec.name.empty() || spec.name.find('/') != std::string::npos || spec.name == "." || spec.name == "..")
    return fail(Code::invalid, "'" + spec.name + "' is no name of a file");
  if (spec.blob.size > kMaxBlobSize) return fail(Code::invalid, "the file is too large");
  const Geometry geometry(spec.blob.size);
  const auto layer = piece_layer(geometry, spec.piece_hashes);
  if (!layer) return fail(layer.error());
  // A file of one piece has no layer, and a tree only as wide as its blocks: the hash that is there.
  const auto empty_piece = merkle_root({Hash256{}}, geometry.piece_size() / kBlockSize, Hash256{});
  const Hash256 root =
      layer->size() == 1 ? layer->front() : merkle_root(*layer, std::bit_ceil(layer->size()), empty_piece);

  lt::entry::dictionary_type file;
  file["length"] = static_cast<lt::entry::integer_type>(spec.blob.size);
  file["pieces root"] = text_of(root);
  lt::entry info;
  info["file tree"][spec.name][""] = file;
  info["meta version"] = 2;
  info["name"] = spec.name;
  info["piece length"] = static_cast<lt::entry::integer_type>(geometry.piece_size());
  std::string bencoded_info;
  lt::bencode(std::back_inserter(bencoded_info), info);

  lt::entry torrent;
  torrent["info"] = info;
  auto& layers = torrent["piece layers"].dict();
  if (layer->size() > 1) {
    std::string& bytes = layers[text_of(root)].string();
    bytes.reserve(layer->size() * sizeof(Hash256));
    for (const Hash256& hash : *layer) bytes += text_of(hash);
  }
  WholeFileTorrent out;
  lt::bencode(std::back_inserter(out.bencoded), torrent);
  out.info_hash = sha256(std::as_bytes(std::span(bencoded_info)));
  return out;
}

std::string whole_file_magnet(const Hash256& info_hash, const std::string& name, std::uint64_t size,
                              const std::vector<Endpoint>& peers) {
  // 1220: a multihash of SHA-256 and 32 bytes.
  std::string out =
      "magnet:?xt=urn:btmh:1220" + info_hash.hex() + "&dn=" + escaped(name) + "&xl=" + std::to_string(size);
  for (const Endpoint& peer : peers) out += "&x.pe=" + peer.text();
  return out;
}

}  // namespace shoal
