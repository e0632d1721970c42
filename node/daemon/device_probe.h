// Looks at parts of the machine whose drivers may take their time: speeds of network links, use of GPUs.
//
// A thread of its own asks once a second where there is a GPU, every ten seconds otherwise; asking never
// waits for a driver. NVIDIA's library is loaded if it is there (no build dependency); AMD's driver says it
// in /sys.
//
// Threads: any.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace shoal {

class DeviceProbe {
 public:
  struct Options {
    std::filesystem::path sys = "/sys";
    std::string nvidia_library = "libnvidia-ml.so.1";
  };
  struct Found {
    std::map<std::string, std::uint64_t> link_bytes_per_s;  // links that tell their speed
    std::optional<std::uint16_t> gpu_permille;  // of the busiest; nullopt: none, or it cannot be told
    int gpus = 0;
  };

  explicit DeviceProbe(Options options);
  ~DeviceProbe();
  DeviceProbe(const DeviceProbe&) = delete;
  DeviceProbe& operator=(const DeviceProbe&) = delete;

  // What the last look found; empty before the first.
  [[nodiscard]] Found found() const;

 private:
  void run();

  const Options options_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  Found found_;        // guarded by mutex_
  bool stop_ = false;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace shoal
