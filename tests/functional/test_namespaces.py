#!/usr/bin/python3
"""Three machines on one Ethernet that were never told of each other.

    [switch: br0 10.77.0.254, the Hub]──┬── [1: eth0 10.77.0.1  shoald]
                                        ├── [2: eth0 10.77.0.2  shoald]
                                        └── [3: eth0 10.77.0.3  shoald]

Each is a network namespace with a network stack of its own, so the Hub's counters tell by address who fetched what.
Needs root and the program ip; the namespaces are removed at the end, whatever happens.
"""

import time

import harness


class Namespaces(harness.FunctionalTest):
    def test_three_nodes_find_each_other_and_fetch_from_the_hub_once(self):
        bridge = self.bridge(3)
        hub = self.hub(netns=bridge.switch, address=bridge.HUB)
        repo = hub.add_repo("acme/site", size=harness.size("256MiB", "1GiB"), shards=4)
        weights = sum(f["size"] for f in repo["files"] if f["lfs"])
        nodes = [self.node(f"node{i + 1}", hub, netns=bridge.nodes[i], address=bridge.address(i)) for i in range(3)]
        for node in nodes:
            node.start(wait=False)
        begin = time.monotonic()
        for node in nodes:
            node.wait_ready()
        for node in nodes:
            harness.wait_until(lambda: len(node.sql("SELECT * FROM peers WHERE alive")) == 2, f"{node.name} sees two neighbours", 15)
        found = time.monotonic() - begin
        self.say(f"all three found each other after {found:.1f} s")
        self.assertLess(found, 5)

        for i, node in enumerate(nodes):
            begin = time.monotonic()
            node.pull("acme/site")
            sent = hub.counters()["clients"].get(bridge.address(i), {}).get("weight_bytes", 0)
            self.say(f"{node.name}: {time.monotonic() - begin:.1f} s, {sent} weight bytes over the WAN, "
                     f"peak resident {node.peak_rss_mib():.0f} MiB")
            harness.check_snapshot(node.cache_dir, repo)
            self.assertGreaterEqual(sent, 0 if i else weights)
            self.assertLessEqual(sent, 0 if i else weights + harness.repeated_at_most(weights))
        for node in nodes:
            self.assert_memory(node.peak_rss_mib())
        self.assert_clean_hub(hub)


if __name__ == "__main__":
    harness.main()
