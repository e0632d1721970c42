#include "node/daemon/service_notify.h"

#include <systemd/sd-daemon.h>

namespace shoal {

void notify_ready(const std::string& status) {
  sd_notify(0, ("READY=1\nSTATUS=" + status).c_str());
}

void notify_stopping() {
  sd_notify(0, "STOPPING=1");
}

void notify_watchdog() {
  sd_notify(0, "WATCHDOG=1");
}

}  // namespace shoal
