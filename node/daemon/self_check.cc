#include "node/daemon/self_check.h"

#include "storage/file.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timex.h>

namespace shoal {
namespace {

// BEP 14: local service discovery.
constexpr const char* kLsdGroup = "239.192.152.143";
constexpr std::uint16_t kLsdPort = 6771;
// Neighbours, slices, blobs and the database together stay below (docs/architecture.md).
constexpr rlim_t kFilesEnough = 1024;

// Connecting a UDP socket sends nothing: the kernel only chooses the way, or says that there is none.
DoctorCheck check_multicast(bool lsd) {
  if (!lsd) return {"multicast", "ok", "discovery is off (lsd = false); neighbours come from `peer`"};
  const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in group{};
  group.sin_family = AF_INET;
  group.sin_port = htons(kLsdPort);
  inet_pton(AF_INET, kLsdGroup, &group.sin_addr);
  sockaddr_in own{};
  socklen_t length = sizeof(own);
  if (!fd.valid() || ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&group), sizeof(group)) != 0 ||
      ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&own), &length) != 0) {
    return {"multicast", "warning",
            std::string("no way to ") + kLsdGroup + " (" + std::strerror(errno) +
                "), so neighbours are not found by themselves; name one with `peer`"};
  }
  std::array<char, INET_ADDRSTRLEN> text{};
  inet_ntop(AF_INET, &own.sin_addr, text.data(), text.size());
  if ((ntohl(own.sin_addr.s_addr) >> 24U) == 127) {
    return {"multicast", "warning",
            "the way to " + std::string(kLsdGroup) +
                " ends at this machine, so neighbours are not found by themselves; name one with `peer`"};
  }
  return {"multicast", "ok",
          std::string("discovery goes out by ") + text.data() + " to " + kLsdGroup + ":" +
              std::to_string(kLsdPort)};
}

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

std::vector<DoctorCheck> check_surroundings(bool lsd) {
  return {check_multicast(lsd), check_clock(), check_files()};
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
