// From a file of the Hub to the URL that gives its bytes: asked once, however many slices wait.
//
// The Hub's answer is held against the file asked for. Signed URLs are kept until shortly before they end.
// The loop's thread only.
#pragma once

#include "transport/origin/hub_call.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace shoal {

class Resolver {
 public:
  struct Place {
    Url url;
    bool at_hub = false;           // the Hub gives the bytes itself
    std::uint64_t generation = 0;  // which answer of the Hub this is
  };
  using Done = std::function<void(Result<Place>)>;

  Resolver(OriginContext& context, HubCalls& calls);

  // `done` may come at once.
  void find(const OriginFile& file, Done done);
  // The place did not work: forget it, unless it has been replaced already.
  void refuse(const OriginFile& file, std::uint64_t generation);
  void forget_all();

 private:
  // About 2 KiB each with a signed URL; a model of a thousand shards fits several times.
  static constexpr std::size_t kKeptMax = 4096;

  struct Entry {
    bool asking = false;
    Place place;
    Time keep_until{};
    std::vector<Done> waiters;
  };

  static std::string key_of(const OriginFile& file);
  void ask(const std::string& key, const OriginFile& file);
  void on_answer(const std::string& key, Result<HubAnswer> answer);
  void make_room();

  OriginContext& context_;
  HubCalls& calls_;
  std::map<std::string, Entry> entries_;
  std::uint64_t next_generation_ = 1;
};

}  // namespace shoal
