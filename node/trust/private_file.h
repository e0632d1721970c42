// Small files that must be whole and, some of them, secret.
//
// Threads: any; they block on the disk.
#pragma once

#include "node/core/result.h"

#include <filesystem>
#include <string>
#include <string_view>

namespace shoal {

// Written beside, synced and renamed, so that the file is the old or the new one. `mode`: 0600 for what is
// secret; it holds from the first byte on.
Result<void> write_whole_file(const std::filesystem::path& path, std::string_view bytes, unsigned mode);

inline constexpr std::size_t kTrustFileBytesMax = 1024 * 1024;  // the largest is a revocation list, 128 KiB
// Errors: not_found, io, invalid (longer than kTrustFileBytesMax).
[[nodiscard]] Result<std::string> read_whole_file(const std::filesystem::path& path);
// The same for a secret; invalid also when group or others may read it.
[[nodiscard]] Result<std::string> read_secret_file(const std::filesystem::path& path);

}  // namespace shoal
