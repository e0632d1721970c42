#include "transport/origin/hub_error.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

const RepoRef kModel{RepoType::model, "org/name"};

TEST(HubError, HasTheCodeAndTheAdviceOfEachSituation) {
  const struct {
    int status;
    const char* error_code;
    bool token;
    Code code;
    const char* says;
  } rows[] = {
      {404, "EntryNotFound", false, Code::not_found, "no config.json of model org/name at main"},
      {404, "RevisionNotFound", false, Code::not_found, "has no revision main"},
      {404, "RepoNotFound", true, Code::not_found, "or this token may not see it"},
      {401, "RepoNotFound", false, Code::not_found, "does not exist on https://hub: check the name"},
      {401, "", false, Code::not_found, "does not exist, or is private: set a token (HF_TOKEN)"},
      {401, "", true, Code::unauthorized, "refused the token"},
      {401, "GatedRepo", false, Code::gated, "accept its conditions at https://hub/org/name and set a token"},
      {403, "GatedRepo", true, Code::gated, "with the account of this token"},
      {403, "", true, Code::unauthorized, "forbids"},
      {404, "", false, Code::not_found, "check the name"},
      {400, "", false, Code::invalid, "answers 400"},
      {429, "", false, Code::rate_limited, "limits requests"},
      {451, "", false, Code::unauthorized, "legal"},
      {408, "", false, Code::timeout, "gave up waiting"},
      {500, "", false, Code::unavailable, "answers 500"},
      {503, "", false, Code::unavailable, "try again later"},
      {299, "", false, Code::invalid, "is it a Hugging Face Hub?"},
  };
  for (const auto& row : rows) {
    const HubQuestion question{kModel, "main", "config.json", "https://hub", row.token};
    const Error error = hub_error(question, {row.status, {{"x-error-code", row.error_code}}});
    EXPECT_EQ(error.code, row.code) << row.status << row.error_code;
    EXPECT_NE(error.message.find(row.says), std::string::npos) << error.message;
    EXPECT_NE(error.message.find("org/name"), std::string::npos) << error.message;
    EXPECT_EQ(error.message.find('\n'), std::string::npos);
    EXPECT_EQ(error.raw, row.status);
  }
}

TEST(HubError, NamesADatasetsPage) {
  const HubQuestion question{{RepoType::dataset, "org/d"}, "main", "", "https://hub", false};
  EXPECT_NE(
      hub_error(question, {403, {{"x-error-code", "GatedRepo"}}}).message.find("https://hub/datasets/org/d"),
      std::string::npos);
}

TEST(HubError, KnowsWhatPasses) {
  for (const int status : {408, 500, 502, 503, 504, 599}) EXPECT_TRUE(is_passing_trouble(status)) << status;
  for (const int status : {400, 401, 403, 404, 416, 429, 501, 505})
    EXPECT_FALSE(is_passing_trouble(status)) << status;
}

}  // namespace
}  // namespace shoal
