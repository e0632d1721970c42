// Our hooks into libtorrent's torrents and connections. All of it runs on the network thread, inside
// libtorrent's own calls: copy, post, return.
#pragma once

#include "node/core/piece_reveal.h"
#include "transport/swarm/net_plane.h"
#include "transport/swarm/request_ledger.h"
#include "transport/swarm/token_bucket.h"

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace shoal {

// One connection on the cluster torrent: our messages.
class ClusterPeer final : public lt::peer_plugin {
 public:
  ClusterPeer(NetPlane& plane, lt::peer_connection_handle connection);
  ~ClusterPeer() override;
  ClusterPeer(const ClusterPeer&) = delete;
  ClusterPeer& operator=(const ClusterPeer&) = delete;

  void send(std::span<const std::byte> message);
  void close(const std::string& why);
  void refuse_duplicate();
  // Closes a connection that has not said who it is in time.
  void tick(Time now);

  [[nodiscard]] bool identified() const { return message_id_ != 0; }
  [[nodiscard]] NodeId node() const { return node_; }
  [[nodiscard]] lt::address address() const { return connection_.remote().address(); }
  [[nodiscard]] int unsent_bytes() const;

  // Closes the connection unless its certificate is good now (closed clusters).
  void check_admission();

  void on_connected() override;
  bool on_handshake(lt::span<const char> reserved) override;
  void add_handshake(lt::entry& handshake) override;
  bool on_extension_handshake(const lt::bdecode_node& handshake) override;
  bool on_extended(int length, int id, lt::span<const char> body) override;
  void on_disconnect(const lt::error_code& ec) override;
  // libtorrent takes two peers that want nothing of each other for a waste of sockets.
  bool can_disconnect(const lt::error_code&) override { return false; }

 private:
  void hang_up();

  NetPlane& plane_;
  lt::peer_connection_handle connection_;
  const ConnId id_;
  const Time since_;
  std::optional<Credential> credential_;
  bool greeted_ = false;  // the other side's BitTorrent handshake is here
  NodeId node_;
  int message_id_ = 0;
  std::string why_closed_;
  bool closed_ = false;
  TokenBucket messages_;
  TokenBucket bytes_;
};

class ClusterPlugin final : public lt::torrent_plugin {
 public:
  explicit ClusterPlugin(NetPlane& plane) : plane_(plane) {}
  std::shared_ptr<lt::peer_plugin> new_connection(const lt::peer_connection_handle& connection) override;
  void on_add_peer(const lt::tcp::endpoint& endpoint, lt::peer_source_flags_t source,
                   lt::add_peer_flags_t flags) override;
  bool on_pause() override { return swallow_pause; }

  bool swallow_pause = false;  // see NetPlane::dial_on

 private:
  NetPlane& plane_;
};

// One segment's torrent: who sent what, and what became of it.
class SegmentPlugin final : public lt::torrent_plugin, public std::enable_shared_from_this<SegmentPlugin> {
 public:
  // `whole`: all pieces are here when it is loaded, so it shows them one by one (piece_reveal.h).
  SegmentPlugin(NetPlane& plane, LoadId load, PieceMask have, bool whole, std::uint32_t piece_size)
      : plane_(plane), load_(load), told_(have), asked_(std::make_shared<AskedBlocks>(piece_size)) {
    if (whole) reveal_.emplace(have);
  }

  std::shared_ptr<lt::peer_plugin> new_connection(const lt::peer_connection_handle& connection) override;
  void on_piece_pass(lt::piece_index_t piece) override;
  void on_piece_failed(lt::piece_index_t piece) override;
  bool on_pause() override { return swallow_pause; }

  void contributed(lt::piece_index_t piece, NodeId from, int bytes);
  void blame(lt::piece_index_t piece, NodeId node);
  [[nodiscard]] LoadId load() const { return load_; }
  // nullopt: it shows what it has.
  [[nodiscard]] std::optional<PieceReveal>& reveal() { return reveal_; }
  [[nodiscard]] bool has(PieceIndex piece) const { return (told_ & mask_of(piece)) != 0; }
  [[nodiscard]] const std::shared_ptr<AskedBlocks>& asked() const { return asked_; }

  bool swallow_pause = false;

 private:
  void tell_bad(int piece);

  NetPlane& plane_;
  const LoadId load_;
  PieceMask told_;  // pieces held at load, or told since
  const std::shared_ptr<AskedBlocks> asked_;
  std::optional<PieceReveal> reveal_;
  std::array<std::map<NodeId, std::uint64_t>, kMaxPiecesPerSegment> senders_;
  struct Bad {
    std::vector<NodeId> senders;
    std::vector<NodeId> blamed;  // what libtorrent found out; not empty: better than `senders`
  };
  std::map<int, Bad> bad_;
};

// The torrent of an exported file: its connections are counted and can be banned, as those of segments.
class WholeFilePlugin final : public lt::torrent_plugin {
 public:
  explicit WholeFilePlugin(NetPlane& plane) : plane_(plane) {}
  std::shared_ptr<lt::peer_plugin> new_connection(const lt::peer_connection_handle& connection) override;

 private:
  NetPlane& plane_;
};

class SegmentPeer final : public lt::peer_plugin, public std::enable_shared_from_this<SegmentPeer> {
 public:
  // `torrent`: nullptr for a whole file.
  SegmentPeer(NetPlane& plane, const std::shared_ptr<SegmentPlugin>& torrent,
              lt::peer_connection_handle connection);
  ~SegmentPeer() override;
  SegmentPeer(const SegmentPeer&) = delete;
  SegmentPeer& operator=(const SegmentPeer&) = delete;

  void close();
  [[nodiscard]] NodeId node() const { return node_; }
  // Of its segment; LoadId{} for a whole file.
  [[nodiscard]] LoadId load() const;
  // As many as the neighbour's window has room for and this connection needs.
  void show_pieces();

  // Closes the connection unless its certificate is good now (closed clusters).
  void check_admission();

  void on_connected() override;
  bool on_handshake(lt::span<const char> reserved) override;
  void sent_have_none() override;
  bool on_have(lt::piece_index_t piece) override;
  bool on_bitfield(const lt::bitfield& pieces) override;
  bool on_have_all() override;
  bool can_disconnect(const lt::error_code& why) override;
  void tick() override;
  void add_handshake(lt::entry& handshake) override;
  bool on_extension_handshake(const lt::bdecode_node& handshake) override;
  bool on_extended(int length, int id, lt::span<const char> body) override;
  bool write_request(const lt::peer_request& request) override;
  void sent_cancel(const lt::peer_request& request) override;
  bool on_reject(const lt::peer_request& request) override;
  bool on_piece(const lt::peer_request& piece, lt::span<const char> bytes) override;
  void sent_payload(int bytes) override;
  void on_piece_failed(lt::piece_index_t piece) override;

 private:
  void pretend_to_have_nothing(bool on);
  void note_has(PieceMask pieces);
  // The other side has said who it is, or will not: it is shown pieces from now on.
  void begin_showing();
  // Room that this connection does not need goes to the neighbour's others.
  void pass_on_room();

  // The neighbour is to answer a request for it with a reject.
  void ask_to_reject(const BlockPlace& block);
  void wait_for_block();
  // A BitTorrent message whose body is a block's place.
  void send_about(char message, lt::span<const char> place);

  // Looks at the certificate; once, when the other side's BitTorrent handshake is here.
  bool is_let_in();

  NetPlane& plane_;
  std::weak_ptr<SegmentPlugin> torrent_;  // which owns the connections that own us
  lt::peer_connection_handle connection_;
  std::optional<Credential> credential_;
  bool greeted_ = false;
  NodeId node_;  // zero until told, and for foreign clients
  bool pretending_ = false;
  bool told_nothing_ = false;              // libtorrent has said that we have nothing
  std::shared_ptr<RevealWindow> window_;   // null: it is shown nothing yet
  std::optional<RequestLedger> requests_;  // nullopt for a whole file
  int message_id_ = 0;                  // what it wants its messages marked with; 0: it is not told to reject
  boost::asio::steady_timer patience_;  // of the request that waits
};

}  // namespace shoal
