#include "node/daemon/share_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace shoal {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const RepoRef kOpen{RepoType::model, "org/open"};
const RepoRef kOther{RepoType::model, "org/other"};

BlobId blob(char digit) {
  return BlobId::from_etag(std::string(64, digit), 10).value();
}

TEST(ShareRules, NothingIsSharedUntilAPublicRepoNamesIt) {
  ShareRules rules;
  EXPECT_FALSE(rules.shareable(blob('a')));
  rules.add_blob(blob('a'), kOpen);
  EXPECT_FALSE(rules.shareable(blob('a')));
  rules.set_public(kOpen, true);
  EXPECT_TRUE(rules.shareable(blob('a')));
  rules.remove_blob(blob('a'));
  EXPECT_FALSE(rules.shareable(blob('a')));
}

TEST(ShareRules, ARepoThatClosesTakesItsBlobsBackUnlessAnotherOneIsOpen) {
  ShareRules rules;
  rules.set_public(kOpen, true);
  rules.set_public(kOther, true);
  rules.add_blob(blob('a'), kOpen);
  rules.add_blob(blob('b'), kOpen);
  rules.add_blob(blob('b'), kOther);
  EXPECT_THAT(rules.set_public(kOpen, false), ElementsAre(blob('a')));
  EXPECT_TRUE(rules.shareable(blob('b')));
  EXPECT_THAT(rules.set_public(kOpen, false), IsEmpty());
}

TEST(ShareRules, AClosedClusterSharesWhatAnyRepoNames) {
  ShareRules rules;
  rules.set_closed_cluster();
  EXPECT_FALSE(rules.shareable(blob('a'))) << "no repo names it";
  rules.add_blob(blob('a'), kOpen);
  EXPECT_TRUE(rules.shareable(blob('a')));
  EXPECT_THAT(rules.set_public(kOpen, true), IsEmpty());
  EXPECT_THAT(rules.set_public(kOpen, false), IsEmpty()) << "who was let in may have it still";
  EXPECT_EQ(rules.is_public(kOpen), false) << "programs are still asked for a token of theirs";
  EXPECT_TRUE(rules.shareable(blob('a')));
}

TEST(ShareRules, ARepoThatWasNeverAskedAboutIsUnknown) {
  ShareRules rules;
  EXPECT_FALSE(rules.is_public(kOpen).has_value());
  rules.set_public(kOpen, false);
  EXPECT_EQ(rules.is_public(kOpen), false);
}

}  // namespace
}  // namespace shoal
