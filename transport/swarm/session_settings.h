// How libtorrent is set for a site. Each changed setting stands with its reason in the .cc.
#pragma once

#include "transport/swarm/libtorrent_all.h"
#include "transport/swarm/swarm_session.h"

#include <string>

namespace shoal {

[[nodiscard]] lt::settings_pack site_settings(const SwarmOptions& options,
                                              const std::string& listen_interfaces);

// Blocks all but site addresses.
[[nodiscard]] lt::ip_filter site_filter();

}  // namespace shoal
