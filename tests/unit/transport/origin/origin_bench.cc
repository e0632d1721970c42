// Fetches a file of a plain HTTP server through the Hub client into a sink that drops it, and prints rate and
// CPU.
//
//   origin_bench URL SIZE SLICES [SLICE_BYTES]     the server has the file at /org/name/resolve/<40 x 0>/file
#include "transport/origin/hub_client.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <future>

#include <sys/resource.h>

namespace {

class NullSink final : public shoal::SliceSink {
 public:
  shoal::Result<void> write(std::span<const std::byte> /*bytes*/) override { return {}; }
};

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) return std::fprintf(stderr, "usage: origin_bench URL SIZE SLICES [SLICE_BYTES]\n"), 2;
  const std::uint64_t size = std::strtoull(argv[2], nullptr, 10);
  const int connections = std::atoi(argv[3]);
  const std::uint64_t slice = argc > 4 ? std::strtoull(argv[4], nullptr, 10) : 16 * shoal::kMiB;

  shoal::HubClient::Options options;
  options.endpoint = argv[1];
  options.proxy = "";
  if (const char* roots = std::getenv("SSL_CERT_FILE")) options.ca_file = roots;
  options.max_connections = connections;
  std::atomic<std::uint64_t> left = (size + slice - 1) / slice;
  std::promise<void> all;
  std::atomic<bool> failed = false;
  shoal::Origin::Callbacks callbacks;
  callbacks.on_done = [&](shoal::FetchId, shoal::Result<void> result) {
    if (!result && !failed.exchange(true)) std::fprintf(stderr, "%s\n", result.error().message.c_str());
    if (--left == 0) all.set_value();
  };
  auto client = shoal::HubClient::create(options, std::move(callbacks));
  if (!client) return std::fprintf(stderr, "%s\n", client.error().message.c_str()), 1;

  const auto began = std::chrono::steady_clock::now();
  const double cpu_began = cpu_seconds();
  const shoal::OriginFile file{{shoal::RepoType::model, "org/name"},
                               std::string(40, '0'),
                               "file",
                               *shoal::BlobId::from_etag(std::string(64, 'a'), size)};
  std::uint64_t id = 0;
  for (std::uint64_t at = 0; at < size; at += slice) {
    (*client)->fetch(
        {shoal::FetchId{++id}, file, at, std::min(slice, size - at), std::make_shared<NullSink>()});
  }
  all.get_future().wait();
  const double wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  const double gib = static_cast<double>(size) / static_cast<double>(shoal::kGiB);
  std::printf("%.0f MB/s, %.2f CPU s/GiB, %.2f s\n", static_cast<double>(size) / 1e6 / wall,
              (cpu_seconds() - cpu_began) / gib, wall);
  return failed ? 1 : 0;
}
