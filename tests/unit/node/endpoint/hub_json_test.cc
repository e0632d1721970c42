#include "node/endpoint/hub_json.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace shoal {
namespace {

using Json = nlohmann::json;

const std::string kCommit(40, 'c');
const std::string kOid(40, 'a');
const std::string kSha(64, 'b');

RepoListing some_listing() {
  RepoListing listing;
  listing.repo = {RepoType::model, "org/name"};
  listing.commit = kCommit;
  listing.info =
      R"({"_id":"1","id":"org/name","sha":")" + kCommit + R"(","private":false,"gated":false,"likes":3})";
  auto entries = read_tree_page(R"([
    {"type":"directory","oid":")" +
                                kOid + R"(","size":0,"path":"sub"},
    {"type":"file","oid":")" + kOid +
                                R"(","size":5,"path":"sub/a.txt"},
    {"type":"file","oid":")" + kOid +
                                R"(","size":134,"path":"w.bin","xetHash":"x",
     "lfs":{"oid":")" + kSha + R"(","size":1048576,"pointerSize":134}},
    {"type":"file","oid":")" + kOid +
                                R"(","size":7,"path":"b.txt"}])");
  EXPECT_TRUE(entries);
  EXPECT_TRUE(listing.set_entries(std::move(*entries)));
  return listing;
}

TEST(Listing, ComesBackFromItsDocument) {
  const RepoListing listing = some_listing();
  const std::string text = write_document(listing);
  const auto read = read_document(text, listing.repo, kCommit);
  ASSERT_TRUE(read);
  EXPECT_EQ(write_document(*read), text);
  EXPECT_EQ(read->find("w.bin")->blob.size, 1048576U);
  EXPECT_EQ(read->find("w.bin")->blob.etag(), kSha);
  EXPECT_EQ(text.find("xet"), std::string::npos);
}

TEST(Listing, OfAnotherRepoOrCommitOrWithForbiddenPathsIsRefused) {
  const RepoListing listing = some_listing();
  const std::string text = write_document(listing);
  EXPECT_FALSE(read_document(text, {RepoType::model, "org/other"}, kCommit));
  EXPECT_FALSE(read_document(text, {RepoType::dataset, "org/name"}, kCommit));
  EXPECT_FALSE(read_document(text, listing.repo, std::string(40, 'd')));
  EXPECT_FALSE(read_document("", listing.repo, kCommit));
  EXPECT_FALSE(read_document("[[[[[[", listing.repo, kCommit));
  Json evil = Json::parse(text);
  evil["tree"][0]["path"] = "../x";
  EXPECT_FALSE(read_document(evil.dump(), listing.repo, kCommit));
  evil = Json::parse(text);
  evil["tree"].push_back(evil["tree"][0]);
  EXPECT_FALSE(read_document(evil.dump(), listing.repo, kCommit));
  evil = Json::parse(text);
  evil["tree"][0]["path"] = "w.bin/x";
  EXPECT_FALSE(read_document(evil.dump(), listing.repo, kCommit));
}

TEST(Listing, IsHeldAgainstWhatTheHubSaysOfEachFile) {
  const RepoListing listing = some_listing();
  auto info = read_info(info_json(listing, {{"blobs", "true"}}).value());
  ASSERT_TRUE(info) << info.error().message;
  ASSERT_EQ(info->files.size(), 3U);
  EXPECT_TRUE(agrees(listing, info->files));
  auto other = info->files;
  other.back().second.size += 1;
  EXPECT_FALSE(agrees(listing, other)) << "another content";
  other = info->files;
  other.pop_back();
  EXPECT_FALSE(agrees(listing, other)) << "a file that the Hub does not have";
  other = info->files;
  other.emplace_back("more.txt", other.back().second);
  EXPECT_FALSE(agrees(listing, other)) << "a file that is left out";
  // Without hashes nothing can be said.
  EXPECT_TRUE(read_info(info_json(listing, {}).value())->files.empty());
}

TEST(Info, SiblingsCarrySizesAndHashesOnlyWhenAsked) {
  const RepoListing listing = some_listing();
  Json info = Json::parse(*info_json(listing, {}));
  ASSERT_EQ(info["siblings"].size(), 3U);
  EXPECT_EQ(info["siblings"][2], Json({{"rfilename", "w.bin"}}));
  EXPECT_EQ(info["likes"], 3);
  info = Json::parse(*info_json(listing, {{"blobs", "True"}}));
  EXPECT_EQ(info["siblings"][2]["lfs"]["sha256"], kSha);
  EXPECT_EQ(info["siblings"][2]["lfs"]["pointerSize"], 134);
  EXPECT_EQ(info["siblings"][0]["size"], 7);
  info = Json::parse(*info_json(listing, {{"blobs", "False"}}));
  EXPECT_FALSE(info["siblings"][2].contains("lfs"));
}

TEST(Info, ExpandChoosesFieldsInBothSpellings) {
  const RepoListing listing = some_listing();
  const Json info = Json::parse(*info_json(listing, {{"expand", "sha"}, {"expand[]", "pipeline_tag"}}));
  EXPECT_EQ(info, Json({{"_id", "1"}, {"id", "org/name"}, {"sha", kCommit}}));
  EXPECT_FALSE(info_json(listing, {{"expand", "trendingScore"}})) << "only the Hub knows it";
  EXPECT_FALSE(info_json(listing, {{"securityStatus", "true"}}));
}

TEST(Tree, FoldersAndRecursionAndPages) {
  const RepoListing listing = some_listing();
  EXPECT_EQ(Json::parse(tree_page(listing, "", {})->json).size(), 3U);
  for (const char* yes : {"True", "true", "1"}) {
    EXPECT_EQ(Json::parse(tree_page(listing, "", {{"recursive", yes}})->json).size(), 4U) << yes;
  }
  const Json sub = Json::parse(tree_page(listing, "sub", {})->json);
  ASSERT_EQ(sub.size(), 1U);
  EXPECT_EQ(sub[0]["path"], "sub/a.txt");
  const auto page = tree_page(listing, "", {{"recursive", "true"}, {"limit", "3"}});
  EXPECT_EQ(Json::parse(page->json).size(), 3U);
  EXPECT_EQ(page->next_query, "recursive=true&limit=3&cursor=3");
  const auto rest = tree_page(listing, "", {{"recursive", "true"}, {"limit", "3"}, {"cursor", "3"}});
  EXPECT_EQ(Json::parse(rest->json).size(), 1U);
  EXPECT_FALSE(rest->next_query);
  for (const char* cursor : {"x", "-1", "99", ""})
    EXPECT_FALSE(tree_page(listing, "", {{"cursor", cursor}})) << cursor;
}

TEST(PathsInfo, IsReadFromAFormAndFromJson) {
  auto question =
      read_paths_question("application/x-www-form-urlencoded", "paths=a%20b&paths=c%2Fd&expand=False");
  ASSERT_TRUE(question);
  EXPECT_EQ(question->paths, (std::vector<std::string>{"a b", "c/d"}));
  EXPECT_FALSE(question->expand);
  question = read_paths_question("application/json", R"({"paths":["a","b"],"expand":true})");
  ASSERT_TRUE(question);
  EXPECT_EQ(question->paths.size(), 2U);
  EXPECT_TRUE(question->expand);
  EXPECT_EQ(read_paths_question("application/json", R"({"paths":"a"})")->paths.size(), 1U);
  EXPECT_FALSE(read_paths_question("application/json", "[1]"));
  EXPECT_FALSE(read_paths_question("application/json", R"({"paths":[1]})"));
  std::string many;
  for (int i = 0; i < 2001; ++i) many += "paths=x&";
  EXPECT_FALSE(read_paths_question("", many));
}

TEST(PathsInfo, LeavesOutWhatDoesNotExist) {
  const Json answer = Json::parse(paths_json(some_listing(), {"w.bin", "nope", "sub"}));
  ASSERT_EQ(answer.size(), 2U);
  EXPECT_EQ(answer[0]["lfs"]["oid"], kSha);
  EXPECT_EQ(answer[1]["type"], "directory");
}

TEST(Links, OnlyTheNextPageIsKeptAndPointsHere) {
  EXPECT_EQ(next_link("<https://huggingface.co/api/models/a/b/tree/main?cursor=x>; rel=\"next\"",
                      "http://127.0.0.1:8420"),
            "<http://127.0.0.1:8420/api/models/a/b/tree/main?cursor=x>; rel=\"next\"");
  EXPECT_EQ(next_link("<https://h/x>; rel=\"xet-auth\", <https://h/api/y?c=1>; rel=\"next\"", "http://n"),
            "<http://n/api/y?c=1>; rel=\"next\"");
  EXPECT_EQ(next_link("<https://h/api/models/x/xet-read-token/1>; rel=\"xet-auth\"", "http://n"), "");
  EXPECT_EQ(next_link("<https://evil/elsewhere>; rel=\"next\"", "http://n"), "");
  EXPECT_EQ(next_link("garbage", "http://n"), "");
  EXPECT_EQ(next_link("", "http://n"), "");
}

TEST(Xet, IsTakenOutOfTheHubsAnswers) {
  const std::string body = without_xet(R"([{"path":"w","xetHash":"1","lfs":{"xetHash":"2","oid":"3"}}])");
  EXPECT_EQ(body.find("xet"), std::string::npos);
  EXPECT_NE(body.find("\"oid\""), std::string::npos);
  EXPECT_EQ(without_xet("no xet json"), "no xet json");
}

TEST(Pointer, IsWhatGitHas) {
  const RepoListing listing = some_listing();
  const std::string text = lfs_pointer(*listing.find("w.bin"));
  EXPECT_EQ(text, "version https://git-lfs.github.com/spec/v1\noid sha256:" + kSha + "\nsize 1048576\n");
}

}  // namespace
}  // namespace shoal
