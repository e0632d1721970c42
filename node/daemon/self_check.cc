#include "node/daemon/self_check.h"

#include "node/daemon/network_check.h"

#include <string>

#include <sys/resource.h>
#include <sys/timex.h>

namespace shoal {
namespace {

// Neighbours, slices, blobs and the database together stay below (docs/architecture.md).
constexpr rlim_t kFilesEnough = 1024;

// A wrong clock breaks TLS and the expiry of signed URLs.
DoctorCheck check_clock() {
  timex state{};
  const int status = ::adjtimex(&state);
  if (status == TIME_ERROR || (state.status & STA_UNSYNC) != 0) {
    return {"clock", "warning",
            "nothing keeps this machine's clock right; TLS and signed URLs need it: install a time service"};
  }
  if (status < 0) return {"clock", "ok", "whether it is kept right cannot be asked here"};
  return {"clock", "ok", "kept right by a time service"};
}

DoctorCheck check_files() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return {"open files", "ok", "no limit can be asked"};
  const std::string text = std::to_string(limit.rlim_cur) + " may be open at once";
  if (limit.rlim_cur < kFilesEnough) {
    return {"open files", "warning", text + "; raise it (ulimit -n, or LimitNOFILE of the service)"};
  }
  return {"open files", "ok", text};
}

}  // namespace

std::vector<DoctorCheck> check_surroundings(bool lsd, const Endpoint& swarm) {
  return {check_swarm_port(swarm), check_multicast(lsd), check_clock(), check_files()};
}

DoctorCheck judge_hub(const std::string& hub, bool has_token, const Result<void>& answer) {
  const Code code = answer ? Code::not_found : answer.error().code;
  // A Hub says 404 to who is known to it, and 401 to a stranger, for a repo that does not exist.
  if (code == Code::not_found || code == Code::gated) {
    return {"hub answers", "ok", hub + " answers" + (has_token ? " and takes the token" : "")};
  }
  if (code == Code::unauthorized) {
    if (!has_token) return {"hub answers", "ok", hub + " answers"};
    return {"hub answers", "bad", hub + " refuses the token: " + answer.error().message};
  }
  if (code == Code::rate_limited)
    return {"hub answers", "warning", hub + " limits requests: " + answer.error().message};
  return {"hub answers", "bad", hub + " cannot be reached: " + answer.error().message};
}

}  // namespace shoal
