// JSON that is right and still meant to do harm: it is nested so deep that writing it again by recursion
// would overflow any stack.
#include "node/core/json_depth.h"
#include "node/endpoint/hub_json.h"
#include "node/endpoint/repo_listing.h"

#include <string>

#include <gtest/gtest.h>

namespace shoal {
namespace {

const std::string kAnyCommit(40, 'c');
const RepoRef kRepo{RepoType::model, "org/name"};

std::string nested(int depth) {
  const auto count = static_cast<std::size_t>(depth);
  return std::string(count, '[') + std::string(count, ']');
}

std::string info_of(const std::string& card) {
  return R"({"sha":")" + kAnyCommit + R"(","xet":1,"cardData":)" + card + "}";
}

std::string document_of(const std::string& card) {
  return R"({"version":1,"type":"model","name":"org/name","commit":")" + kAnyCommit + R"(","info":)" +
         info_of(card) + R"(,"tree":[]})";
}

TEST(HostileJson, ADocumentOfMillionBracketsIsRefused) {
  const auto listing = read_document(document_of(nested(1'000'000)), kRepo, kAnyCommit);
  ASSERT_FALSE(listing);
  EXPECT_EQ(listing.error().code, Code::invalid);
}

TEST(HostileJson, ADescriptionOfMillionBracketsIsRefused) {
  const auto info = read_info(info_of(nested(1'000'000)));
  ASSERT_FALSE(info);
  EXPECT_EQ(info.error().code, Code::invalid);
  EXPECT_FALSE(read_tree_page(nested(1'000'000)));
}

TEST(HostileJson, WhatAClientSendsAndTheHubAnswersAsWell) {
  EXPECT_FALSE(read_paths_question("application/json", R"({"paths":)" + nested(1'000'000) + "}"));
  const std::string answer = info_of(nested(1'000'000));
  EXPECT_EQ(without_xet(answer), answer);
}

TEST(HostileJson, TheDeepestDescriptionThatIsReadMakesADocumentThatIsRead) {
  const auto info = read_info(info_of(nested(kJsonNestingMax - 2)));
  ASSERT_TRUE(info);
  EXPECT_FALSE(read_info(info_of(nested(kJsonNestingMax - 1))));
  RepoListing listing;
  listing.repo = kRepo;
  listing.commit = kAnyCommit;
  listing.info = info->info;
  EXPECT_TRUE(read_document(write_document(listing), kRepo, kAnyCommit));
}

}  // namespace
}  // namespace shoal
