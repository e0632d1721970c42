#include "transport/swarm/plugins.h"

#include "transport/swarm/gossip_codec.h"
#include "transport/swarm/peer_credential.h"

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstring>

namespace shoal {
namespace {

constexpr int kOurMessageId = 33;  // ours to choose; clear of the ids libtorrent gives to its own extensions
constexpr char kBtRequest = 6;     // BEP 3
constexpr char kBtReject = 16;     // BEP 6
constexpr char kBtExtended = 20;   // BEP 10
constexpr int kPlaceBytes = 12;    // piece, start and length of a block: the body of a request (BEP 3)
// What may wait for a neighbour that asks for rejects and does not read: twice send_buffer_watermark, which
// bounds what waits of pieces.
constexpr int kUnsentBytesMax = 2 * 1024 * 1024;
constexpr std::size_t kBurstSeconds = 4;
// A connection on the cluster torrent that has not said who it is by then is a stranger.
constexpr Duration kIdentityWait = std::chrono::seconds(8);
// "There is a link already, do not dial again": type 0. Handled here, because it is about the connection.
constexpr std::array<std::byte, 2> kDuplicate{std::byte{kGossipVersion}, std::byte{0}};

Time now() {
  return std::chrono::steady_clock::now();
}

Endpoint to_endpoint(const lt::tcp::endpoint& endpoint) {
  return {endpoint.address().to_string(), endpoint.port()};
}

lt::error_code refused() {
  return {boost::system::errc::connection_refused, lt::generic_category()};
}

// As a failure, so that libtorrent does not dial the endpoint again by itself.
void disconnect(lt::peer_connection_handle connection) {
  if (connection.native_handle() == nullptr) return;
  connection.disconnect(refused(), lt::operation_t::bittorrent, lt::peer_connection_interface::failure);
}

BlockPlace to_place(const lt::peer_request& request) {
  return {static_cast<int>(request.piece), static_cast<std::uint32_t>(request.start),
          static_cast<std::uint32_t>(request.length)};
}

std::array<char, kPlaceBytes> bytes_of(const BlockPlace& block) {
  std::array<char, kPlaceBytes> out{};
  std::size_t at = 0;
  for (const std::uint32_t value : {static_cast<std::uint32_t>(block.piece), block.start, block.length}) {
    for (const unsigned shift : {24U, 16U, 8U, 0U}) out.at(at++) = static_cast<char>(value >> shift & 0xffU);
  }
  return out;
}

}  // namespace

// ---------------------------------------------------------------- identity

void NetPlane::add_identity(lt::entry& handshake) const {
  // Without our listen port libtorrent cannot take an incoming connection for a duplicate of an outgoing one
  // and close it behind the back of NeighbourTable; nor does it dial whoever connected to us.
  handshake.dict().erase("p");
  handshake["m"]["shoal"] = kOurMessageId;
  auto& ours = handshake["shoal"];
  ours["n"] =
      std::string(reinterpret_cast<const char*>(options_.node.bytes.data()), options_.node.bytes.size());
  std::string run(8, '\0');
  for (unsigned i = 0; i < 8; ++i) run[i] = static_cast<char>(options_.run >> (8U * (7 - i)) & 0xffU);
  ours["r"] = run;
  ours["v"] = 1;
  ours["j"] = 1;
}

std::optional<NetPlane::Identity> NetPlane::read_identity(const lt::bdecode_node& handshake) {
  const auto ours = handshake.dict_find_dict("shoal");
  const auto ids = handshake.dict_find_dict("m");
  if (!ours || !ids) return std::nullopt;
  const auto node = ours.dict_find_string_value("n");
  const auto run = ours.dict_find_string_value("r");
  const auto id = ids.dict_find_int_value("shoal", 0);
  Identity out;
  if (node.size() != out.node.bytes.size() || run.size() != 8 || id <= 0 || id > 255) return std::nullopt;
  if (ours.dict_find_int_value("v", 0) < 1) return std::nullopt;
  std::memcpy(out.node.bytes.data(), node.data(), node.size());
  for (const char c : run) out.run = out.run << 8U | static_cast<unsigned char>(c);
  out.message_id = static_cast<int>(id);
  out.rejects = ours.dict_find_int_value("j", 0) == 1;
  if (out.node == NodeId{}) return std::nullopt;
  return out;
}

// ---------------------------------------------------------------- the cluster torrent

ClusterPeer::ClusterPeer(NetPlane& plane, lt::peer_connection_handle connection)
    : plane_(plane),
      connection_(std::move(connection)),
      id_(plane.next_connection()),
      since_(now()),
      messages_(plane.options().messages_per_s,
                static_cast<double>(plane.options().messages_per_s) * kBurstSeconds, since_),
      bytes_(static_cast<double>(plane.options().message_bytes_per_s),
             static_cast<double>(plane.options().message_bytes_per_s * kBurstSeconds), since_) {
  plane_.add_peer(id_, this);
  if (!connection_.is_outgoing()) set_no_delay(connection_);
}

void ClusterPeer::on_connected() {
  set_no_delay(connection_);
}

// The first that comes over a connection. Nothing of ours but the same greeting has left before it.
bool ClusterPeer::on_handshake(lt::span<const char>) {
  credential_ = credential_of(connection_);
  greeted_ = true;
  check_admission();
  return true;
}

void ClusterPeer::check_admission() {
  if (!greeted_) return;  // is asked when it is
  const auto admission = plane_.admission_of(credential_, node_);
  if (admission == Admission::admitted) return;
  plane_.events().on_log("not let in: " + address().to_string() + ": " + std::string(to_string(admission)));
  close(std::string(to_string(admission)));
}

ClusterPeer::~ClusterPeer() {
  hang_up();
}

void ClusterPeer::hang_up() {
  if (std::exchange(closed_, true)) return;
  plane_.remove_peer(id_);
  if (identified()) plane_.events().on_closed(id_, why_closed_);
}

void ClusterPeer::on_disconnect(const lt::error_code& ec) {
  if (why_closed_.empty()) why_closed_ = ec.message();
  hang_up();
}

void ClusterPeer::close(const std::string& why) {
  if (closed_) return;
  if (why_closed_.empty()) why_closed_ = why;
  disconnect(connection_);
}

void ClusterPeer::refuse_duplicate() {
  send(kDuplicate);
}

void ClusterPeer::tick(Time at) {
  if (!identified() && at - since_ > kIdentityWait) close("it did not say who it is");
}

int ClusterPeer::unsent_bytes() const {
  const auto native = connection_.native_handle();
  return native == nullptr ? 0 : native->send_buffer_size();
}

void ClusterPeer::add_handshake(lt::entry& handshake) {
  plane_.add_identity(handshake);
}

bool ClusterPeer::on_extension_handshake(const lt::bdecode_node& handshake) {
  if (identified()) return true;  // BEP 10 allows it to be repeated; who it is does not change
  const auto identity = NetPlane::read_identity(handshake);
  if (!identity) {
    close("it is no shoal node");
    return true;
  }
  if (identity->node == plane_.options().node) {
    if (connection_.is_outgoing()) plane_.events().on_self(to_endpoint(connection_.remote()));
    close("it is this node");
    return true;
  }
  if (plane_.is_banned(identity->node)) {
    close("it is banned");
    return true;
  }
  if (const auto admission = plane_.admission_of(credential_, identity->node);
      admission != Admission::admitted) {
    close(std::string(to_string(admission)));
    return true;
  }
  node_ = identity->node;
  message_id_ = identity->message_id;
  plane_.events().on_identified(
      {id_, node_, identity->run, to_endpoint(connection_.remote()), connection_.is_outgoing()});
  return true;
}

bool ClusterPeer::on_extended(int length, int id, lt::span<const char> body) {
  if (id != kOurMessageId) return false;
  if (length > static_cast<int>(limits::kMessageBytesMax)) {
    close("its message is longer than 512 KiB");
    return true;
  }
  if (body.size() < length) return true;  // a fragment: libtorrent collects, and never more than `length`
  if (!identified()) {
    close("it spoke before it said who it is");
    return true;
  }
  const auto bytes = std::as_bytes(std::span(body.data(), static_cast<std::size_t>(body.size())));
  if (std::ranges::equal(bytes, kDuplicate)) {
    close("the neighbour is connected already");
    return true;
  }
  const auto at = now();
  if (!messages_.take(1, at) || !bytes_.take(static_cast<double>(bytes.size()), at)) {
    close("it sends more than a neighbour may");
    return true;
  }
  if (!plane_.inbox_add(bytes.size())) {
    close("messages are not taken fast enough here");
    return true;
  }
  plane_.events().on_bytes(id_, {bytes.begin(), bytes.end()});
  return true;
}

void ClusterPeer::send(std::span<const std::byte> message) {
  if (closed_ || !identified() || connection_.native_handle() == nullptr) return;
  if (static_cast<std::size_t>(unsent_bytes()) + message.size() > plane_.options().send_queue_bytes) {
    close("it does not take what is sent to it");
    return;
  }
  const auto length = static_cast<std::uint32_t>(message.size() + 2);
  std::vector<char> frame;
  frame.reserve(length + 4);
  for (const unsigned shift : {24U, 16U, 8U, 0U}) frame.push_back(static_cast<char>(length >> shift & 0xffU));
  frame.push_back(kBtExtended);
  frame.push_back(static_cast<char>(message_id_));
  const auto* data = reinterpret_cast<const char*>(message.data());
  frame.insert(frame.end(), data, data + message.size());
  connection_.send_buffer(frame.data(), static_cast<int>(frame.size()));
}

std::shared_ptr<lt::peer_plugin> ClusterPlugin::new_connection(const lt::peer_connection_handle& connection) {
  if (connection.type() != lt::connection_type::bittorrent) return nullptr;
  return std::make_shared<ClusterPeer>(plane_, connection);
}

void ClusterPlugin::on_add_peer(const lt::tcp::endpoint& endpoint, lt::peer_source_flags_t source,
                                lt::add_peer_flags_t) {
  if (source == lt::peer_info::lsd) plane_.events().on_heard(to_endpoint(endpoint));
}

// ---------------------------------------------------------------- segment torrents

std::shared_ptr<lt::peer_plugin> SegmentPlugin::new_connection(const lt::peer_connection_handle& connection) {
  if (connection.type() != lt::connection_type::bittorrent) return nullptr;
  return std::make_shared<SegmentPeer>(plane_, shared_from_this(), connection);
}

void SegmentPlugin::contributed(lt::piece_index_t piece, NodeId from, int bytes) {
  senders_[static_cast<std::size_t>(static_cast<int>(piece))][from] += static_cast<std::uint64_t>(bytes);
}

void SegmentPlugin::on_piece_pass(lt::piece_index_t index) {
  // Also called for each piece held when the torrent is added.
  const auto piece = static_cast<PieceIndex>(static_cast<int>(index));
  if ((told_ & mask_of(piece)) != 0) return;
  told_ |= mask_of(piece);
  auto& senders = senders_[static_cast<std::size_t>(to_int(piece))];
  const auto most = std::ranges::max_element(senders, {}, [](const auto& entry) { return entry.second; });
  plane_.events().on_piece_here(load_, piece, most == senders.end() ? NodeId{} : most->first);
  senders.clear();
}

// libtorrent first tells the torrent, then each connection it blames; some ticks later it may know the very
// blocks and do it again. What is known in this turn of the network thread goes out together.
void SegmentPlugin::on_piece_failed(lt::piece_index_t index) {
  const int piece = static_cast<int>(index);
  const auto [bad, fresh] = bad_.try_emplace(piece);
  auto& senders = senders_[static_cast<std::size_t>(piece)];
  for (const auto& [node, bytes] : senders) bad->second.senders.push_back(node);
  senders.clear();
  if (!fresh) return;
  boost::asio::post(plane_.context(), [weak = weak_from_this(), piece] {
    if (const auto self = weak.lock()) self->tell_bad(piece);
  });
}

void SegmentPlugin::blame(lt::piece_index_t index, NodeId node) {
  const auto bad = bad_.find(static_cast<int>(index));
  if (bad != bad_.end()) bad->second.blamed.push_back(node);
}

void SegmentPlugin::tell_bad(int piece) {
  auto bad = bad_.extract(piece);
  if (bad.empty()) return;
  auto& nodes = bad.mapped().blamed.empty() ? bad.mapped().senders : bad.mapped().blamed;
  std::ranges::sort(nodes);
  const auto repeated = std::ranges::unique(nodes);
  nodes.erase(repeated.begin(), repeated.end());
  plane_.events().on_piece_bad(load_, static_cast<PieceIndex>(piece), std::move(nodes));
}

std::shared_ptr<lt::peer_plugin> WholeFilePlugin::new_connection(
    const lt::peer_connection_handle& connection) {
  if (connection.type() != lt::connection_type::bittorrent) return nullptr;
  return std::make_shared<SegmentPeer>(plane_, nullptr, connection);
}

SegmentPeer::SegmentPeer(NetPlane& plane, const std::shared_ptr<SegmentPlugin>& torrent,
                         lt::peer_connection_handle connection)
    : plane_(plane), torrent_(torrent), connection_(std::move(connection)), patience_(plane.context()) {
  if (torrent) requests_.emplace(torrent->asked());
  plane_.add_peer(this);
  if (!connection_.is_outgoing()) set_no_delay(connection_);
}

void SegmentPeer::on_connected() {
  set_no_delay(connection_);
}

bool SegmentPeer::is_let_in() {
  credential_ = credential_of(connection_);
  greeted_ = true;
  if (plane_.admission_of(credential_, NodeId{}) != Admission::admitted) return false;
  // A certificate is better than what the other side says.
  if (plane_.closed_cluster() && credential_) node_ = credential_->node;
  return !plane_.is_banned(node_);
}

void SegmentPeer::check_admission() {
  if (greeted_ && plane_.admission_of(credential_, NodeId{}) != Admission::admitted) close();
}

SegmentPeer::~SegmentPeer() {
  if (const auto torrent = torrent_.lock(); torrent && torrent->reveal()) torrent->reveal()->on_gone(this);
  plane_.remove_peer(this);
}

// The only way to keep libtorrent from saying what the torrent has: for the length of the handshake it is in
// super-seeding mode, in which it says "nothing". Requests of other peers are not looked at in between, since
// all this happens within one call of the network thread.
void SegmentPeer::pretend_to_have_nothing(bool on) {
  if (pretending_ == on) return;
  pretending_ = on;
  const auto torrent = connection_.associated_torrent();
  if (on) {
    torrent.set_flags(lt::torrent_flags::super_seeding);
  } else {
    torrent.unset_flags(lt::torrent_flags::super_seeding);
  }
}

bool SegmentPeer::on_handshake(lt::span<const char>) {
  if (!is_let_in()) {
    close();
    return true;
  }
  const auto torrent = torrent_.lock();
  if (torrent && torrent->reveal()) pretend_to_have_nothing(true);
  return true;
}

void SegmentPeer::sent_have_none() {
  if (!pretending_) return;
  pretend_to_have_nothing(false);
  told_nothing_ = true;
  if (node_ != NodeId{}) begin_showing();
}

void SegmentPeer::begin_showing() {
  const auto torrent = torrent_.lock();
  if (window_ || !told_nothing_ || !torrent || !torrent->reveal()) return;
  window_ = plane_.reveal_window(node_);
  torrent->reveal()->on_peer(this, window_, now());
  show_pieces();
}

LoadId SegmentPeer::load() const {
  const auto torrent = torrent_.lock();
  return torrent ? torrent->load() : LoadId{};
}

void SegmentPeer::show_pieces() {
  const auto torrent = torrent_.lock();
  if (!torrent || !torrent->reveal()) return;
  PieceMask pieces = torrent->reveal()->show(this, now());
  for (; pieces != 0; pieces &= pieces - 1) {
    // BEP 3: length, id of "have", index.
    const std::array<char, 9> have{0, 0, 0, 5, 4, 0, 0, 0, static_cast<char>(std::countr_zero(pieces))};
    connection_.send_buffer(have.data(), static_cast<int>(have.size()));
  }
}

void SegmentPeer::note_has(PieceMask pieces) {
  const auto torrent = torrent_.lock();
  if (!torrent || !torrent->reveal()) return;
  const bool made_room = torrent->reveal()->on_has(this, pieces, now());
  show_pieces();
  if (made_room) pass_on_room();
}

void SegmentPeer::pass_on_room() {
  if (window_ && node_ != NodeId{} && window_->room() > 0) plane_.show_pieces_to(node_);
}

// These answer false: libtorrent looks at the message, too.
bool SegmentPeer::on_have(lt::piece_index_t piece) {
  const int index = static_cast<int>(piece);
  if (index < 0 || index >= kMaxPiecesPerSegment) return false;
  note_has(PieceMask{1} << index);
  const auto torrent = torrent_.lock();
  if (message_id_ == 0 || !torrent || torrent->has(static_cast<PieceIndex>(index))) return false;
  const auto native = connection_.native_handle();
  if (native == nullptr) return false;
  if (const auto block = requests_->on_have(index, native->is_interesting())) ask_to_reject(*block);
  return false;
}

bool SegmentPeer::on_bitfield(const lt::bitfield& bits) {
  PieceMask pieces = 0;
  for (int i = 0; i < std::min(bits.size(), kMaxPiecesPerSegment); ++i) {
    if (bits.get_bit(i)) pieces |= PieceMask{1} << i;
  }
  note_has(pieces);
  return false;
}

bool SegmentPeer::on_have_all() {
  note_has(~PieceMask{0});
  return false;
}

// A seed that has shown all its pieces by and by counts as one that only uploads, and in the moment of the
// last one as one with nothing of interest.
bool SegmentPeer::can_disconnect(const lt::error_code& why) {
  return why != lt::error_code(lt::errors::uninteresting_upload_peer);
}

void SegmentPeer::tick() {
  // A foreign client without BEP 6 is not told "nothing" at all.
  if (pretending_) told_nothing_ = true;
  pretend_to_have_nothing(false);
  begin_showing();
  show_pieces();
}

void SegmentPeer::close() {
  disconnect(connection_);
}

void SegmentPeer::add_handshake(lt::entry& handshake) {
  plane_.add_identity(handshake);
}

// Always true: a foreign client's connection is counted too.
bool SegmentPeer::on_extension_handshake(const lt::bdecode_node& handshake) {
  const auto identity = NetPlane::read_identity(handshake);
  if (!identity) {
    begin_showing();
    return true;
  }
  if (plane_.is_banned(identity->node) || identity->node == plane_.options().node) {
    close();
    return true;
  }
  message_id_ = requests_ && identity->rejects ? identity->message_id : 0;
  if (plane_.closed_cluster()) {
    if (plane_.admission_of(credential_, identity->node) != Admission::admitted) close();
    return true;
  }
  node_ = plane_.attributed(identity->node, connection_.remote().address());
  begin_showing();
  return true;
}

// True: libtorrent counts it as sent.
bool SegmentPeer::write_request(const lt::peer_request& request) {
  if (!requests_ || !requests_->on_request(to_place(request), message_id_ != 0)) return false;
  wait_for_block();
  return true;
}

void SegmentPeer::wait_for_block() {
  patience_.expires_after(RequestLedger::kPatience);
  patience_.async_wait([weak = weak_from_this()](const lt::error_code& ec) {
    const auto self = weak.lock();
    if (ec || !self) return;
    if (const auto block = self->requests_->on_patience_over())
      self->send_about(kBtRequest, bytes_of(*block));
  });
}

void SegmentPeer::sent_cancel(const lt::peer_request& request) {
  if (requests_ && requests_->on_cancel(to_place(request))) ask_to_reject(to_place(request));
}

bool SegmentPeer::on_reject(const lt::peer_request& request) {
  if (requests_) requests_->on_answer(to_place(request));
  return false;
}

void SegmentPeer::ask_to_reject(const BlockPlace& block) {
  patience_.cancel();
  std::array<char, 6 + kPlaceBytes> frame{
      0, 0, 0, 2 + kPlaceBytes, kBtExtended, static_cast<char>(message_id_)};
  std::ranges::copy(bytes_of(block), frame.begin() + 6);
  connection_.send_buffer(frame.data(), static_cast<int>(frame.size()));
}

void SegmentPeer::send_about(char message, lt::span<const char> place) {
  std::array<char, 5 + kPlaceBytes> frame{0, 0, 0, 1 + kPlaceBytes, message};
  std::copy_n(place.begin(), kPlaceBytes, frame.begin() + 5);
  connection_.send_buffer(frame.data(), static_cast<int>(frame.size()));
}

// "Reject this request", whatever it is: who asks for that never sent it, or does not want it any more.
bool SegmentPeer::on_extended(int length, int id, lt::span<const char> body) {
  if (id != kOurMessageId) return false;
  const auto native = connection_.native_handle();
  if (native == nullptr) return true;
  if (length != kPlaceBytes || native->send_buffer_size() > kUnsentBytesMax) {
    close();
    return true;
  }
  if (body.size() < length) return true;  // a fragment
  send_about(kBtReject, body.first(kPlaceBytes));
  return true;
}

// False: libtorrent goes on with the block.
bool SegmentPeer::on_piece(const lt::peer_request& piece, lt::span<const char>) {
  plane_.count_received(node_, static_cast<std::uint64_t>(piece.length));
  if (requests_) requests_->on_answer(to_place(piece));
  if (const auto torrent = torrent_.lock()) torrent->contributed(piece.piece, node_, piece.length);
  return false;
}

void SegmentPeer::sent_payload(int bytes) {
  plane_.count_sent(node_, static_cast<std::uint64_t>(bytes));
}

void SegmentPeer::on_piece_failed(lt::piece_index_t piece) {
  if (const auto torrent = torrent_.lock()) torrent->blame(piece, node_);
}

}  // namespace shoal
