#include "node/endpoint/hub_route.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

using RouteKind = HubRoute::Kind;

struct Case {
  const char* path;
  RouteKind kind;
  RepoType type;
  const char* name;
  const char* revision;
  const char* inside;
};

TEST(HubRoute, QuestionsOfTheHubsApiAndItsFiles) {
  const Case cases[] = {
      {"/api/models/org/name", RouteKind::info, RepoType::model, "org/name", "main", ""},
      {"/api/models/gpt2", RouteKind::info, RepoType::model, "gpt2", "main", ""},
      {"/api/models/gpt2/revision/main", RouteKind::info, RepoType::model, "gpt2", "main", ""},
      {"/api/datasets/o/n/revision/refs%2Fpr%2F1", RouteKind::info, RepoType::dataset, "o/n", "refs/pr/1",
       ""},
      {"/api/spaces/o/n", RouteKind::info, RepoType::space, "o/n", "main", ""},
      {"/api/models/o/n/tree/main", RouteKind::tree, RepoType::model, "o/n", "main", ""},
      {"/api/models/o/n/tree/main/a%2Fb", RouteKind::tree, RepoType::model, "o/n", "main", "a/b"},
      {"/api/models/o/n/tree/main/a/b/", RouteKind::tree, RepoType::model, "o/n", "main", "a/b"},
      {"/api/models/o/n/tree/refs/pr/1/sub", RouteKind::tree, RepoType::model, "o/n", "refs/pr/1", "sub"},
      {"/api/models/o/n/tree/refs%2Fconvert%2Fparquet", RouteKind::tree, RepoType::model, "o/n",
       "refs/convert/parquet", ""},
      {"/api/models/o/n/paths-info/v1.0", RouteKind::paths_info, RepoType::model, "o/n", "v1.0", ""},
      {"/api/models/o/n/refs", RouteKind::refs, RepoType::model, "o/n", "main", ""},
      {"/api/models/o/n/commits/main", RouteKind::commits, RepoType::model, "o/n", "main", ""},
      {"/api/models/o/n/treesize/main/sub", RouteKind::treesize, RepoType::model, "o/n", "main", "sub"},
      {"/api/models/o/n/auth-check", RouteKind::auth_check, RepoType::model, "o/n", "main", ""},
      {"/api/models/o/n/xet-read-token/main", RouteKind::xet_token, RepoType::model, "o/n", "main", ""},
      {"/o/n/resolve/main/a/b.bin", RouteKind::resolve, RepoType::model, "o/n", "main", "a/b.bin"},
      {"/gpt2/resolve/main/config.json", RouteKind::resolve, RepoType::model, "gpt2", "main", "config.json"},
      {"/datasets/o/n/resolve/refs%2Fpr%2F1/x", RouteKind::resolve, RepoType::dataset, "o/n", "refs/pr/1",
       "x"},
      {"/spaces/o/n/raw/main/app.py", RouteKind::raw, RepoType::space, "o/n", "main", "app.py"},
      {"/o/n/resolve/main/a%20b%2525%23%3F.txt", RouteKind::resolve, RepoType::model, "o/n", "main",
       "a b%25#?.txt"},
      {"/o/n/resolve/main/a+b", RouteKind::resolve, RepoType::model, "o/n", "main", "a+b"},
      {"/api/resolve-cache/models/o/n/0123456789012345678901234567890123456789/d/f", RouteKind::resolve,
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
    EXPECT_EQ(parse_hub_route(path).kind, RouteKind::bad) << path;
  }
  for (const char* path :
       {"/", "/favicon.ico", "/o/n", "/o/n/blob/main/x", "/resolve/main", "/a/b/c/d/resolve/main/x"}) {
    EXPECT_EQ(parse_hub_route(path).kind, RouteKind::none) << path;
  }
  for (const char* path :
       {"/api", "/api/whoami-v2", "/api/models", "/api/models?search=x", "/api/kernels/o/n"}) {
    EXPECT_EQ(parse_hub_route(path).kind, RouteKind::other_api) << path;
  }
  EXPECT_EQ(parse_hub_route("/api/telemetry/hub").kind, RouteKind::trifle);
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
  EXPECT_EQ(parse_hub_route(path).kind, RouteKind::bad);
}

}  // namespace
}  // namespace shoal
