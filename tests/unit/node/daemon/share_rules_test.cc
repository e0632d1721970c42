#include "node/daemon/share_rules.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

TEST(ShareRules, NothingIsSharedUntilAPublicRepoNamesIt) {
  ShareRules rules;
  const auto blob = BlobId::from_etag(std::string(64, 'a'), 10).value();
  EXPECT_FALSE(rules.shareable(blob));
  rules.add_blob(blob);
  EXPECT_TRUE(rules.shareable(blob));
  rules.remove_blob(blob);
  EXPECT_FALSE(rules.shareable(blob));
}

TEST(ShareRules, ARepoThatWasNeverAskedAboutIsUnknownAndTheLastAnswerCounts) {
  ShareRules rules;
  const RepoRef repo{RepoType::model, "org/name"};
  EXPECT_FALSE(rules.is_public(repo).has_value());
  rules.set_public(repo, true);
  EXPECT_EQ(rules.is_public(repo), true);
  rules.set_public(repo, false);
  EXPECT_EQ(rules.is_public(repo), false);
}

}  // namespace
}  // namespace shoal
