#include "tests/sim/large_swarm.h"

#include <algorithm>
#include <array>
#include <bit>
#include <numeric>

namespace shoal::sim {

LargeSwarm::LargeSwarm(int segments, std::vector<double> links_bytes_per_s)
    : have_(at(segments) * links_bytes_per_s.size(), 0),
      torrents_(links_bytes_per_s.size()),
      wanting_(links_bytes_per_s.size()) {
  for (const double rate : links_bytes_per_s) links_.push_back({rate, 0, 0});
  for (auto& by_segment : torrents_) by_segment.resize(at(segments));
}

void LargeSwarm::load(int node, int segment, PieceMask have_now, PieceMask all, double piece_bytes) {
  auto& slot = torrents_[at(node)][at(segment)];
  if (slot) return;
  slot = std::make_unique<Torrent>();
  slot->all = all;
  slot->piece_bytes = piece_bytes;
  have(node, segment) = have_now;
  if (have_now == all) return;
  auto& wanting = wanting_[at(node)];
  wanting.insert(std::ranges::lower_bound(wanting, segment), segment);
}

void LargeSwarm::unload(int node, int segment) {
  torrents_[at(node)][at(segment)].reset();
  have(node, segment) = 0;
  std::erase(wanting_[at(node)], segment);
}

void LargeSwarm::connect(int node, int other, int segment) {
  Torrent* mine = torrent(node, segment);
  Torrent* theirs = torrent(other, segment);
  if (mine == nullptr || theirs == nullptr) return;
  const auto add_peer = [](Torrent& t, int peer) {
    const auto index = static_cast<std::uint16_t>(peer);
    if (std::ranges::find(t.peers, index) == t.peers.end()) t.peers.push_back(index);
  };
  add_peer(*mine, other);
  add_peer(*theirs, node);
}

void LargeSwarm::add(int node, int segment, PieceMask pieces) {
  if (torrent(node, segment) != nullptr) have(node, segment) |= pieces;
}

void LargeSwarm::switch_off(int node) {
  for (std::size_t s = 0; s < torrents_[at(node)].size(); ++s) {
    if (torrents_[at(node)][s]) unload(node, static_cast<int>(s));
  }
  links_[at(node)].bytes_per_s = 0;
}

void LargeSwarm::refill(double seconds) {
  for (Link& link : links_) {
    const double more = link.bytes_per_s * seconds;
    link.up_left = std::min(link.up_left, 0.0) + more;
    link.down_left = std::min(link.down_left, 0.0) + more;
  }
}

// Pieces for one node and segment until nothing is left to take or the link has carried its part.
void LargeSwarm::take(int node, int segment, Torrent& torrent, double down_floor, Random& random) {
  Link& link = links_[at(node)];
  const PieceMask* masks = have_.data() + at(segment) * links_.size();
  PieceMask wanted = torrent.all & ~masks[node] & ~torrent.gained;
  // Only senders that can begin another piece; how often each piece is among them: once, or more.
  std::array<std::uint16_t, 128> senders{};
  std::size_t count = 0;
  PieceMask once = 0;
  PieceMask more = 0;
  for (const std::uint16_t peer : torrent.peers) {
    const PieceMask offered = masks[peer] & wanted;
    if (offered == 0 || links_[peer].up_left <= 0 || count == senders.size()) continue;
    senders[count++] = peer;
    more |= once & offered;
    once |= offered;
  }
  PieceMask rare = once & ~more;
  wanted &= once;
  while (wanted != 0 && link.down_left > down_floor) {
    const PieceMask from = (rare & wanted) != 0 ? rare & wanted : wanted;
    // The first from a random place on: nodes that ask at the same moment ask for different ones.
    const int turn = static_cast<int>(random.next() & 63U);
    const int bit = (std::countr_zero(std::rotr(from, turn)) + turn) & 63;
    const PieceMask piece = PieceMask{1} << static_cast<unsigned>(bit);
    int best = -1;
    double most = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const Link& sender = links_[senders[i]];
      if ((masks[senders[i]] & piece) == 0 || sender.up_left <= most) continue;
      most = sender.up_left;
      best = senders[i];
    }
    wanted &= ~piece;
    if (best < 0) continue;
    links_[at(best)].up_left -= torrent.piece_bytes;
    link.down_left -= torrent.piece_bytes;
    torrent.gained |= piece;
    moved_bytes_ += torrent.piece_bytes;
  }
}

const std::vector<LargeSwarm::Gain>& LargeSwarm::exchange(Random& random) {
  gains_.clear();
  const std::size_t n = links_.size();
  // In a new order each round and in two halves, so that nobody is always first at a busy sender.
  for (int half = 1; half >= 0; --half) {
    const std::size_t first = random.below(n);
    std::size_t step = 1 + random.below(n);
    while (std::gcd(step, n) != 1) ++step;
    for (std::size_t k = 0; k < n; ++k) {
      const std::size_t node = (first + k * step) % n;
      const double down_floor = half * links_[node].down_left / 2;
      for (const int segment : wanting_[node]) {
        if (links_[node].down_left <= down_floor) break;
        take(static_cast<int>(node), segment, *torrents_[node][at(segment)], down_floor, random);
      }
    }
  }
  for (std::size_t node = 0; node < n; ++node) {
    std::erase_if(wanting_[node], [&](int segment) {
      Torrent& t = *torrents_[node][at(segment)];
      PieceMask& held = have(static_cast<int>(node), segment);
      if (t.gained != 0) gains_.push_back({static_cast<int>(node), segment, t.gained});
      held |= t.gained;
      t.gained = 0;
      return held == t.all;
    });
  }
  return gains_;
}

}  // namespace shoal::sim
