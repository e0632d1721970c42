#include "transport/origin/url.h"

#include "transport/origin/text.h"

#include <algorithm>
#include <array>
#include <cstddef>

namespace shoal {
namespace {

constexpr std::size_t kUrlBytesMax = 8192;

bool is_host_character(char c) {
  return is_alphanumeric(c) || c == '.' || c == '-' || c == '_';
}

bool is_ipv6_character(char c) {
  return is_hex_digit(c) || c == ':' || c == '.';
}

bool is_valid_host(std::string_view host) {
  if (host.starts_with('[')) {
    if (host.size() < 4 || !host.ends_with(']')) return false;
    return std::ranges::all_of(host.substr(1, host.size() - 2), is_ipv6_character);
  }
  return !host.empty() && host.size() <= 253 && std::ranges::all_of(host, is_host_character);
}

// Escapes what a server should have escaped itself; nullopt for what may not stand in a URL at all.
std::optional<std::string> tidy(std::string_view text) {
  constexpr std::string_view kForbidden = "\\<>\"^`{|}";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<std::uint8_t>(c);
    if (byte <= 0x20 || byte == 0x7F) return std::nullopt;
    if (byte >= 0x80 || kForbidden.find(c) != std::string_view::npos) {
      if (c == '\\') return std::nullopt;
      out += percent_encoded(c);
    } else {
      out += c;
    }
  }
  return out;
}

struct Split {
  std::string path;
  std::string query;
};

std::optional<Split> split_target(std::string_view target) {
  target = target.substr(0, target.find('#'));
  auto tidied = tidy(target);
  if (!tidied) return std::nullopt;
  const std::size_t mark = tidied->find('?');
  Split split;
  split.path = tidied->substr(0, mark);
  if (mark != std::string::npos) split.query = tidied->substr(mark + 1);
  if (split.path.empty()) split.path = "/";
  return split;
}

bool has_scheme(std::string_view reference) {
  const std::size_t end = reference.find_first_of(":/?#");
  return end != std::string_view::npos && reference[end] == ':';
}

std::string escape(std::string_view text, bool keep_slash) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (is_alphanumeric(c) || c == '-' || c == '.' || c == '_' || c == '~' || (keep_slash && c == '/')) {
      out += c;
    } else {
      out += percent_encoded(c);
    }
  }
  return out;
}

}  // namespace

std::string Url::text() const {
  return origin() + path + (query.empty() ? "" : "?" + query);
}

std::string Url::origin() const {
  std::string out = (tls ? "https://" : "http://") + host;
  if (port != (tls ? 443 : 80)) out += ":" + std::to_string(port);
  return out;
}

std::optional<Url> Url::resolve(std::string_view reference) const {
  if (reference.empty() || reference.size() > kUrlBytesMax) return std::nullopt;
  if (has_scheme(reference)) return parse_url(reference);
  if (reference.starts_with("//")) return parse_url((tls ? "https:" : "http:") + std::string(reference));
  Url url = *this;
  std::string target(reference);
  if (reference.front() == '?') {
    target = path + target;
  } else if (reference.front() != '/') {
    target = path.substr(0, path.rfind('/') + 1) + target;
  }
  auto split = split_target(target);
  if (!split) return std::nullopt;
  url.path = std::move(split->path);
  url.query = std::move(split->query);
  return url;
}

std::optional<Url> parse_url(std::string_view text) {
  if (text.size() > kUrlBytesMax) return std::nullopt;
  Url url;
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const std::string scheme = lower_case(text.substr(0, colon));
  if (scheme != "http" && scheme != "https") return std::nullopt;
  url.tls = scheme == "https";
  text.remove_prefix(colon + 1);
  if (!text.starts_with("//")) return std::nullopt;
  text.remove_prefix(2);

  const std::size_t authority_end = std::min(text.find_first_of("/?#"), text.size());
  std::string_view authority = text.substr(0, authority_end);
  text.remove_prefix(authority_end);

  url.port = url.tls ? 443 : 80;
  const std::size_t bracket = authority.rfind(']');
  const std::size_t port_at = authority.find(':', bracket == std::string_view::npos ? 0 : bracket);
  if (port_at != std::string_view::npos) {
    const auto port = parse_decimal(authority.substr(port_at + 1));
    if (!port || *port == 0 || *port > 65535) return std::nullopt;
    url.port = static_cast<std::uint16_t>(*port);
    authority = authority.substr(0, port_at);
  }
  if (!is_valid_host(authority)) return std::nullopt;
  url.host = lower_case(authority);

  std::string target(text);
  if (!target.starts_with('/')) target.insert(0, "/");
  auto split = split_target(target);
  if (!split) return std::nullopt;
  url.path = std::move(split->path);
  url.query = std::move(split->query);
  return url;
}

std::string escape_segment(std::string_view text) {
  return escape(text, false);
}

std::string escape_path(std::string_view path) {
  return escape(path, true);
}

std::optional<std::string> unescape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size() || !is_hex_digit(text[i + 1]) || !is_hex_digit(text[i + 2])) return std::nullopt;
    out += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
    i += 2;
  }
  return out;
}

std::optional<std::string> query_value(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(pair.size() + 1, query.size()));
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos) continue;
    const auto key = unescape(pair.substr(0, equals));
    if (key && equals_ignoring_case(*key, name)) return unescape(pair.substr(equals + 1));
  }
  return std::nullopt;
}

}  // namespace shoal
