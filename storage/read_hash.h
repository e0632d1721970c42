// Reading a whole file once for both of its hashes. Inside storage/ only.
#pragma once

#include "node/core/ids.h"
#include "node/core/result.h"
#include "storage/blob_records.h"
#include "storage/hasher.h"

#include <functional>
#include <stop_token>
#include <string>
#include <vector>

namespace shoal {

struct WholeHashes {
  BlobHasher whole;
  std::vector<SegmentRecord> segments;  // all pieces, marked written and durable
};

// Reads id.size bytes. `on_bytes` hears how many came, about every 4 MiB. Errors: io, cancelled.
[[nodiscard]] Result<WholeHashes> read_and_hash(FileSystem& files, int fd, const BlobId& id,
                                                const std::string& path,
                                                const std::function<void(std::uint64_t)>& on_bytes,
                                                const std::stop_token& stop);

}  // namespace shoal
