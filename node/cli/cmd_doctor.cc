// `doctor`: what can be known at once, each with what to do about it.
#include "node/cli/commands.h"
#include "node/cli/json_read.h"
#include "node/cli/text.h"
#include "node/config/units.h"
#include "node/version.h"

#include <cstdio>
#include <string>
#include <vector>

#include <unistd.h>

namespace shoal::cli {
namespace {

enum class Verdict { good, warning, bad };

struct Finding {
  std::string check;
  Verdict verdict = Verdict::good;
  std::string text;
};

const char* word_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::good:
      return "ok";
    case Verdict::warning:
      return "warning";
    case Verdict::bad:
      return "bad";
  }
  return "bad";
}

Finding check_version(const Json& node) {
  const auto version = text_of(node, "version");
  if (version == kVersion) return {"version", Verdict::good, "shoal and shoald are " + version};
  return {
      "version", Verdict::warning,
      std::string("shoal is ") + kVersion + ", shoald is " + version + "; restart shoald after an upgrade"};
}

Finding check_space(const Json& node) {
  const auto free = number_of(node, "disk_free");
  const auto floor = number_of(node, "free_space_floor");
  const auto dir = text_of(node, "cache_dir");
  const std::string text =
      format_size(free) + " of " + format_size(number_of(node, "disk_size")) + " free at " + dir;
  if (free < floor) {
    return {"disk", Verdict::bad,
            text + ", below the floor of " + format_size(floor) + "; `shoal rm` models that are not needed"};
  }
  // A tenth of a terabyte disk still takes most models; ten times the floor does not.
  if (free < 10 * floor) return {"disk", Verdict::warning, text + "; a large model will not fit"};
  return {"disk", Verdict::good, text};
}

Finding check_cache(const Json& node) {
  const auto dir = text_of(node, "cache_dir");
  if (!flag_of(node, "cache_writable")) {
    return {"cache", Verdict::bad,
            "shoald cannot write to " + dir + "; give its user the right, or set --cache-dir"};
  }
  return {"cache", Verdict::good, "shoald can write to " + dir};
}

// Only meaningful on the machine of the daemon.
Finding check_reading(const Json& node) {
  const auto dir = text_of(node, "cache_dir");
  if (access(dir.c_str(), R_OK | X_OK) == 0) return {"reading", Verdict::good, "you can read " + dir};
  return {"reading", Verdict::warning,
          "you cannot read " + dir + "; join the group of shoald's user to use its models"};
}

Finding check_hub(const Json& node) {
  const auto hub = text_of(node, "hub");
  const std::string token = flag_of(node, "has_token") ? ", with a token" : ", without a token";
  if (hub.starts_with("https://")) return {"hub", Verdict::good, hub + token};
  if (hub.starts_with("http://")) {
    return {"hub", Verdict::warning,
            hub + token + "; http:// lets others on the way read and change what you fetch"};
  }
  return {"hub", Verdict::bad, "'" + hub + "' is not a URL; set --hub"};
}

Finding check_peers(const Json& node) {
  const auto alive = number_of(node, "peers_alive");
  if (alive > 0)
    return {"neighbours", Verdict::good,
            std::to_string(alive) + " alive in cluster " + text_of(node, "cluster")};
  return {"neighbours", Verdict::warning,
          "none in cluster " + text_of(node, "cluster") +
              "; others need the same --cluster, and multicast or --peer"};
}

bool is_local(const std::string& url) {
  const auto host = url.find("://") + 3;
  return url.compare(host, 4, "127.") == 0 || url.compare(host, 9, "localhost") == 0 ||
         url.compare(host, 5, "[::1]") == 0;
}

}  // namespace

ExitStatus run_doctor(Session& session, const DoctorArgs&) {
  const ApiAnswer answer = session.api.get("/shoal/v1/node");
  if (!answer.ok()) return report(session, answer);
  const Json& node = answer.body;
  std::vector<Finding> findings{
      {"daemon", Verdict::good,
       "shoald of " + text_of(node, "name") + " (" + text_of(node, "node").substr(0, 8) + ") answers at " +
           session.api.base_url()},
      check_version(node),
      check_cache(node),
      check_space(node),
      check_hub(node),
      check_peers(node)};
  if (is_local(session.api.base_url())) findings.push_back(check_reading(node));

  // What only the daemon can see; it waits for the Hub's answer.
  const ApiAnswer seen = session.api.get("/shoal/v1/doctor");
  for (const Json& row : rows_of(seen.body, "checks")) {
    const auto result = text_of(row, "result");
    findings.push_back({text_of(row, "check"),
                        result == "ok"        ? Verdict::good
                        : result == "warning" ? Verdict::warning
                                              : Verdict::bad,
                        text_of(row, "text")});
  }
  if (!seen.ok()) findings.push_back({"hub answers", Verdict::bad, seen.message});

  bool bad = false;
  Json rows = Json::array();
  Table table({{"CHECK"}, {"RESULT"}, {"WHAT"}});
  for (const Finding& finding : findings) {
    bad = bad || finding.verdict == Verdict::bad;
    rows.push_back({{"check", finding.check}, {"result", word_of(finding.verdict)}, {"text", finding.text}});
    table.add({finding.check, word_of(finding.verdict), finding.text});
  }
  if (session.json) {
    print_json({{"checks", std::move(rows)}, {"node", node}});
  } else {
    std::printf("%s", table.text(0).c_str());
  }
  return bad ? exit_failed : exit_done;
}

}  // namespace shoal::cli
