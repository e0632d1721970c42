#include "node/daemon/device_probe.h"

#include "node/daemon/proc_reader.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <system_error>
#include <utility>

#include <dlfcn.h>
#include <pthread.h>

namespace shoal {
namespace {

constexpr std::chrono::seconds kWithGpu{1};
constexpr std::chrono::seconds kWithout{10};
constexpr std::size_t kDevicesMax = 64;

// The few calls of NVIDIA's management library that are needed, by the names that it exports since 2013
// (docs.nvidia.com/deploy/nvml-api). Every call answers 0 when it did what it was asked for.
class Nvidia {
 public:
  explicit Nvidia(const std::string& library) : handle_(::dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL)) {
    if (handle_ == nullptr) return;
    const auto init = find<int (*)()>("nvmlInit_v2");
    shutdown_ = find<int (*)()>("nvmlShutdown");
    const auto count = find<int (*)(unsigned*)>("nvmlDeviceGetCount_v2");
    by_index_ = find<int (*)(unsigned, void**)>("nvmlDeviceGetHandleByIndex_v2");
    utilization_ = find<int (*)(void*, Utilization*)>("nvmlDeviceGetUtilizationRates");
    if (init == nullptr || shutdown_ == nullptr || count == nullptr || by_index_ == nullptr ||
        utilization_ == nullptr || init() != 0) {
      shutdown_ = nullptr;
      return;
    }
    if (count(&count_) != 0) count_ = 0;
    count_ = std::min<unsigned>(count_, kDevicesMax);
  }
  ~Nvidia() {
    if (shutdown_ != nullptr) shutdown_();
    if (handle_ != nullptr) ::dlclose(handle_);
  }
  Nvidia(const Nvidia&) = delete;
  Nvidia& operator=(const Nvidia&) = delete;

  void look(DeviceProbe::Found& found) const {
    for (unsigned i = 0; i < count_; ++i) {
      void* device = nullptr;
      Utilization use;
      if (by_index_(i, &device) != 0 || utilization_(device, &use) != 0) continue;
      ++found.gpus;
      const auto permille = static_cast<std::uint16_t>(std::min(use.gpu, 100U) * 10);
      found.gpu_permille = std::max(found.gpu_permille.value_or(0), permille);
    }
  }

 private:
  struct Utilization {  // nvmlUtilization_t: percent of the last sampling period
    unsigned gpu = 0;
    unsigned memory = 0;
  };
  template <typename F>
  F find(const char* name) const {
    return reinterpret_cast<F>(::dlsym(handle_, name));
  }

  void* handle_;
  int (*shutdown_)() = nullptr;
  int (*by_index_)(unsigned, void**) = nullptr;
  int (*utilization_)(void*, Utilization*) = nullptr;
  unsigned count_ = 0;
};

std::optional<unsigned long> number_in(const std::filesystem::path& file) {
  const std::string text = read_small(file, 64);
  if (text.empty() || text.front() < '0' || text.front() > '9') return std::nullopt;
  return std::strtoul(text.c_str(), nullptr, 10);
}

void look_at_amd(const std::filesystem::path& sys, DeviceProbe::Found& found) {
  std::error_code ec;
  std::size_t looked_at = 0;
  for (const auto& card : std::filesystem::directory_iterator(sys / "class/drm", ec)) {
    // card0 and so on; card0-HDMI-A-1 is a connector.
    const std::string name = card.path().filename();
    if (!name.starts_with("card") || name.find('-') != std::string::npos || ++looked_at > kDevicesMax)
      continue;
    const auto percent = number_in(card.path() / "device/gpu_busy_percent");
    if (!percent) continue;
    ++found.gpus;
    const auto permille = static_cast<std::uint16_t>(std::min(*percent, 100UL) * 10);
    found.gpu_permille = std::max(found.gpu_permille.value_or(0), permille);
  }
}

void look_at_links(const std::filesystem::path& sys, DeviceProbe::Found& found) {
  std::error_code ec;
  for (const auto& link : std::filesystem::directory_iterator(sys / "class/net", ec)) {
    if (found.link_bytes_per_s.size() >= kDevicesMax) break;
    // Mbit/s; -1 or an error when the link is down or has no such thing.
    const auto mbit = number_in(link.path() / "speed");
    if (mbit && *mbit > 0 && *mbit < 10'000'000) {
      found.link_bytes_per_s[link.path().filename()] = *mbit * 125'000;
    }
  }
}

}  // namespace

DeviceProbe::DeviceProbe(Options options) : options_(std::move(options)), thread_([this] { run(); }) {
  pthread_setname_np(thread_.native_handle(), "device-probe");
}

DeviceProbe::~DeviceProbe() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

DeviceProbe::Found DeviceProbe::found() const {
  const std::lock_guard lock(mutex_);
  return found_;
}

void DeviceProbe::run() {
  const Nvidia nvidia(options_.nvidia_library);
  std::unique_lock lock(mutex_);
  while (!stop_) {
    lock.unlock();
    Found found;
    nvidia.look(found);
    look_at_amd(options_.sys, found);
    look_at_links(options_.sys, found);
    lock.lock();
    found_ = found;
    wake_.wait_for(lock, found.gpus > 0 ? kWithGpu : kWithout, [this] { return stop_; });
  }
}

}  // namespace shoal
