// Errors are values: Result<T> is either a T or an Error with a code a caller can act on.
//
// The member names are those of std::expected, which g++ 12 does not have in C++20 mode.
#pragma once

#include <cassert>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

namespace shoal {

// The closed list of things a caller can act on. The raw errno or HTTP status becomes one of these once, at
// the edge that met it.
enum class Code : std::uint8_t {
  not_found,     // repo, revision, file or blob is not there
  unauthorized,  // a token is missing or refused
  gated,         // the repo wants its conditions accepted by the token's owner
  corrupt,       // bytes do not match the hash that names them
  no_space,      // ENOSPC, EDQUOT, or below the free-space floor
  io,            // any other failing system call on a file
  timeout,       // no progress within the time allowed
  rate_limited,  // HTTP 429
  unavailable,   // the other side cannot be reached or answers 5xx; may pass
  cancelled,     // somebody asked for it
  invalid,       // bad input: config, request, message, answer
  expired,       // a signed URL ran out: resolve it again
  changed,       // the file behind the URL is not the one that was asked for
};

[[nodiscard]] std::string_view to_string(Code code);

struct Error {
  Code code = Code::io;
  std::string message;  // one sentence with context, fit for a person
  int raw = 0;          // errno or HTTP status that it came from; 0: none
};

template <typename E>
struct Unexpected {
  E error;
};

[[nodiscard]] inline Unexpected<Error> fail(Code code, std::string message, int raw = 0) {
  return {Error{code, std::move(message), raw}};
}
[[nodiscard]] inline Unexpected<Error> fail(Error error) {
  return {std::move(error)};
}

template <typename T>
class [[nodiscard]] Result {
 public:
  using value_type = T;

  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT: implicit by design
  Result(Unexpected<Error> e) : state_(std::in_place_index<1>, std::move(e.error)) {}  // NOLINT

  [[nodiscard]] bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }

  // REQUIRES: has_value().
  [[nodiscard]] T& value() & { return std::get<0>(state_); }
  [[nodiscard]] const T& value() const& { return std::get<0>(state_); }
  [[nodiscard]] T&& value() && { return std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  [[nodiscard]] T value_or(T other) const& { return has_value() ? value() : std::move(other); }

  // REQUIRES: !has_value().
  [[nodiscard]] Error& error() & { return std::get<1>(state_); }
  [[nodiscard]] const Error& error() const& { return std::get<1>(state_); }
  [[nodiscard]] Error&& error() && { return std::get<1>(std::move(state_)); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Unexpected<Error> e) : failed_(true), error_(std::move(e.error)) {}  // NOLINT: implicit by design

  [[nodiscard]] bool has_value() const { return !failed_; }
  explicit operator bool() const { return has_value(); }
  [[nodiscard]] Error& error() & { return error_; }
  [[nodiscard]] const Error& error() const& { return error_; }
  [[nodiscard]] Error&& error() && { return std::move(error_); }

 private:
  bool failed_ = false;
  Error error_{};
};

}  // namespace shoal
