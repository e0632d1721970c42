#include "node/endpoint/hub_route.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

using Kind = HubRoute::Kind;

struct Case {
  const char* path;
  Kind kind;
  RepoType type;
  const char* name;
  const char* revision;
  const char* inside;
};

TEST(HubRoute, QuestionsOfTheHubsApiAndItsFiles) {
  const Case cases[] = {
      {"/api/models/org/name", Kind::info, RepoType::model, "org/name", "main", ""},
      {"/api/models/gpt2", Kind::info, RepoType::model, "gpt2", "main", ""},
      {"/api/models/gpt2/revision/main", Kind::info, RepoType::model, "gpt2", "main", ""},
      {"/api/datasets/o/n/revision/refs%2Fpr%2F1", Kind::info, RepoType::dataset, "o/n", "refs/pr/1", ""},
      {"/api/spaces/o/n", Kind::info, RepoType::space, "o/n", "main", ""},
      {"/api/models/o/n/tree/main", Kind::tree, RepoType::model, "o/n", "main", ""},
      {"/api/models/o/n/tree/main/a%2Fb", Kind::tree, RepoType::model, "o/n", "main", "a/b"},
      {"/api/models/o/n/tree/main/a/b/", Kind::tree, RepoType::model, "o/n", "main", "a/b"},
      {"/api/models/o/n/tree/refs/pr/1/sub", Kind::tree, RepoType::model, "o/n", "refs/pr/1", "sub"},
      {"/api/models/o/n/tree/refs%2Fconvert%2Fparquet", Kind::tree, RepoType::model, "o/n",
       "refs/convert/parquet", ""},
      {"/api/models/o/n/paths-info/v1.0", Kind::paths_info, RepoType::model, "o/n", "v1.0", ""},
      {"/api/models/o/n/refs", Kind::refs, RepoType::model, "o/n", "main", ""},
      {"/api/models/o/n/commits/main", Kind::commits, RepoType::model, "o/n", "main", ""},
      {"/api/models/o/n/treesize/main/sub", Kind::treesize, RepoType::model, "o/n", "main", "sub"},
      {"/api/models/o/n/auth-check", Kind::auth_check, RepoType::model, "o/n", "main", ""},
      {"/api/models/o/n/xet-read-token/main", Kind::xet_token, RepoType::model, "o/n", "main", ""},
      {"/o/n/resolve/main/a/b.bin", Kind::resolve, RepoType::model, "o/n", "main", "a/b.bin"},
      {"/gpt2/resolve/main/config.json", Kind::resolve, RepoType::model, "gpt2", "main", "config.json"},
      {"/datasets/o/n/resolve/refs%2Fpr%2F1/x", Kind::resolve, RepoType::dataset, "o/n", "refs/pr/1", "x"},
      {"/spaces/o/n/raw/main/app.py", Kind::raw, RepoType::space, "o/n", "main", "app.py"},
      {"/o/n/resolve/main/a%20b%2525%23%3F.txt", Kind::resolve, RepoType::model, "o/n", "main",
       "a b%25#?.txt"},
      {"/o/n/resolve/main/a+b", Kind::resolve, RepoType::model, "o/n", "main", "a+b"},
      {"/api/resolve-cache/models/o/n/0123456789012345678901234567890123456789/d/f", Kind::resolve,
       RepoType::model, "o/n", "0123456789012345678901234567890123456789", "d/f"},
  };
  for (const Case& c : cases) {
    const HubRoute route = parse_hub_route(c.path);
    EXPECT_EQ(route.kind, c.kind) << c.path;
    EXPECT_EQ(route.repo.type, c.type) << c.path;
    EXPECT_EQ(route.repo.name, c.name) << c.path;
    EXPECT_EQ(route.revision, c.revision) << c.path;
    EXPECT_EQ(route.path, c.inside) << c.path;
  }
}

TEST(HubRoute, WhatCannotBeIsRefused) {
  for (const char* path :
       {"/o/n/resolve/main/../../etc/passwd", "/o/n/resolve/main/%2e%2e/x", "/o/n/resolve/main/a%2F..%2Fb",
        "/o/n/resolve/main//x", "/o/n/resolve/main/", "/o/n/resolve/main/a%00b", "/o/n/resolve/main/a%zz",
        "/o/n/resolve/..%2f..%2fx/y", "/o--x/n/resolve/main/x", "/..%2f/n/resolve/main/x",
        "/o/n/resolve/main/a%5Cb", "/api/models/..%2F..%2Fx/y", "/api/models/o/n/tree/main/..%2Fx",
        "/api/resolve-cache/models/o/n/main/f"}) {
    EXPECT_EQ(parse_hub_route(path).kind, Kind::bad) << path;
  }
  for (const char* path :
       {"/", "/favicon.ico", "/o/n", "/o/n/blob/main/x", "/resolve/main", "/a/b/c/d/resolve/main/x"}) {
    EXPECT_EQ(parse_hub_route(path).kind, Kind::none) << path;
  }
  for (const char* path :
       {"/api", "/api/whoami-v2", "/api/models", "/api/models?search=x", "/api/kernels/o/n"}) {
    EXPECT_EQ(parse_hub_route(path).kind, Kind::other_api) << path;
  }
  EXPECT_EQ(parse_hub_route("/api/telemetry/hub").kind, Kind::trifle);
}

TEST(HubRoute, ABranchOfSeveralPartsCanBeTriedLonger) {
  HubRoute route = parse_hub_route("/api/models/o/n/tree/feature/x/sub");
  ASSERT_TRUE(lengthen_revision(route));
  EXPECT_EQ(route.revision, "feature/x");
  EXPECT_EQ(route.path, "sub");
  ASSERT_TRUE(lengthen_revision(route));
  EXPECT_EQ(route.revision, "feature/x/sub");
  EXPECT_FALSE(lengthen_revision(route));
}

TEST(HubRoute, ManyPartsAreRefusedAndNotRemembered) {
  std::string path = "/o/n/resolve/main";
  for (int i = 0; i < 5000; ++i) path += "/a";
  EXPECT_EQ(parse_hub_route(path).kind, Kind::bad);
}

}  // namespace
}  // namespace shoal
