// Decides where the bytes of each wanted blob come from: neighbours, the origin, or both.
//
// Decisions only: no I/O, no locks, no clock. Facts come in by on_... calls with `now`, actions come out of
// decide(). The same code runs in the daemon and under a virtual clock. Owned by the loop thread.
//
// How a segment gets its bytes, in this order:
// - Warm: everything missing is with neighbours. Ask up to `ask_fanout` holders for the piece hashes (which
//   makes them load the torrent), load it, connect. Of two nodes that both fetch it the one with the lower id
//   connects.
// - Cold: some pieces are nowhere on the site. Claim a run of them, tell the others that want the blob, fetch
//   it from the origin; tell the piece hashes as they land. When all hashes of a segment are known, it is
//   warm.
// - A node alone is the case of no neighbours: it claims and fetches everything.
//
// Rules, with their reasons:
// - A piece is claimed by one node at a time. Why: each byte should cross the internet once per site. Two
//   claims that crossed on the wire are settled by claim_beats(), the same way on both sides.
// - A claim is refreshed only while its bytes arrive and lapses `claim_ttl` later. Why: a stuck or dead node
//   must not hold the others back, and nobody has to judge what is slow.
// - Each node claims its own part of a segment (claim_part), then of the next few segments, and only then
//   what the others have left of their parts, from the end. Why: a claim needs some 100 ms to reach the
//   others on a busy site, and nodes that become free in that time must not choose the same pieces.
// - All nodes work on the segments in the same order, a slice is about `slice_time` long, and slices become
//   shorter as less is left. Why: a segment can be swapped only when all its hashes are known, so what is
//   half done at the end of the download is what everybody waits for.
// - When nothing is left to claim, slow slices are fetched twice: the own ones by their second half, those of
//   neighbours piece by piece. Why: one slow connection would otherwise set the time of the whole site.
// - Segments are taken up in the order of their places in one line of bytes, in which the blobs of several
//   pulls may overlap. Why: pulls of one priority then take turns, and a huge one does not hold up the
//   others.
// - An origin connection that is twice as slow as the others is given up at the next piece. Why: CDN
//   connections differ by a factor of ten, and a new one is most likely better.
// - A piece that is claimed for far longer than pieces take, and that a segment waits for, is fetched twice
//   at once. Why: a stuck connection would keep the whole segment from being swapped until the end.
// - The number of slices follows the line (OriginPace) and the device's free capacity; where that leaves less
//   than one, the node rests between slices while freer ones want the same, and has no part of its own. Why:
//   a busy machine yields within a second, and claims are pulled, never assigned, so no node can be given
//   more than it asked for.
// - Holders are asked in an order that follows their free capacity. Why: a busy seed should serve less.
// - Hybrid: when neighbours bring far less than the origin would (SourceBalance), segments from the end of
//   the line are moved to the origin, those that fetch them sharing the work by claims as in a cold start.
//   Why from the end: both sides work towards each other.
// - Hashes told by neighbours find bad pieces early, but only the publisher's hash publishes. When the whole
//   does not match, first one piece per teller, then every piece whose hash came from somebody else is
//   fetched again from the origin. Who told a hash of a piece that it fetched itself, and told it wrong, is
//   banned; what else it told is fetched again, by one node each. Why one per teller first: it finds most
//   liars for the price of a few pieces.
// - Of the nodes that fetch a segment from few holders only some connect to those, the others to them. Why: a
//   single seed would otherwise send the same rare pieces to several nodes at once.
// - Where a program reads a blob while it comes in, claims and segment loads begin at its position, and the
//   blob counts as high priority as long as somebody reads. Why: a reader sees bytes in order, and one that
//   gets none for ten seconds gives up.
// - Above 32 nodes that want a blob (Circle) only some claim and hear of single pieces; the others get whole
// lists of
//   hashes, passed on from mate to mate, and swap with their mates. A list counts when two mates told the
//   same, or nobody told another for a while. Why: what each node hears must not grow with the site.
// - A node that holds pieces nobody else has loads the segment even when it has no room for more. Why: the
//   others wait for it; its own download can wait.
//
// decide() looks only at what facts or alarms have touched since the last call, so its cost does not grow
// with the number of segments wanted.
#pragma once

#include "node/core/actions.h"
#include "node/core/blob_catalogue.h"
#include "node/core/circle.h"
#include "node/core/geometry.h"
#include "node/core/ids.h"
#include "node/core/load.h"
#include "node/core/messages.h"
#include "node/core/node_map.h"
#include "node/core/origin_pace.h"
#include "node/core/piece_hashes.h"
#include "node/core/piece_map.h"
#include "node/core/piece_tellers.h"
#include "node/core/segment_set.h"
#include "node/core/sorted_nodes.h"
#include "node/core/source_balance.h"
#include "node/core/status.h"
#include "node/core/time.h"

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace shoal {

class Scheduler {
 public:
  struct Limits {
    int slices = 16;       // origin requests at once at most; OriginPace finds how many the line needs
    int slices_least = 1;  // however busy the device is: nobody starves
    // Requests of a claimant among 32 (Circle): at least so many, and as many as bring their piece within
    // `piece_patience`, and one for so many segments that are left. Why: 32 times two are the 64 pieces of a
    // segment. With more, several segments are half there all the time, and at the end of a short download
    // none of them is spread yet (100 nodes, 256 MiB, 100 Mbit/s: each piece took 4 s, 1.11 to 1.31 T_min;
    // with two 1.06 to 1.11).
    int slices_in_circle = 2;
    Duration piece_patience = std::chrono::milliseconds(1500);
    std::uint32_t segments_per_slice = 16;
    int small_fetches = 8;  // small blobs from the origin at once, beside the slices: they are tiny
    int small_asks = 64;    // small blobs asked of neighbours at once: 64 x 256 KiB bounds the memory
    // Fetched from neighbours at once. Of one seed's pieces each is first at one node, so that nodes need
    // each other in many segments (4: 1.13 T_min, 8: 1.04, 16: 1.04 in the simulator).
    int loaded_segments = 16;
    std::uint64_t loaded_bytes = 256 * kMiB;  // but not more beyond the second: large segments need no hiding
    int ask_fanout = 4;                       // holders asked per segment; more add connections, not speed
    // Connections to holders, over all loaded segments: one each at first, more of those that were asked
    // where few segments are left. With all four at once a node that comes late has 64; they begin together
    // on its one link, lose packets for two seconds and send them again (eight nodes, one every 5 s: 28.6
    // CPU s and 7.7 copies sent instead of 22.6 and 7.4, the last nodes 6.1 s instead of 5.9).
    std::size_t holder_connections = 16;
    Duration holder_patience = std::chrono::milliseconds(500);  // until a segment gets a second one
    Duration claim_ttl = std::chrono::seconds(4);  // four missed refreshes; below the 5 s of a dead heartbeat
    // Per node and round; together a site looks at every teller several times. Three rounds find whoever lied
    // about half of its pieces nearly always, each for some 2 % of a blob per node.
    int tellers_sampled = 3;
    int sample_rounds = 3;
    // When all samples of a corrupt blob were right, neighbours get so long to find the liar with theirs.
    Duration sample_patience = std::chrono::seconds(4);
    // Segments loaded beyond loaded_segments because only this node can serve pieces of them.
    int loaded_to_serve = 24;
    // The same for segments that a program reads at this moment; each reader needs its present and next one.
    int loaded_to_read = 16;
    std::size_t readers = 8;  // positions looked at per blob: beyond that everything is read everywhere
    Duration claim_refresh = std::chrono::seconds(1);
    // In a circle, where claims are told every other second at least: an owner that says nothing for so long
    // has gone or hangs, and its pieces are helped with. Among few nodes a death costs each of the others
    // less.
    Duration claim_quiet = std::chrono::milliseconds(2500);
    // Claims of one piece that began within so long of each other crossed on the wire; a later one means to
    // help. Far above a LAN round trip and a turn of a busy loop.
    Duration crossing = std::chrono::milliseconds(250);
    // A claim of what is another's part is told so long before it is fetched. Most claims that cross do so
    // within it, and a request that is taken back has cost what was under way: 1.6 % of all bytes with eight
    // nodes behind 100 Mbit/s. The other connections keep the line full meanwhile.
    Duration settling = std::chrono::milliseconds(40);
    Duration answer_patience = std::chrono::milliseconds(500);  // LAN round trips are below a millisecond
    // Of one segment: with few segments at once one alone leaves the holder idle at times (four
    // segments: 1.28 T_min for one seed and 7 others with 1, 1.13 with 3 in the simulator; with sixteen all
    // are at 1.04).
    int fetchers_per_holder = 3;
    int dials_per_segment = 16;  // neighbours that also fetch it; enough for a well-mixed swarm of any size
    Duration ask_patience = std::chrono::seconds(3);      // a seed reads 2 KiB from its database to answer
    Duration ask_again = std::chrono::milliseconds(300);  // after "no": its journal may lag its announcement
    int ask_refusals = 3;                                 // then it does not have it
    // No piece of a loaded segment for so long: connect to whoever else has it, whichever side should have.
    Duration nudge = std::chrono::seconds(1);
    Duration stall_patience =
        std::chrono::seconds(15);                     // no byte from any neighbour for so long: try elsewhere
    Duration stall_rest = std::chrono::seconds(30);   // how long a stalled segment stays away from the swarm
    Duration gather = std::chrono::milliseconds(20);  // piece hashes are told in batches
    Duration small_patience =
        std::chrono::seconds(3);                   // wait so long for the node that should fetch a small blob
    std::uint64_t slice_bytes_first = 512 * kKiB;  // until a rate is known
    std::uint64_t slice_bytes_max = 64 * kMiB;
    // Segments with anything to claim in which a node claims its own part before it looks at the others'
    // parts of the first. Each is one more that is half done at the end, so there are fewer the less is left.
    // Measured with eight nodes behind a shaped line of 100 Mbit/s: without, 8 to 10 % of the bytes were
    // sent twice or lost with closed connections; with two 2 to 4 %.
    std::size_t segments_ahead = 2;
    std::uint64_t ahead_divisor = 6;  // one segment ahead for so many that are left
    // A slice should take about so long at the measured rate: long beside the request's 5 to 30 ms, short
    // beside the download.
    Duration slice_time = std::chrono::milliseconds(700);
    // Bytes of a finished request whose pieces have not been reported are waited for so long: hashing and
    // writing lag behind.
    Duration landing_patience = std::chrono::seconds(10);
    // A claim of a neighbour that old, and three times older than a piece takes here, is helped with when
    // nothing else is left to do.
    Duration help_after = std::chrono::milliseconds(1500);
    // A claim that old, and four times older than a piece takes here, is helped with whatever else there is
    // to do, if it alone keeps a segment from being swapped. Eight nodes behind a line of 100 Mbit/s: now and
    // then a connection gets 20 KB/s of it for 20 s, and what waited for its pieces was swapped only at the
    // end.
    Duration overdue_after = std::chrono::seconds(3);
    // A slice's connection is judged after so many bytes or so long, and given up when the others bring twice
    // as much each. Less would be noise: connections that share a line differ by a factor of two for a
    // second.
    std::uint64_t slow_bytes = 2 * kMiB;
    Duration slow_after = std::chrono::seconds(3);
    double slow_factor = 2;
    // Moved to the origin at once: one is fetched, the next is there when it ends, and the rest can still
    // turn out to be quicker from neighbours.
    std::size_t moved_segments = 2;
    // With less free capacity a node has no part of its own of a segment while others have more: they share
    // it out among themselves, and it takes what they have left. Half way between a busy mark and half a
    // load.
    double part_capacity = 0.3;
    // Between two requests of a loaded node. Below claim_ttl, and soon enough that a piece that only it may
    // fetch does not hold up a segment for long.
    Duration rest_most = std::chrono::seconds(3);
    int helps = 2;                // at once: enough to end a tail, little enough not to double the bytes
    int origin_failures_max = 4;  // in a row, each after the origin client's own retries
    // Lists of hashes: how long one teller alone is not believed, and how many different lists are kept.
    Duration list_patience =
        std::chrono::seconds(1);  // mates hear of a list within some milliseconds of each other
    std::size_t lists_kept = 4;
    Duration gather_complete =
        std::chrono::seconds(2);  // above 32 nodes complete segments are told in batches
    // When those that claim bring nothing for so long, a node that is none of them helps itself.
    Duration alone_patience = std::chrono::seconds(20);
    std::size_t loaded_in_circle =
        4;  // segments at once however large: their pieces take some steps to arrive
    std::size_t wants_per_neighbour = 65536;  // blobs one neighbour may want: 4 MiB of memory
  };

  // What is already here of a wanted blob.
  struct LocalSegment {
    PieceMask have = 0;
    std::vector<Hash256> hashes;  // one per bit of `have`, lowest first
  };
  struct Request {
    BlobId blob;
    SourcePolicy policy = SourcePolicy::automatic;
    Priority priority = Priority::normal;
    // Where the blob begins in the line of what is wanted with this priority, in bytes: segments are taken up
    // in the order of `order` plus their offset. Blobs of two pulls whose ranges overlap take turns, segment
    // by segment, so that neither pull waits for the other.
    std::uint64_t order = 0;
    std::vector<LocalSegment> local;  // empty, or one per segment
    // Whether neighbours may hear of it; false for content that not everybody may download (design section
    // 8).
    bool shared = true;
  };

  Scheduler(NodeId self, Limits limits);
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // Wants. REQUIRES: size > 0. Wanting a wanted blob again only raises its priority.
  void on_want(Request request, Time now);
  void on_unwant(const BlobId& blob, Time now);
  // Where programs read a wanted blob, as offsets in bytes; empty: nobody does any more.
  void on_readers(const BlobId& blob, const std::vector<std::uint64_t>& offsets, Time now);
  // The blob is complete, its hash matched, it is published; or it is gone from this disk.
  void on_held(const BlobId& blob);
  void on_not_held(const BlobId& blob);
  // Every piece matched its hash but the whole does not match the publisher's.
  void on_blob_corrupt(const BlobId& blob, Time now);

  // Neighbours.
  void on_neighbour_up(NodeId node, Time now);
  void on_neighbour_down(NodeId node, Time now);
  void on_message(NodeId from, const Message& message, Time now);
  void on_own_load(const DeviceLoad& load);

  // Origin. Pieces may be reported after the fetch that brought them is done.
  void on_piece_fetched(const SegmentKey& key, PieceIndex piece, const Hash256& hash, Time now);
  void on_fetch_progress(FetchId id, std::uint64_t bytes, Time now);
  void on_fetch_done(FetchId id, const Result<void>& result, Time now);
  // A small blob could not be had from the origin, or a neighbour's copy did not match (nullopt: origin).
  void on_small_failed(const BlobId& blob, std::optional<NodeId> from, const Error& error, Time now);

  // Swarm.
  void on_piece_received(const SegmentKey& key, PieceIndex piece, Time now);
  void on_pieces_received(const SegmentKey& key, PieceMask pieces, Time now);
  void on_swarm_bytes(std::uint64_t bytes, Time now);  // payload that arrived from neighbours
  void on_bad_piece(const SegmentKey& key, PieceIndex piece, const std::vector<NodeId>& from, Time now);
  void on_segment_failed(const SegmentKey& key, const Error& error, Time now);

  // The disk took pieces back that had landed.
  void on_pieces_lost(const SegmentKey& key, PieceMask pieces, Time now);

  // What to start now. Call after each batch of facts and at wake_at().
  [[nodiscard]] std::vector<Action> decide(Time now);
  // When decide() could answer differently without a new fact; nullopt: never.
  [[nodiscard]] std::optional<Time> wake_at() const { return wake_at_; }

  [[nodiscard]] bool wants(const BlobId& blob) const { return wanted_.contains(blob); }
  [[nodiscard]] std::size_t live_slices() const { return slices_.size(); }
  // Whether it fetches from the origin or would, if it might take more.
  [[nodiscard]] bool wants_origin() const {
    return !slices_.empty() || small_fetches_ > 0 || !hungry_.empty();
  }
  // The blob that a live slice belongs to, and the hash a piece was or will be checked against.
  [[nodiscard]] std::optional<BlobId> blob_of(FetchId id) const;
  [[nodiscard]] std::optional<Hash256> hash_of(const SegmentKey& key, PieceIndex piece) const;
  // What is under way for a blob; nullopt: not wanted. See bottleneck.h and piece_map.h.
  struct BlobView {
    bool awaits_answers = false;
    int requests = 0;                     // own ones to the origin
    int segments_loaded = 0;              // being fetched from neighbours
    Time rest_until;                      // the origin failed and is tried again then
    bool open_is_available = false;       // a neighbour has part of the first segment that is missing
    std::vector<NodeId> senders;          // that have, or fetch, what is loaded
    std::vector<NodeId> claimers;         // that fetch the first missing segment from the origin
    std::vector<SegmentPieces> segments;  // fetching, asked, claimed; one per segment
  };
  [[nodiscard]] std::optional<BlobView> view(const BlobId& blob, Time now) const;
  // What this blob waits for as far as the scheduler alone can tell (for the simulator and tests).
  [[nodiscard]] std::string waiting_for(const BlobId& blob, Time now) const;

  // Tests call it after every step.
  void check_invariants() const;

 private:
  enum class Phase : std::uint8_t { open, asking, loaded, complete };
  struct Lists {                                        // of hashes, told by mates
    std::vector<NodeId> know;                           // mates that told the list or were told it, ascending
    std::vector<std::pair<NodeId, PieceHashes>> heard;  // by one node each, none of them believed yet
    Time since;
  };
  struct Segment {
    Phase phase = Phase::open;
    PieceMask have = 0;
    PieceMask known = 0;     // pieces whose hash is known
    PieceMask fetching = 0;  // in own live slices
    PieceMask suspect = 0;   // to be taken from the origin although neighbours offer them
    PieceMask doubted = 0;   // told by a liar: only who fetched the piece itself may tell its hash
    PieceMask vouched = 0;   // whoever told the hash had fetched the piece itself
    PieceMask untold = 0;    // landed, hashes not told yet
    bool claim_changed = false;
    Time claim_told;
    int nudges = 0;               // since the last piece
    int dials = 0;                // to nodes that also fetch it
    bool from_origin = false;     // moved there: neighbours that only hold it do not count
    bool going_back = false;      // moved, but goes back once its slices end: nothing more is claimed
    bool leaves_holders = false;  // other fetching nodes connect to those that have it whole
    PieceHashes hashes;           // one per piece once any is known
    // Of all pieces beside hashes; self: fetched here; zero: from the journal, or unknown.
    PieceTellers tellers;
    Time since;        // when the phase began or last moved
    Time nudged;       // when connections were last looked for
    Time swarm_after;  // stay away from the swarm until then
    Time ask_after;    // a neighbour said no a moment ago
    NodeSet asked;
    NodeSet connected;
    std::map<NodeId, int> refusals;
    std::map<int, std::set<NodeId>> bad;  // who sent bad bytes for a piece
    // Above 32 nodes: the whole list was told, so its pieces are on the site whoever is known to have them.
    bool spread = false;
    std::unique_ptr<Lists> lists;
  };
  struct Small {
    std::optional<NodeId> asked;
    bool fetching = false;
    Time since;
    std::optional<Time> first_planned;
    std::set<NodeId> tried;
  };
  struct Wanted {
    Wanted(NodeId self, const BlobId& blob, const Limits& limits);
    BlobId id;
    Geometry geometry;
    BlobCatalogue catalogue;
    Circle circle;
    SourcePolicy policy = SourcePolicy::automatic;
    Priority priority = Priority::normal;  // in force: what was wanted, or high while somebody reads
    Priority wanted_priority = Priority::normal;
    std::uint64_t order = 0;
    bool shared = true;
    std::vector<Segment> segments;
    std::vector<std::pair<SegmentIndex, int>> readers;  // with the piece they are at
    SegmentSet touched;                                 // segments that may have become ready for the swarm
    std::uint32_t claim_from = 0;                       // no segment before it has anything to claim
    std::uint32_t complete = 0;
    std::uint32_t whole_until = 0;  // all segments before it are complete
    bool started = false;           // neighbours have answered, or were waited for
    std::uint32_t used_until = 0;   // nothing is here or under way of segments from it on
    Time claims_after;              // nothing is claimed before: others are telling what there is
    Time fed_at;                    // when anything of it last came from others
    Time alone_alarm;
    Time lapse_alarm;  // in a circle: when claims are looked at for lapsed ones
    bool in_dirty = false;
    bool in_hungry = false;
    std::vector<SegmentIndex> untold_complete;  // to be told to mates
    Time told_complete;
    Time part_until;  // claims only its own part of each segment until then
    bool finishing = false;
    bool failed = false;
    bool sampling = false;  // one piece per teller is being fetched again
    bool liar_found = false;
    std::optional<Time> samples_ok;  // all samples were right; neighbours may still find something until then
    std::optional<std::pair<SegmentIndex, PieceIndex>> contest;  // this piece is held against the origin
    int sample_rounds = 0;
    int corrupt_rounds = 0;
    int origin_failures = 0;
    Time origin_after;  // back off until then
    Small small;
  };
  struct Slice {
    SegmentKey key;
    PieceMask remaining = 0;
    int first = 0;
    int last = 0;
    std::uint64_t length = 0;
    Time claimed;
    Time started;  // when it was asked for
    Time last_progress;
    std::uint64_t bytes = 0;
    bool settling = false;  // claimed, and asked for once nobody else can have claimed it in the same moment
    bool fetched = false;   // the request ended well; its pieces are being hashed
    bool helped = false;    // its second half is fetched by another slice, too
    bool trimmed = false;   // its connection was found slow and ends early
    std::optional<NodeId> helps;  // whose claim it repeats; self: its own slower slice
  };
  struct Neighbour {
    double free_capacity = 1;
    std::uint64_t origin_bytes_per_s = 0;
    std::set<BlobId> wants;  // and is to be told of
  };
  using OrderKey = std::tuple<Priority, std::uint64_t, BlobId>;
  using Alarm = std::tuple<Time, BlobId, std::uint32_t>;

  [[nodiscard]] Wanted* find(const BlobId& blob);
  [[nodiscard]] Segment* find(const SegmentKey& key);
  // A wanted blob that neighbours may hear of.
  [[nodiscard]] Wanted* find_shared(const BlobId& blob);
  // The first segment that is not complete; all of them: their number.
  [[nodiscard]] static std::uint32_t first_incomplete(Wanted& w);
  [[nodiscard]] static bool is_small(const Wanted& w) { return w.id.size <= kSmallBlobMax; }
  [[nodiscard]] static OrderKey order_key(const Wanted& w) { return {w.priority, w.order, w.id}; }
  // The place of one of its segments in the line of all segments wanted.
  [[nodiscard]] static OrderKey place_of(const Wanted& w, std::uint32_t segment) {
    return {w.priority, w.order + segment * w.geometry.segment_size(), w.id};
  }

  // scheduler.cc: the turn
  void touch(Wanted& w);
  void touch(Wanted& w, SegmentIndex index);
  void touch(Wanted& w, const std::vector<SegmentIndex>& changed);
  void touch_all(Wanted& w);
  void alarm(const Wanted& w, SegmentIndex index, Time at);
  void make_hungry(Wanted& w);
  void alarm_lapse(Wanted& w, SegmentIndex index, Time at);
  void drop_lapsed(Wanted& w, Time now);
  void ring_alarms(Time now);
  void wake(Time at);
  void expect_actions(std::size_t more);
  void drop(Wanted& w);  // from all books, when it is no longer wanted
  // false: it waits for neighbours' answers; an alarm is set.
  bool begin(Wanted& w, Time now);
  void plan_small_blobs(Time now);
  void plan_large_blobs(Time now);
  bool plan_small(Wanted& w, Time now);
  void finish_or_check(Wanted& w, Time now);
  void flush(Time now);
  void flush_pieces(Time now);
  void fail_blob(Wanted& w, Error error);
  void add_piece(Wanted& w, SegmentIndex index, PieceIndex piece, Time now);
  void add_pieces(Wanted& w, SegmentIndex index, PieceMask pieces, Time now);
  void reopen(Wanted& w, SegmentIndex index, PieceMask lost, Time now);

  // scheduler_readers.cc: blobs that are read while they come in
  void set_priority(Wanted& w);
  // The segments that readers are in, and those they come to next, most urgent first.
  [[nodiscard]] std::vector<std::pair<SegmentIndex, int>> read_next(const Wanted& w) const;
  // Whether the segment may be loaded for a reader although there is no room otherwise.
  [[nodiscard]] bool readers_need(const Wanted& w, SegmentIndex index) const;

  // scheduler_circle.cc: very many nodes
  void note_wants(Wanted& w, NodeId node, bool wants);
  void note_in_circle(Wanted& w, NodeId node, bool wants);
  void settle_circles(Time now);
  void settle_circle(Wanted& w, Time now);
  [[nodiscard]] bool may_claim(const Wanted& w, Time now) const;
  void look_again_alone(Wanted& w, Time now);
  void learn_list(Wanted& w, NodeId from, const msg::SegmentHashes& told, Time now);
  void believe_list(Wanted& w, SegmentIndex index, NodeId from, const PieceHashes& hashes, Time now);
  void believe_lone_list(Wanted& w, SegmentIndex index, Time now);
  // To the mates that do not know it yet.
  void pass_list(Wanted& w, SegmentIndex index, bool open);
  bool give_list(Wanted& w, SegmentIndex index, NodeId to, bool open);
  void tell_complete(Time now);
  [[nodiscard]] static Lists& lists_of(Segment& segment);

  // scheduler_neighbours.cc: messages and trust
  // To those who share the claims, or to those this node swaps with; the same nodes unless the circle is on.
  void tell_claimants(const Wanted& w, const Message& message);
  void tell_mates(const Wanted& w, const Message& message);
  void tell(const Wanted& w, const std::vector<NodeId>& nodes, const Message& message);
  void describe(Wanted& w, NodeId to);
  void answer_want(NodeId to, const std::vector<BlobId>& blobs, bool with_lack);
  void announce_again(Wanted& w);
  void on_heartbeat(NodeId from, Neighbour& neighbour, const msg::Heartbeat& heartbeat, Time now);
  void on_lack(NodeId from, const BlobId& blob, Time now);
  void on_open(NodeId from, const msg::SegmentOpen& open, Time now);
  void learn_hashes(Wanted& w, NodeId from, const msg::Pieces& pieces, Time now);
  void make_room_for_hashes(Wanted& w, SegmentIndex index);
  bool doubt_liars(Wanted& w, Time now);
  void sample_tellers(Wanted& w, Time now);
  void doubt_pieces(Wanted& w, SegmentIndex index, PieceMask pieces, Time now);
  void suspect_pieces(Wanted& w, SegmentIndex index, PieceMask pieces, Time now);
  void ban(NodeId node, std::string reason, Time now);

  // scheduler_load.cc: what a loaded device leaves to freer ones
  [[nodiscard]] double origin_share() const;
  [[nodiscard]] int slice_limit() const;
  [[nodiscard]] PieceMask own_part(const Wanted& w, SegmentIndex index) const;
  void rest_after(const Slice& slice, Time now);
  [[nodiscard]] bool rests(Time now);

  // scheduler_origin.cc: claims and slices
  [[nodiscard]] int active_slices() const;
  [[nodiscard]] int requests() const;  // those of them that were asked for
  [[nodiscard]] int free_slots() const { return slice_limit() - active_slices(); }
  [[nodiscard]] PieceMask claimable(const Wanted& w, SegmentIndex index, Time now) const;
  [[nodiscard]] std::uint64_t claimable_bytes() const;
  void plan_claims(Time now);
  bool find_claim(Wanted& w, Time now);
  // The first segments of the line with anything to claim, all of one priority.
  [[nodiscard]] std::vector<SegmentKey> first_claimable(std::size_t most, Time now);
  [[nodiscard]] const std::vector<NodeId>& claimants(const Wanted& w) const;
  [[nodiscard]] int longest_slice(const Wanted& w, std::size_t nodes) const;
  // Requests at once for a blob that many nodes want.
  [[nodiscard]] int most_in_circle(const Wanted& w) const;
  bool claim_for_readers(const Wanted& w, Time now);
  enum class Begin : std::uint8_t { at_once, when_settled };
  void start_slice(Wanted& w, SegmentIndex index, int first, int count, std::optional<NodeId> helps, Time now,
                   Begin begin = Begin::at_once);
  void fetch(FetchId id, Slice& slice, Time now);
  void fetch_settled(Time now);
  void help_own_slices(Time now);
  void give_up_slow_connections(Time now);
  [[nodiscard]] int helping() const;
  [[nodiscard]] bool may_help(const Wanted& w, Time now) const;
  [[nodiscard]] Duration quiet_limit(const Wanted& w) const;
  [[nodiscard]] bool any_overdue(const Wanted& w, SegmentIndex index, Duration age, Time now) const;
  bool help_in(Wanted& w, SegmentIndex index, Duration age, Time now);
  [[nodiscard]] Duration piece_time(const Wanted& w) const;
  void help_neighbours(Time now);
  void help_overdue(Time now);
  void settle_claim(Wanted& w, NodeId from, SegmentIndex index, PieceMask claimed, Time now);
  void drop_useless_slices(Wanted& w, SegmentIndex index, Time now);
  void cancel_slice(FetchId id);
  void end_slice(FetchId id);
  void cancel_slices_of(const BlobId& blob);
  void forget_fetching(const SegmentKey& key, PieceIndex piece);
  void recount_fetching(const SegmentKey& key);
  void refresh_claims(Time now);

  // scheduler_swarm.cc: segments from neighbours
  [[nodiscard]] PieceMask from_neighbours(const Wanted& w, SegmentIndex index, Time now) const;
  [[nodiscard]] bool room_to_load() const;
  [[nodiscard]] bool others_need(const Wanted& w, SegmentIndex index) const;
  // Whether this node leaves the holders of the segment to other nodes that fetch it, too.
  [[nodiscard]] bool leaves_holders(const Wanted& w, SegmentIndex index) const;
  [[nodiscard]] bool may_connect(const Wanted& w, SegmentIndex index, NodeId node, Time now) const;
  // Of the holders that were asked for it: connected to now, and how many may be.
  [[nodiscard]] static std::size_t connected_holders(const Segment& segment);
  [[nodiscard]] std::size_t most_holders(const Segment& segment, Time now) const;
  void connect_more_holders(Wanted& w, SegmentIndex index, Time now);
  // false: it is ready, but there is no room to load it.
  bool plan_swarm(Wanted& w, SegmentIndex index, Time now);
  void check_loaded(Wanted& w, SegmentIndex index, Time now);
  void check_asking(Wanted& w, SegmentIndex index, Time now);
  void ask_holders(Wanted& w, SegmentIndex index, Time now);
  void load(Wanted& w, SegmentIndex index, Time now);
  void unload(Wanted& w, SegmentIndex index);

  // scheduler_hybrid.cc: segments that neighbours have, moved to the origin
  void plan_hybrid(Time now);
  [[nodiscard]] std::optional<SegmentKey> last_from_neighbours(Time now) const;
  void give_back_moved();

  const NodeId self_;
  const Limits limits_;
  DeviceLoad own_load_;
  OriginPace pace_;
  SourceBalance balance_{{}};
  std::set<SegmentKey> moved_;  // from_origin, not complete
  NodeMap<Neighbour> neighbours_;
  std::uint64_t neighbours_origin_bytes_per_s_ = 0;  // their sum
  std::set<BlobId> in_circle_;                       // whose circle is on
  std::set<BlobId> unsettled_;                       // whose circle may have changed
  std::set<BlobId> untold_complete_;                 // with segments to tell mates of
  std::set<SegmentKey> listing_;                     // whose list of hashes is to be passed on
  std::set<BlobId> held_;
  std::map<BlobId, Wanted> wanted_;
  Wanted* last_found_ = nullptr;  // most facts concern the blob of the one before
  // What the next turn looks at. Small blobs stand apart: they wait for other things than large ones.
  std::set<OrderKey> dirty_;
  std::set<OrderKey> dirty_small_;
  std::set<OrderKey> hungry_;  // may have something to claim
  bool touched_ = false;       // something was touched since this turn began: it needs another
  std::set<Alarm> alarms_;
  std::map<FetchId, Slice> slices_;
  std::set<SegmentKey> loaded_;   // incomplete ones, being fetched from neighbours
  std::set<SegmentKey> telling_;  // with hashes or claims to tell
  std::map<NodeId, int> strikes_;
  std::set<NodeId> banned_;  // until they come up again
  int small_fetches_ = 0;
  int small_asks_ = 0;
  std::uint64_t next_fetch_ = 1;
  Time last_swarm_bytes_;
  Time rest_until_;  // no new slice before
  Time last_refresh_;
  Time last_flush_;
  std::vector<Action> out_;
  std::optional<Time> wake_at_;
};

}  // namespace shoal
