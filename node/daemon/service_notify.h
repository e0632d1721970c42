// Tells systemd how the service is (sd_notify(3)); does nothing when it was not started by systemd.
#pragma once

#include <string>

namespace shoal {

void notify_ready(const std::string& status);
void notify_stopping();
void notify_watchdog();

}  // namespace shoal
