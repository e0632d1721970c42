// For the files of SimNode: what it does after a while, if it still lives.
#pragma once

#include "tests/sim/sim_node.h"
#include "tests/sim/site.h"

namespace shoal::sim {

template <typename Use>
void SimNode::later(double delay_s, Use use) {
  site_.events().after(std::chrono::duration_cast<Duration>(std::chrono::duration<double>(delay_s)),
                       [this, run = run_, use] {
                         if (alive_ && run == run_) use();
                       });
}

}  // namespace shoal::sim
