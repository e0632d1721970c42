// The production scheduler under a virtual clock. A failure prints the line that repeats it.
#include "tests/sim/command_line.h"
#include "tests/sim/mutations.h"
#include "tests/sim/scenarios.h"
#include "tests/sim/site.h"

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace shoal::sim {

// How ctest names them.
static void PrintTo(const Options& options, std::ostream* out) {
  *out << options.name;
}
static void PrintTo(const Mutation& mutation, std::ostream* out) {
  *out << mutation.name;
}

namespace {

using testing::HasSubstr;
using testing::IsEmpty;

Options scenario(const std::string& name) {
  for (const Options& o : named_scenarios()) {
    if (o.name == name) return o;
  }
  ADD_FAILURE() << "there is no scenario " << name;
  return {};
}

Report run(const Options& options) {
  return run_site(options);
}

class NamedScenario : public testing::TestWithParam<Options> {};

TEST_P(NamedScenario, KeepsItsBounds) {
  const Report report = run(GetParam());
  EXPECT_THAT(report.violations, IsEmpty()) << "again: " << command_line(GetParam());
}

INSTANTIATE_TEST_SUITE_P(All, NamedScenario, testing::ValuesIn(named_scenarios()),
                         [](const auto& named) { return named.param.name; });

// Unequal links and deaths. The whole terabyte of a thousand nodes takes two minutes: tools/simulate --large.
class LargeScenario : public testing::TestWithParam<Options> {};

TEST_P(LargeScenario, KeepsItsBounds) {
  Options options = GetParam();
  if (options.nodes == 1000) {
    // The first and the last seconds weigh more.
    options.size = 64 * kGiB;
    options.time_factor_max = 1.25;
    options.wan_factor_max = 1.15;
  }
  const Report report = run(options);
  EXPECT_THAT(report.violations, IsEmpty()) << "again: " << command_line(options);
}

INSTANTIATE_TEST_SUITE_P(All, LargeScenario, testing::ValuesIn(large_scenarios()),
                         [](const auto& large) { return large.param.name; });

// In some of these a machine is switched off in the last seconds.
class AHundredNodes : public testing::TestWithParam<int> {};

TEST_P(AHundredNodes, KeepTheBoundsWhateverIsDrawn) {
  for (Options options : large_scenarios()) {
    if (!options.name.starts_with("unequal_100")) continue;
    options.rng_seed = static_cast<std::uint64_t>(GetParam());
    const Report report = run(options);
    EXPECT_THAT(report.violations, IsEmpty()) << "again: " << command_line(options);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, AHundredNodes, testing::Values(2, 3, 8));

// Weather drawn from the seed: faults, deaths, lies, slow links. Nothing wrong may happen, all must finish.
class DrawnScenarios : public testing::TestWithParam<int> {};

TEST_P(DrawnScenarios, DoNothingWrongAndFinish) {
  constexpr int kPerTest = 50;
  for (int i = 0; i < kPerTest; ++i) {
    const Options options = drawn_scenario(static_cast<std::uint64_t>(GetParam() * kPerTest + i));
    const Report report = run(options);
    ASSERT_THAT(report.violations, IsEmpty()) << "again: " << command_line(options);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, DrawnScenarios, testing::Range(0, 20));

TEST(Simulator, OneSeedGivesTheSameRunTwice) {
  const Options options = drawn_scenario(7);
  const Report a = run(options);
  const Report b = run(options);
  EXPECT_EQ(a.last_s, b.last_s);
  EXPECT_EQ(a.wan_bytes, b.wan_bytes);
  EXPECT_EQ(a.events, b.events);
}

TEST(Simulator, TheLargeModelIsTheSameOnAnyNumberOfThreads) {
  Options options = large_scenarios().front();
  for (const Options& large : large_scenarios()) {
    if (large.name == "large_100") options = large;
  }
  options.size = 8 * kGiB;
  options.time_factor_max = options.wan_factor_max = 1e9;  // nothing but its first and last seconds
  options.threads = 1;
  const Report one = run(options);
  options.threads = 3;
  const Report three = run(options);
  EXPECT_GT(one.messages, 0U);
  EXPECT_EQ(one.last_s, three.last_s);
  EXPECT_EQ(one.fetched, three.fetched);
  EXPECT_EQ(one.messages, three.messages);
  EXPECT_EQ(one.decides, three.decides);
  EXPECT_EQ(one.finished_s, three.finished_s);
}

TEST(Simulator, ThePrintedLineRepeatsTheRun) {
  const Options options = drawn_scenario(23);
  const std::string line = command_line(options);
  std::vector<std::string> words;
  std::istringstream in(line.substr(std::string("tools/simulate").size()));
  for (std::string word; in >> word;) words.push_back(word);
  Options again;
  ASSERT_EQ(parse(words, again), "");
  EXPECT_EQ(command_line(again), line);
  EXPECT_EQ(run(again).wan_bytes, run(options).wan_bytes);
}

TEST(Simulator, AnOptionThatIsNotThereIsNamed) {
  Options options;
  EXPECT_THAT(parse({"--no-such", "1"}, options), HasSubstr("--no-such"));
  EXPECT_THAT(parse({"--nodes", "many"}, options), HasSubstr("many"));
}

TEST(Load, ABusyNodeTakesLessThanHalfOfTheOthersShare) {
  Options options = scenario("one_busy");
  options.marked_busy = {{3, 0.0}};
  const Report report = run(options);
  double others = 0;
  for (std::size_t i = 0; i < report.fetched.size(); ++i) {
    if (i != 3) others += static_cast<double>(report.fetched[i]);
  }
  EXPECT_LT(static_cast<double>(report.fetched[3]), 0.5 * others / 7);
}

TEST(Disturbances, OthersAreHardlyLater) {
  const double calm = run(scenario("cold_8_files")).last_s;
  for (const char* name : {"one_killed", "one_restarted", "one_slow_lan", "one_hung", "one_busy"}) {
    EXPECT_LE(run(scenario(name)).undisturbed_last_s, 1.15 * calm) << name;
  }
  EXPECT_LE(run(scenario("one_hash_liar")).undisturbed_last_s, 1.3 * calm);
  EXPECT_LE(run(scenario("one_byte_liar")).undisturbed_last_s, 1.3 * calm);
}

TEST(Disturbances, AnyoneMayDieAtAnyTime) {
  for (int at = 1; at <= 22; at += 3) {
    Options options = scenario("one_killed");
    options.killed = {{at % 8, static_cast<double>(at)}};
    options.rng_seed = static_cast<std::uint64_t>(at);
    const Report report = run(options);
    EXPECT_THAT(report.violations, IsEmpty()) << "again: " << command_line(options);
  }
}

TEST(Liars, AreNamedByAllOthers) {
  const Report report = run(scenario("one_hash_liar"));
  EXPECT_THAT(report.violations, IsEmpty());
  EXPECT_GE(report.bans, 7U);
}

// --- mutations ---

class BrokenOnPurpose : public testing::TestWithParam<Mutation> {};

TEST_P(BrokenOnPurpose, IsReported) {
  Options options = scenario(GetParam().scenario);
  GetParam().break_it(options);
  EXPECT_THAT(run(options).violations, testing::Contains(HasSubstr(GetParam().reported)));
}

// The drawn scenarios have no bounds of their own but see what a stuck node does.
TEST(Mutation, ClaimsThatNeverLapseShowInDrawnScenarios) {
  int reported = 0;
  for (std::uint64_t rng_seed = 0; rng_seed < 200; ++rng_seed) {
    Options options = drawn_scenario(rng_seed);
    options.claims_lapse = false;
    options.limits.overdue_after = std::chrono::hours(1000);
    if (!run(options).violations.empty()) ++reported;
  }
  EXPECT_GE(reported, 3);
}

INSTANTIATE_TEST_SUITE_P(All, BrokenOnPurpose, testing::ValuesIn(mutations()),
                         [](const auto& mutation) { return mutation.param.name; });

}  // namespace
}  // namespace shoal::sim
