// The bytes of our BEP 10 extension message, and back. docs/protocol.md has the tables.
//
// Pure functions without libtorrent: they read no clock, keep no state, and never throw on any input but
// std::bad_alloc. Every count and size is held against the limits of messages.h and against the bytes that
// are really there before anything is allocated, so decoding never takes more memory than a small multiple of
// the input.
#pragma once

#include "node/core/messages.h"
#include "node/core/result.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace shoal {

// Of the layout of messages. A node that speaks several says so in its handshake (docs/protocol.md,
// Versions).
inline constexpr std::uint8_t kGossipVersion = 1;

// REQUIRES: the message keeps the limits of messages.h; what a caller could get wrong is cut, never sent in
// excess: lists are cut at their limit, names at theirs.
[[nodiscard]] std::vector<std::byte> encode(const Message& message);

// nullopt: a well-formed message of a type this version does not know; skip it. Errors: invalid, with what
// was wrong. Bytes after the known fields of a message are skipped, so that later versions may append fields.
[[nodiscard]] Result<std::optional<Message>> decode(std::span<const std::byte> bytes);

}  // namespace shoal
