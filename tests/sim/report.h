// What a simulated run came to.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace shoal::sim {

struct Report {
  std::vector<std::string> violations;  // what may never happen, and did
  std::vector<double> finished_s;       // per node, since its own pull began; below 0: not finished
  double last_s = 0;                    // the last node that had to finish, since the first pull
  double undisturbed_last_s = 0;        // the same without slow, killed, restarted, hung and lying nodes
  double t_min_s = 0;
  std::uint64_t size = 0;
  std::uint64_t wan_bytes = 0;
  std::uint64_t cut_bytes = 0;    // of the origin's: parts of pieces that were thrown away
  std::uint64_t twice_bytes = 0;  // of the origin's: pieces that some node had fetched before
  std::uint64_t lan_bytes = 0;
  std::uint64_t messages = 0;
  std::uint64_t bans = 0;
  int deaths = 0;                      // drawn by deaths_per_minute
  std::vector<std::uint64_t> fetched;  // origin bytes per node
  std::vector<std::uint64_t> served;   // bytes sent to neighbours per node
  // Each second since the first pull: what the origin brought in it, and the parts of the size that those who
  // must finish have, on average and at least. The model that goes event by event only.
  struct Second {
    double wan_bytes = 0;
    double have_mean = 0;
    double have_least = 0;
  };
  std::vector<Second> by_second;
  std::uint64_t decides = 0;
  std::uint64_t events = 0;
  [[nodiscard]] double time_factor() const { return t_min_s > 0 ? last_s / t_min_s : 0; }
  [[nodiscard]] double wan_factor() const {
    return size > 0 ? static_cast<double>(wan_bytes) / static_cast<double>(size) : 0;
  }
};

}  // namespace shoal::sim
