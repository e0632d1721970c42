// The real program against a made-up daemon: what it prints where, and its exit status.
#include "../api/fake_backend.h"
#include "node/api/api_server.h"

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

namespace shoal {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using Json = nlohmann::json;

struct Outcome {
  int status = -1;  // exit status, or 128 + signal
  std::string out;
  std::string err;
};

// A started program whose two outputs are read.
class Program {
 public:
  Program(const std::vector<std::string>& words,
          const std::vector<std::pair<std::string, std::string>>& environment) {
    int out[2];
    int err[2];
    if (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0) std::abort();
    pid_ = fork();
    if (pid_ == 0) {
      dup2(out[1], STDOUT_FILENO);
      dup2(err[1], STDERR_FILENO);
      for (const auto& [name, value] : environment) setenv(name.c_str(), value.c_str(), 1);
      std::vector<char*> argv;
      std::string program = SHOAL_PROGRAM;
      argv.push_back(program.data());
      std::vector<std::string> copy = words;
      for (auto& word : copy) argv.push_back(word.data());
      argv.push_back(nullptr);
      execv(program.c_str(), argv.data());
      _exit(127);
    }
    close(out[1]);
    close(err[1]);
    out_ = out[0];
    err_ = err[0];
  }
  ~Program() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
    close(out_);
    close(err_);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  // Reads both outputs until `err_has` shows up on stderr (nullopt: until both end).
  bool read(const std::optional<std::string>& err_has = std::nullopt) {
    bool out_open = true;
    bool err_open = true;
    while (out_open || err_open) {
      if (err_has && run_.err.find(*err_has) != std::string::npos) return true;
      pollfd ends[2]{{out_open ? out_ : -1, POLLIN, 0}, {err_open ? err_ : -1, POLLIN, 0}};
      if (poll(ends, 2, 20'000) <= 0) return false;
      const auto take = [](pollfd& end, bool& open, std::string& into) {
        if (end.revents == 0) return;
        char bytes[4096];
        const auto count = ::read(end.fd, bytes, sizeof(bytes));
        if (count <= 0) {
          open = false;
        } else {
          into.append(bytes, static_cast<std::size_t>(count));
        }
      };
      take(ends[0], out_open, run_.out);
      take(ends[1], err_open, run_.err);
    }
    return !err_has;
  }
  void interrupt() const { kill(pid_, SIGINT); }

  Outcome finish() {
    EXPECT_TRUE(read()) << "the program hangs";
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    run_.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return run_;
  }

 private:
  pid_t pid_ = -1;
  int out_ = -1;
  int err_ = -1;
  Outcome run_;
};

std::string last_line(const std::string& text) {
  const auto end = text.find_last_not_of('\n');
  if (end == std::string::npos) return "";
  const auto begin = text.rfind('\n', end);
  return text.substr(begin + 1, end - begin);
}

class ProgramTest : public testing::Test {
 protected:
  // The program's first run does it unless the test did.
  void start(const std::string& token = "") {
    ApiServerOptions options;
    options.http.listen = {"127.0.0.1", 0};
    options.http.bearer_token = token;
    server_ = std::move(*ApiServer::start(std::move(options), backend_));
    environment_ = {{"SHOAL_API", "http://" + server_->endpoint().text()},
                    // Nothing listens there: a request that took the proxy would fail.
                    {"http_proxy", "http://127.0.0.1:1"},
                    {"HTTP_PROXY", "http://127.0.0.1:1"},
                    {"ALL_PROXY", "http://127.0.0.1:1"},
                    {"no_proxy", ""}};
  }
  std::unique_ptr<Program> begin(const std::vector<std::string>& words) {
    if (environment_.empty()) start();
    hand_over();
    return std::make_unique<Program>(words, environment_);
  }
  Outcome run(const std::vector<std::string>& words) {
    Outcome outcome = begin(words)->finish();
    hand_over();
    return outcome;
  }
  // What either side wrote into the backend before is seen by the other after it.
  void hand_over() { const std::scoped_lock lock(backend_.mutex); }

  void pull_answers(std::vector<PullDetail> answers) {
    const std::scoped_lock lock(backend_.mutex);
    backend_.pull_answers.assign(answers.begin(), answers.end());
  }
  static PullDetail failed_pull(Code code, const std::string& sentence) {
    auto detail = fake_pull(7, PullState::failed, 100, 10);
    detail.pull.error_code = code;
    detail.pull.error = sentence;
    return detail;
  }

  FakeBackend backend_;
  std::unique_ptr<ApiServer> server_;
  std::vector<std::pair<std::string, std::string>> environment_;
};

TEST_F(ProgramTest, APullEndsWithTheSnapshotPathOnStdout) {
  auto first = fake_pull(7, PullState::running, 1000, 400);
  first.files = {fake_file("a.bin", 1000, 400, FileState::fetching)};
  auto last = fake_pull(7, PullState::done, 1000, 1000);
  last.files = {fake_file("a.bin", 1000, 1000, FileState::held)};
  pull_answers({first, last});
  const Outcome r = run({"pull", "org/name"});
  EXPECT_EQ(r.status, 0) << r.err;
  EXPECT_EQ(r.out, last.pull.snapshot_path + "\n");
  EXPECT_THAT(r.err, HasSubstr("pull 7 of org/name started\n"));
  EXPECT_THAT(r.err, HasSubstr("org/name: 40.0%, 400 B of 1000 B"));
  EXPECT_THAT(r.err, HasSubstr("done a.bin (1000 B: 1000 B from neighbours"));
  EXPECT_THAT(last_line(r.err), StartsWith("org/name@main: 1 file, 1000 B in "));
  EXPECT_THAT(r.err, testing::Not(HasSubstr("\x1b")));
}

TEST_F(ProgramTest, APullInJsonIsOneEventPerLine) {
  auto first = fake_pull(7, PullState::running, 1000, 400);
  first.files = {fake_file("a.bin", 1000, 400, FileState::fetching)};
  auto last = fake_pull(7, PullState::done, 1000, 1000);
  last.files = {fake_file("a.bin", 1000, 1000, FileState::held)};
  pull_answers({first, last});
  const Outcome r = run({"pull", "org/name", "--json"});
  EXPECT_EQ(r.status, 0);
  EXPECT_EQ(r.err, "");
  std::vector<std::string> events;
  std::istringstream lines(r.out);
  Json event;
  for (std::string line; std::getline(lines, line);) {
    event = Json::parse(line, nullptr, false);
    ASSERT_TRUE(event.is_object()) << line;
    events.push_back(event["event"]);
  }
  EXPECT_THAT(events, testing::ElementsAre("started", "progress", "file_done", "done"));
  EXPECT_EQ(event["snapshot_path"], last.pull.snapshot_path);
}

TEST_F(ProgramTest, ADetachedPullPrintsItsNumber) {
  EXPECT_EQ(run({"pull", "org/name@v1", "--detach"}).out, "7\n");
  EXPECT_EQ(run({"pull", "org/name@v1", "--detach", "--json"}).out, "{\"id\":7}\n");
  const std::scoped_lock lock(backend_.mutex);
  EXPECT_EQ(backend_.pull_requests[0].revision, "v1");
}

TEST_F(ProgramTest, AFailedPullHasTheStatusOfItsCodeAndOneLine) {
  const std::vector<std::pair<Code, int>> cases{
      {Code::not_found, 4}, {Code::gated, 5},       {Code::unauthorized, 5}, {Code::corrupt, 6},
      {Code::no_space, 7},  {Code::unavailable, 1}, {Code::invalid, 1}};
  for (const auto& [code, status] : cases) {
    pull_answers({failed_pull(code, "a sentence about it")});
    const Outcome r = run({"pull", "org/name"});
    EXPECT_EQ(r.status, status) << to_string(code);
    EXPECT_EQ(r.out, "");
    EXPECT_EQ(last_line(r.err), "shoal: a sentence about it");
  }
}

TEST_F(ProgramTest, APullThatIsRefusedAtOnceHasTheStatusOfItsCode) {
  backend_.error = Error{Code::no_space, "the disk has 1.0 GiB left; `shoal rm` something", 0};
  const Outcome r = run({"pull", "org/name"});
  EXPECT_EQ(r.status, 7);
  EXPECT_EQ(r.err, "shoal: the disk has 1.0 GiB left; `shoal rm` something\n");
}

TEST_F(ProgramTest, ACancelledPullSaysHowToGoOn) {
  pull_answers({fake_pull(7, PullState::cancelled, 100, 10)});
  const Outcome r = run({"pull", "org/name"});
  EXPECT_EQ(r.status, 1);
  EXPECT_THAT(r.err, HasSubstr("`shoal pull org/name` goes on"));
}

TEST_F(ProgramTest, CtrlCDetachesAndDiesOfTheSignal) {
  pull_answers({fake_pull(7, PullState::running, 1000, 400)});
  auto program = begin({"pull", "org/name"});
  ASSERT_TRUE(program->read("40.0%"));
  program->interrupt();
  const Outcome r = program->finish();
  EXPECT_EQ(r.status, 128 + SIGINT);
  EXPECT_THAT(last_line(r.err), StartsWith("shoal: detached; pull 7 goes on in shoald."));
  EXPECT_THAT(r.err, HasSubstr("`shoal cancel 7`"));
  EXPECT_EQ(r.out, "");
}

TEST_F(ProgramTest, APullOutlivesARestartOfTheDaemon) {
  pull_answers({fake_pull(7, PullState::running, 1000, 400)});
  start();
  const Endpoint where = server_->endpoint();
  auto program = begin({"pull", "org/name"});
  ASSERT_TRUE(program->read("40.0%"));
  server_.reset();
  ASSERT_TRUE(program->read("waiting for it"));
  pull_answers({fake_pull(7, PullState::done, 1000, 1000)});
  ApiServerOptions options;
  options.http.listen = where;
  auto again = ApiServer::start(std::move(options), backend_);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(program->finish().status, 0);
}

TEST_F(ProgramTest, WithoutADaemonTheStatusIs3) {
  start();
  server_.reset();
  for (const auto& words : std::vector<std::vector<std::string>>{{"pull", "org/name"},
                                                                 {"status"},
                                                                 {"ls"},
                                                                 {"peers"},
                                                                 {"doctor"},
                                                                 {"cancel", "7"},
                                                                 {"busy", "on"}}) {
    const Outcome r = run(words);
    EXPECT_EQ(r.status, 3) << words[0];
    EXPECT_THAT(r.err, StartsWith("shoal: no shoald answers at http://127.0.0.1:")) << words[0];
    EXPECT_EQ(std::count(r.err.begin(), r.err.end(), '\n'), 1) << r.err;
  }
  EXPECT_THAT(run({"ls", "--json"}).out, HasSubstr("\"no_daemon\""));
}

TEST_F(ProgramTest, WrongUsageIs2) {
  EXPECT_EQ(run({"pull"}).status, 2);
  EXPECT_EQ(run({"frobnicate"}).status, 2);
  EXPECT_EQ(run({}).status, 2);
  EXPECT_EQ(run({"--help"}).status, 0);
  EXPECT_EQ(run({"--version"}).status, 0);
}

TEST_F(ProgramTest, StatusShowsReposPullsAndFiles) {
  auto file = fake_file("model.safetensors", 1000, 415, FileState::fetching);
  file.bytes_per_s = 2048;
  file.eta_s = 12;
  file.waiting_for = "gpu8";
  backend_.status_page.rows = {{file, {1}}, {fake_file("config.json", 10, 10, FileState::held), {1}}};
  backend_.pull_list = {fake_pull(7, PullState::running, 1010, 425).pull,
                        fake_pull(6, PullState::done, 5, 5).pull};
  const Outcome all = run({"status"});
  EXPECT_EQ(all.status, 0) << all.err;
  EXPECT_EQ(all.out,
            "PULL  REPO           FILES    SIZE   DONE  RATE  ETA  STATE    WAITING FOR\n"
            "   7  org/name@main    0/1  1010 B  42.0%             running\n"
            "\n"
            "REPO      TYPE   REVISION  FILES    SIZE   DONE       RATE  ETA  STATE     WAITING FOR\n"
            "org/name  model  main        1/2  1010 B  42.0%  2.0 KiB/s  12s  fetching  gpu8\n");
  const Outcome one = run({"status", "org/name"});
  EXPECT_THAT(one.out,
              HasSubstr("model.safetensors  main      1000 B   41.5%       415 B     0 B    0 B  2.0 KiB/s"));
  const Outcome json = run({"status", "--json"});
  EXPECT_EQ(Json::parse(json.out)["status"].size(), 2U);
  EXPECT_EQ(run({"status", "other/name"}).status, 4);
}

TEST_F(ProgramTest, WatchedStatusEndsWithCtrlC) {
  start();
  auto program = begin({"status", "--watch", "--json", "--api", environment_[0].second});
  std::this_thread::yield();
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (std::chrono::steady_clock::now() < deadline) {
    const std::scoped_lock lock(backend_.mutex);
    if (backend_.repo_filters.size() >= 2) break;
  }
  program->interrupt();
  const Outcome r = program->finish();
  EXPECT_EQ(r.status, 128 + SIGINT);
  EXPECT_THAT(r.out, StartsWith("{\"status\":[]"));
}

TEST_F(ProgramTest, WhyExplainsAFileOrARepo) {
  auto file = fake_file("model.safetensors", 1000, 415, FileState::queued);
  file.waiting_for = "gpu8, which is busy";
  backend_.status_page.rows = {{file, {1}}, {fake_file("config.json", 10, 10, FileState::held), {1}}};
  EXPECT_EQ(run({"why", "org/name/model.safetensors"}).out,
            "model.safetensors: queued at 41.5%; waits for gpu8, which is busy\n");
  EXPECT_THAT(run({"why", "org/name"}).out, HasSubstr("org/name: 1 of 2 files are held\n"));
  EXPECT_EQ(run({"why", "org/name/none"}).status, 4);
  EXPECT_EQ(run({"why", "org/none"}).status, 4);
  auto resolving = fake_pull(8, PullState::resolving, 0, 0).pull;
  resolving.repo.name = "org/new";
  resolving.waiting_for = "the Hub";
  backend_.pull_list = {resolving};
  EXPECT_EQ(run({"why", "org/new"}).out, "pull 8 of org/new: resolving; the Hub\n");
}

TEST_F(ProgramTest, ListsAreTablesAndTotals) {
  EXPECT_THAT(run({"ls"}).out, HasSubstr("no model is on this machine"));
  EXPECT_THAT(run({"peers"}).out, HasSubstr("no neighbours"));
  backend_.holdings_page.rows = {{{RepoType::model, "org/name"},
                                  "main",
                                  std::string(40, 'a'),
                                  "x.bin",
                                  *BlobId::parse("sha256:" + std::string(64, 'c'), 2048)}};
  backend_.holdings_page.blobs_held = 1;
  backend_.holdings_page.bytes_held = 2048;
  EXPECT_EQ(run({"ls"}).out,
            "REPO      TYPE   REVISION  COMMIT        FILES     SIZE\n"
            "org/name  model  main      aaaaaaaaaaaa      1  2.0 KiB\n"
            "1 files of different content, 2.0 KiB\n");
  EXPECT_THAT(run({"ls", "org/name"}).out, HasSubstr("x.bin"));
  EXPECT_EQ(run({"ls", "org/none"}).status, 4);
  auto snapshot = std::make_shared<StatusSnapshot>();
  PeerStatus peer;
  peer.name = "gpu8\x1b[31m";
  peer.alive = true;
  peer.endpoint = {"10.0.0.8", 8421};
  snapshot->peers = {peer};
  backend_.set_snapshot(snapshot);
  EXPECT_THAT(run({"peers"}).out, HasSubstr("gpu8?[31m  00000000  10.0.0.8:8421"));
}

TEST_F(ProgramTest, SeedAndVerifyFollowTheirJob) {
  JobStatus job;
  job.id = JobId{3};
  job.kind = JobKind::seed;
  job.files = 2;
  job.size = 2048;
  auto done = job;
  done.state = PullState::done;
  done.files_done = 2;
  done.bytes_done = 2048;
  backend_.job_answers = {job, done};
  const Outcome seeded = run({"seed", "/models"});
  EXPECT_EQ(seeded.status, 0) << seeded.err;
  EXPECT_EQ(seeded.out, "seeding 2 files, 2.0 KiB\n");
  done.kind = JobKind::verify;
  done.findings = {{"org/name/a.bin", Code::corrupt, "does not match its hash; moved aside"}};
  done.findings_count = 1;
  backend_.job_answers = {done};
  const Outcome verified = run({"verify"});
  EXPECT_EQ(verified.status, 6);
  EXPECT_EQ(verified.err, "shoal: org/name/a.bin: does not match its hash; moved aside\n");
  const Outcome json = run({"verify", "org/name", "--json"});
  EXPECT_EQ(json.status, 6);
  EXPECT_EQ(Json::parse(json.out)["findings_count"], 1);
}

TEST_F(ProgramTest, ChangesSayWhatTheyDid) {
  EXPECT_EQ(run({"rm", "org/name@v1"}).out, "removed 3 files of org/name, 4.0 KiB freed\n");
  EXPECT_EQ(run({"cancel", "7"}).out, "cancelled pull 7; what arrived is kept\n");
  EXPECT_EQ(run({"busy", "on", "--for", "90m"}).out, "this machine is marked busy for 1h30m\n");
  EXPECT_EQ(run({"busy", "off"}).out, "this machine takes its share again\n");
  const std::scoped_lock lock(backend_.mutex);
  EXPECT_EQ(backend_.remove_requests[0].revision, "v1");
  EXPECT_EQ(backend_.cancelled, std::vector<std::int64_t>{7});
}

TEST_F(ProgramTest, GcSaysWhatGoesAndWhyTheRestStays) {
  EvictionChoice goes;
  goes.repo = {RepoType::model, "org/old"};
  goes.commit = std::string(40, 'b');
  goes.verdict = Verdict::evict;
  goes.frees = 2048;
  goes.last_used = {1'700'000'000'000};
  EvictionChoice stays = goes;
  stays.repo.name = "org/new";
  stays.verdict = Verdict::last_copy;
  stays.last_copies = 2;
  backend_.gc_result = {.dry_run = true,
                        .bytes_held = 8192,
                        .bytes_needed = 2048,
                        .bytes_freed = 2048,
                        .neighbours = 1,
                        .choices = {goes, stays}};
  const Outcome enough = run({"gc", "--dry-run", "--to", "6KiB"});
  EXPECT_EQ(enough.status, 0) << enough.err;
  EXPECT_THAT(enough.out, HasSubstr("org/old@bbbbbbbbbbbb  go"));
  EXPECT_THAT(enough.out, HasSubstr("the last copy on the site (2 files)"));
  EXPECT_THAT(enough.out, HasSubstr("2.0 KiB to free, 2.0 KiB would be; 1 neighbours were asked"));
  backend_.gc_result.bytes_needed = 4096;
  const Outcome short_of = run({"gc", "--to", "0"});
  EXPECT_EQ(short_of.status, 7);
  EXPECT_THAT(short_of.err, HasSubstr("not enough could be freed: 2.0 KiB more"));
  EXPECT_EQ(run({"pin", "org/name"}).out, "org/name stays whatever happens\n");
  EXPECT_EQ(run({"pin"}).out, "org/name\n");
  EXPECT_EQ(run({"unpin", "org/name"}).out, "org/name may be removed to make room\n");
}

TEST_F(ProgramTest, DoctorFindsWhatIsWrong) {
  backend_.node_info.version = "0.0.1";
  backend_.node_info.node_name = "gpu7";
  backend_.node_info.hub = "https://huggingface.co";
  backend_.node_info.cache_dir = "/";
  backend_.node_info.cache_writable = true;
  backend_.node_info.disk_size = 1ULL << 40U;
  backend_.node_info.disk_free = 1ULL << 39U;
  backend_.node_info.free_space_floor = 1ULL << 30U;
  Outcome r = run({"doctor"});
  EXPECT_EQ(r.status, 0) << r.out;
  EXPECT_THAT(r.out, HasSubstr("version     warning  shoal is "));
  EXPECT_THAT(r.out, HasSubstr("neighbours  warning  none in cluster"));
  backend_.node_info.cache_writable = false;
  backend_.node_info.disk_free = 1;
  r = run({"doctor"});
  EXPECT_EQ(r.status, 1);
  EXPECT_THAT(r.out, HasSubstr("below the floor of 1.0 GiB"));
  EXPECT_EQ(Json::parse(run({"doctor", "--json"}).out)["checks"].size(), 7U);
}

TEST_F(ProgramTest, ATokenIsSentFromItsFile) {
  start("s3cret");
  const Outcome refused = run({"ls"});
  EXPECT_EQ(refused.status, 5);
  EXPECT_THAT(refused.err, HasSubstr("--api-token-file"));
  const auto path = std::filesystem::temp_directory_path() / ("shoal-token-" + std::to_string(getpid()));
  std::ofstream(path) << "s3cret\n";
  EXPECT_EQ(run({"ls", "--api-token-file", path.string()}).status, 0);
  std::filesystem::remove(path);
  EXPECT_EQ(run({"ls", "--api-token-file", path.string()}).status, 1);
}

}  // namespace
}  // namespace shoal
