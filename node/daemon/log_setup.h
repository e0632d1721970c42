// Where log lines go: stderr, as plain lines or with the journal's level prefix.
#pragma once

#include "node/config/config.h"

namespace shoal {

void set_up_log(LogLevel level, LogFormat format);

}  // namespace shoal
