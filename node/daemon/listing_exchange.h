// Neighbours give each other listings of commits, so that the Hub is asked once for the whole site
// (docs/protocol.md, AskListing and Listing).
//
// A node that needs one asks all neighbours whether they have it. If none has it, it asks the Hub itself;
// while it does, whoever asks is told to wait and is told again when it is there. Of nodes that would ask the
// Hub at the same moment the one with the lowest id does, the others wait for it.
//
// Nothing here says a repo's name to anybody: the key is a hash over name and commit, and nobody can guess
// the commit of a repo that he may not see. Owned by the loop thread.
#pragma once

#include "node/core/ids.h"
#include "node/core/messages.h"
#include "node/core/ports.h"
#include "node/core/time.h"
#include "node/daemon/loop.h"

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace shoal {

class ListingExchange : public std::enable_shared_from_this<ListingExchange> {
 public:
  static constexpr std::chrono::milliseconds kAnswerTime{300};  // LAN round trips are below a millisecond
  static constexpr std::chrono::milliseconds kPartTime{2'000};  // for one part of a listing
  // For a neighbour that asks the Hub at this moment; programs give up after 10 s.
  static constexpr std::chrono::milliseconds kPatience{4'000};
  static constexpr std::size_t kQuestionsMax = 1024;  // at once
  static constexpr std::size_t kAskersMax = 512;      // of one listing, more than a site has nodes
  // Size of an answer `asking` of a node whose question has reached the Hub.
  static constexpr std::uint64_t kAtHub = 1;

  // nullopt: nobody has it; the caller asks the Hub, and says settle() whatever comes of it.
  using Found = std::function<void(std::optional<std::string> document)>;

  ListingExchange(Loop& loop, Swarm& swarm, NodeId self, std::function<std::vector<NodeId>()> alive)
      : loop_(loop), swarm_(swarm), self_(self), alive_(std::move(alive)) {}

  // REQUIRES: no question of that key is open.
  void ask(const Hash256& key, Found found);
  // The end of a question: those who were told to wait hear whether it may be had here, and how large it is.
  void settle(const Hash256& key, std::optional<std::uint64_t> size);
  // Whether the asker was told to wait: the question is open here, too.
  bool tell_to_wait(NodeId from, const Hash256& key);
  void on_listing(NodeId from, const msg::Listing& listing);
  void on_neighbour_down(NodeId node);

 private:
  struct Question {
    Found found;
    std::set<NodeId> silent;  // have not answered
    std::set<NodeId> busy;    // ask the Hub, and come first
    std::set<NodeId> askers;  // wait for this node
    std::optional<NodeId> source;
    std::uint64_t size = 0;
    std::string document;
    bool at_hub = false;
    std::uint64_t step = 0;  // tells timers of what has moved since
  };
  void take(Question& question, NodeId from, const msg::Listing& listing);
  void decide(const Hash256& key);
  void drop(const Hash256& key, NodeId node);
  void wait(const Hash256& key, std::chrono::milliseconds time, std::function<void(Question&)> give_up);

  Loop& loop_;
  Swarm& swarm_;
  const NodeId self_;
  const std::function<std::vector<NodeId>()> alive_;
  std::map<Hash256, Question> questions_;
};

}  // namespace shoal
