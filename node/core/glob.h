// Which files of a repo are wanted: `--include` and `--exclude` as the Hub's clients understand them.
//
// Python's fnmatch on the whole path, case-sensitive (reference section 13):
// - `*` is any run of characters, slashes and leading dots included; `?` one character; `[abc]`, `[a-z]`,
// `[!abc]`.
// - There is no escape character, no special `**` and no braces; `[` without `]` stands for itself.
// - A pattern that ends in `/` gets a `*` appended. Backslashes count as slashes, in patterns and in paths.
// A character is a UTF-8 code point; a byte that is not UTF-8 is a character of its own.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace shoal {

// Takes O(pattern x path) steps at most: only the last `*` is ever retried.
[[nodiscard]] bool glob_match(std::string_view pattern, std::string_view path);

// True if the path matches any include (or there are none) and no exclude.
[[nodiscard]] bool glob_selects(const std::vector<std::string>& include,
                                const std::vector<std::string>& exclude, std::string_view path);

}  // namespace shoal
