#include "node/core/glob.h"

#include <string>

#include <gtest/gtest.h>

namespace shoal {
namespace {

struct Row {
  const char* pattern;
  const char* path;
  bool matches;
};

class GlobTable : public testing::TestWithParam<Row> {};

TEST_P(GlobTable, MatchesAsPythonsFnmatchDoes) {
  EXPECT_EQ(glob_match(GetParam().pattern, GetParam().path), GetParam().matches)
      << GetParam().pattern << " on " << GetParam().path;
}

INSTANTIATE_TEST_SUITE_P(
    Patterns, GlobTable,
    testing::Values(
        Row{"*.json", "config.json", true}, Row{"*.json", "a/b/config.json", true},
        Row{"*.json", "config.jsonl", false}, Row{"*.json", ".json", true},
        Row{"config.json", "config.json", true}, Row{"config.json", "a/config.json", false},
        Row{"data/*.json", "data/a/b.json", true}, Row{"data/*.json", "data.json", false},
        Row{"data/**", "data/a", true}, Row{"data/**", "data", false}, Row{"data/", "data/a/b", true},
        Row{"data/", "data", false}, Row{"data\\", "data/a", true}, Row{"data\\*.bin", "data/x.bin", true},
        Row{"data/x", "data\\x", true}, Row{"?.txt", "a.txt", true}, Row{"?.txt", ".txt", false},
        Row{"?.txt", "ab.txt", false}, Row{"?.txt", "\xC3\xA9.txt", true},
        Row{"??.txt", "\xC3\xA9.txt", false}, Row{"[abc]x", "bx", true}, Row{"[abc]x", "dx", false},
        Row{"[!abc]x", "dx", true}, Row{"[!abc]x", "ax", false}, Row{"[^a]x", "^x", true},
        Row{"[^a]x", "bx", false}, Row{"[a-c]", "b", true}, Row{"[a-c]", "d", false}, Row{"[a-]", "-", true},
        Row{"[-a]", "-", true}, Row{"[a-c-e]", "-", true}, Row{"[a-c-e]", "d", false},
        Row{"[z-a]", "b", false}, Row{"[!z-a]", "b", true}, Row{"[]a]", "]", true}, Row{"[!]a]", "]", false},
        Row{"[!]a]", "b", true}, Row{"[abc", "[abc", true}, Row{"[abc", "a", false}, Row{"[]", "[]", true},
        Row{"[", "[", true}, Row{"[\xC3\xA0-\xC3\xBF]", "\xC3\xA9", true}, Row{"[0-9]", "\xC3\xA9", false},
        Row{"model-[0-9]*-of-*.safetensors", "model-00001-of-00002.safetensors", true}, Row{"*", "", true},
        Row{"", "", true}, Row{"", "a", false}, Row{"*a*b*c", "xxaxxbxxc", true},
        Row{"*a*b*c", "xxaxxcxxb", false}, Row{"{a,b}", "a", false}, Row{"A.txt", "a.txt", false},
        Row{"\xFF?", "\xFF\xFE", true}, Row{"\xFF", "\xFE", false}));

TEST(Glob, ManyStarsOnALongPathTakeLittleTime) {
  std::string pattern;
  for (int i = 0; i < 200; ++i) pattern += "*a";
  pattern += "b";
  EXPECT_FALSE(glob_match(pattern, std::string(1024, 'a')));
}

TEST(Glob, SelectsWhatIsIncludedAndNotExcluded) {
  EXPECT_TRUE(glob_selects({}, {}, "x"));
  EXPECT_TRUE(glob_selects({"*.json", "*.txt"}, {}, "a.txt"));
  EXPECT_FALSE(glob_selects({"*.json"}, {}, "a.txt"));
  EXPECT_FALSE(glob_selects({"*.json"}, {"sub/*"}, "sub/a.json"));
  EXPECT_FALSE(glob_selects({}, {"*.bin"}, "a.bin"));
}

}  // namespace
}  // namespace shoal
