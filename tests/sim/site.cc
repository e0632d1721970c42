#include "tests/sim/site.h"

#include "node/core/piece_bits.h"
#include "tests/sim/content.h"
#include "tests/sim/large_site.h"
#include "tests/sim/sim_node.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <utility>

namespace shoal::sim {
namespace {

constexpr double kWarmUp = 3.0;  // the nodes know each other before the first pull
constexpr Duration kSettled = std::chrono::milliseconds(400);

Duration to_duration(double s) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(s));
}

bool names(const std::vector<NodeEvent>& events, int index) {
  return std::ranges::any_of(events, [&](const NodeEvent& e) { return e.node == index; });
}

}  // namespace

Site::Site(Options options) : options_(std::move(options)), flows_(events_), random_(options_.rng_seed) {
  if (!options_.claims_lapse) {
    options_.limits.claim_ttl = options_.limits.claim_quiet = Duration::max();
    options_.limits.help_after = std::chrono::hours(1000);
  }
  wan_ = flows_.add_link(options_.wan_bytes_per_s);
  start_ = events_.now() + to_duration(kWarmUp);
  const auto add_blob = [&](std::uint64_t size) {
    blobs_.push_back(draw_blob(random_, size));
    report_.size += size;
  };
  for (int i = 0; i < options_.small_files; ++i) add_blob(1 * kKiB + random_.below(63 * kKiB));
  for (int i = 0; i < options_.files; ++i)
    add_blob(options_.size / static_cast<std::uint64_t>(options_.files));
  for (int i = 0; i < options_.nodes; ++i) {
    NodeId id;
    const std::uint64_t word = random_.next();
    std::memcpy(id.bytes.data(), &word, 8);
    double lan = draw_lan(options_, random_);
    for (const SlowNode& slow : options_.slow) {
      if (slow.node == i) lan /= slow.factor;
    }
    lan_.push_back(lan);
    nodes_.push_back(std::make_unique<SimNode>(*this, i, id, lan));
    index_[id] = i;
  }
  report_.finished_s.assign(static_cast<std::size_t>(options_.nodes), -1);
  report_.fetched.assign(static_cast<std::size_t>(options_.nodes), 0);
}

Site::~Site() = default;

SimNode* Site::node(NodeId id) {
  const auto it = index_.find(id);
  return it == index_.end() ? nullptr : nodes_[static_cast<std::size_t>(it->second)].get();
}

double Site::seconds() const {
  return std::chrono::duration<double>(events_.now() - start_).count();
}

bool Site::faults_on() const {
  return seconds() < options_.faults_until_s;
}

void Site::send(SimNode& from, NodeId to, Message message) {
  SimNode* other = node(to);
  if (other == nullptr || !other->alive()) return;
  ++report_.messages;
  Time& last = last_delivery_[{from.index(), other->index()}];
  const Time arrival = events_.now() + to_duration(options_.lan_delay_s * random_.between(1.0, 1.5));
  last = std::max(last, arrival);
  events_.at(last, [this, sender = from.id(), other, message = std::move(message)] {
    const SimNode* alive = node(sender);
    if (alive->alive() && other->alive()) other->receive(sender, message);
  });
}

void Site::violation(std::string text) {
  if (report_.violations.size() < 20 && seen_.insert(text).second) {
    report_.violations.push_back("at " + std::to_string(seconds()) + " s: " + std::move(text));
  }
}

void Site::on_node_done(SimNode& node) {
  double& finished = report_.finished_s[static_cast<std::size_t>(node.index())];
  if (finished >= 0) return;
  finished = seconds() - node.pull_began_s();
  if (must_finish(node.index())) report_.last_s = std::max(report_.last_s, seconds());
  if (!disturbed(node.index())) report_.undisturbed_last_s = std::max(report_.undisturbed_last_s, seconds());
}

void Site::on_ban(SimNode& by, NodeId banned, const std::string& reason) {
  ++report_.bans;
  const int index = index_.at(banned);
  const bool liar = std::ranges::count(options_.hash_liars, index) > 0 ||
                    (options_.byte_liars_are_known && std::ranges::count(options_.byte_liars, index) > 0) ||
                    std::ranges::count(options_.hash_liars, by.index()) > 0 ||
                    std::ranges::count(options_.byte_liars, by.index()) > 0 || options_.origin_wrong > 0;
  if (!liar) {
    violation("node " + std::to_string(by.index()) + " banned honest node " + std::to_string(index) + ": " +
              reason);
  }
}

void Site::on_fetching(SimNode& node, const SegmentKey& key, PieceMask pieces) {
  auto& by_node = fetching_[key];
  if (pieces == 0) {
    by_node.erase(node.index());
    if (by_node.empty()) fetching_.erase(key);
    return;
  }
  auto& entry = by_node[node.index()];
  if ((pieces & ~entry.first) != 0) entry.second = events_.now();
  entry.first = pieces;
}

void Site::check_claims() {
  const bool honest_site =
      options_.hash_liars.empty() && options_.byte_liars.empty() && options_.origin_wrong <= 0;
  if (honest_site) {
    for (const auto& [key, by_node] : fetching_) {
      std::array<int, 64> count{};
      for (const auto& [index, entry] : by_node) {
        if (events_.now() - entry.second < kSettled) continue;
        for_each_piece(entry.first, [&](PieceIndex p) { ++count[at(p)]; });
      }
      const int most = *std::ranges::max_element(count);
      if (most > options_.claimants_max) {
        violation(std::to_string(most) + " nodes fetch one piece from the origin at the same time");
      }
    }
  }
  events_.after(std::chrono::milliseconds(200), [this] { check_claims(); });
}

void Site::count_wan(SimNode& node, double bytes) {
  wan_bytes_ += bytes;
  report_.fetched[static_cast<std::size_t>(node.index())] += static_cast<std::uint64_t>(bytes);
}

void Site::count_cut(SimNode& node, double bytes) {
  count_wan(node, bytes);
  report_.cut_bytes += static_cast<std::uint64_t>(bytes);
}

void Site::count_piece(const SegmentKey& key, PieceIndex piece, std::uint64_t bytes) {
  PieceMask& fetched = fetched_[key];
  if ((fetched & mask_of(piece)) != 0) report_.twice_bytes += bytes;
  fetched |= mask_of(piece);
}

bool Site::must_finish(int index) const {
  return !names(options_.killed, index) && !dead_.contains(index) && !names(options_.hung, index) &&
         std::ranges::count(options_.hash_liars, index) == 0 &&
         std::ranges::count(options_.byte_liars, index) == 0;
}

bool Site::disturbed(int index) const {
  return !must_finish(index) || names(options_.restarted, index) ||
         std::ranges::any_of(options_.slow, [&](const SlowNode& s) { return s.node == index; });
}

double Site::t_min() const {
  const auto size = static_cast<double>(report_.size);
  const int takers = options_.nodes - options_.seeds;
  double up = 0;
  double slowest = options_.lan_bytes_per_s;
  // Nodes that were made slow on purpose have a bound of their own; drawn links belong to the site.
  if (options_.lan_max_bytes_per_s > 0) {
    slowest = options_.lan_max_bytes_per_s;
    for (int i = 0; i < options_.nodes; ++i) {
      up += lan_[static_cast<std::size_t>(i)];
      if (must_finish(i)) slowest = std::min(slowest, lan_[static_cast<std::size_t>(i)]);
    }
  } else {
    up = options_.lan_bytes_per_s * options_.nodes;
  }
  const double through_lan = size / slowest;
  if (options_.seeds > 0) return std::max(through_lan, takers * size / up);
  if (takers == 1) return size / std::min(options_.wan_bytes_per_s, options_.lan_bytes_per_s);
  return std::max(
      {size / options_.wan_bytes_per_s, through_lan, takers * size / (options_.wan_bytes_per_s + up)});
}

void Site::sample() {
  Report::Second second;
  second.wan_bytes = wan_bytes_ - std::exchange(sampled_wan_bytes_, wan_bytes_);
  second.have_least = 1;
  int counted = 0;
  for (const auto& node : nodes_) {
    if (node->index() < options_.seeds || !must_finish(node->index())) continue;
    const double part = static_cast<double>(node->bytes_here()) / static_cast<double>(report_.size);
    second.have_mean += part;
    second.have_least = std::min(second.have_least, part);
    ++counted;
  }
  second.have_mean /= std::max(1, counted);
  report_.by_second.push_back(second);
  events_.after(std::chrono::seconds(1), [this] { sample(); });
}

void Site::schedule_fate() {
  const auto at = [&](double s, SimNode& node, auto what) {
    events_.at(start_ + to_duration(s), [&node, what] { what(node); });
  };
  for (const NodeEvent& e : options_.killed)
    at(e.at_s, *nodes_.at(static_cast<std::size_t>(e.node)), [](SimNode& n) { n.die(); });
  for (const NodeEvent& e : options_.hung) {
    at(e.at_s, *nodes_.at(static_cast<std::size_t>(e.node)), [](SimNode& n) { n.hang(); });
  }
  for (const NodeEvent& e : options_.marked_busy) {
    at(e.at_s, *nodes_.at(static_cast<std::size_t>(e.node)), [](SimNode& n) { n.mark_busy(); });
  }
  for (const NodeEvent& e : options_.restarted) {
    at(e.at_s, *nodes_.at(static_cast<std::size_t>(e.node)), [](SimNode& n) { n.die(); });
    at(e.at_s + 3, *nodes_.at(static_cast<std::size_t>(e.node)), [](SimNode& n) { n.restart(); });
  }
}

Report Site::run() {
  for (int i = 0; i < options_.seeds; ++i) nodes_[static_cast<std::size_t>(i)]->hold_everything();
  for (const auto& node : nodes_) {
    events_.after(to_duration(random_.unit()), [n = node.get()] { n->heartbeat(); });
    for (const auto& other : nodes_) {
      if (node->index() >= other->index()) continue;
      events_.after(to_duration(random_.between(0.1, 1.0)), [a = node.get(), b = other.get()] {
        a->meet(*b);
        b->meet(*a);
      });
    }
    if (node->index() < options_.seeds) continue;
    const double wait =
        options_.stagger_s * (node->index() - options_.seeds) + random_.unit() * options_.start_spread_s;
    events_.at(start_ + to_duration(wait), [n = node.get()] { n->begin_pull(); });
  }
  schedule_fate();
  for (int i = options_.seeds; i < options_.nodes; ++i) {
    const double dies = draw_death(options_, random_);
    if (dies >= options_.deadline_s) continue;
    events_.at(start_ + to_duration(dies), [this, i] {
      dead_.insert(i);
      ++report_.deaths;
      nodes_[static_cast<std::size_t>(i)]->die();
    });
  }
  check_claims();
  events_.at(start_ + std::chrono::seconds(1), [this] { sample(); });
  const auto all_done = [&] {
    return std::ranges::all_of(nodes_, [&](const auto& n) {
      return n->index() < options_.seeds || !must_finish(n->index()) ||
             report_.finished_s[static_cast<std::size_t>(n->index())] >= 0;
    });
  };
  bool done = false;
  std::uint64_t steps = 0;
  while (!done && seconds() < options_.deadline_s && events_.step()) {
    if (++steps % 16 == 0) done = all_done();
  }
  if (!all_done()) {
    for (const auto& n : nodes_) {
      const auto i = static_cast<std::size_t>(n->index());
      if (n->index() >= options_.seeds && must_finish(n->index()) && report_.finished_s[i] < 0) {
        violation("node " + std::to_string(n->index()) + " has not finished:" + n->waits());
      }
    }
    report_.last_s = seconds();
  }
  report_.t_min_s = t_min();
  report_.wan_bytes = static_cast<std::uint64_t>(wan_bytes_);
  report_.lan_bytes = static_cast<std::uint64_t>(lan_bytes_);
  report_.events = events_.steps();
  for (const auto& n : nodes_) {
    report_.decides += n->decides;
    report_.served.push_back(n->served_bytes);
  }
  if (report_.wan_factor() > options_.wan_factor_max) {
    violation("the origin sent " + std::to_string(report_.wan_factor()) + " times the size");
  }
  if (report_.time_factor() > options_.time_factor_max) {
    violation("the last node took " + std::to_string(report_.time_factor()) +
              " times the least possible time");
  }
  return report_;
}

Report run_site(const Options& options) {
  if (options.round_s > 0) return run_large_site(options);
  return Site(options).run();
}

}  // namespace shoal::sim
