#!/usr/bin/python3
"""A site behind a thin pipe: the first pull takes as long as the pipe, the others as long as the LAN.

    [switch: br0 10.77.0.254, the Hub]──┬── [1: eth0 10.77.0.1]     eth0: 1 Gbit/s (tc tbf)
      the Hub's bytes: 200 Mbit/s       ├── [2: eth0 10.77.0.2]     eth0: 1 Gbit/s
      for the whole site                └── [3: eth0 10.77.0.3]     eth0: 1 Gbit/s

The pipe's rate is kept by the stand-in Hub over all its connections together; the links' rates by tc on both ends of
each link. Needs root, ip and tc; everything is removed at the end. Takes a minute or two.
"""

import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "functional"))

import harness  # noqa: E402: the path has to be set first

WAN_BYTES_PER_S = 25_000_000
LINK = "1gbit"


class ThinPipe(harness.FunctionalTest):
    def limit_links(self, bridge):
        shape = ["root", "tbf", "rate", LINK, "burst", "256kb", "latency", "50ms"]
        for i, name in enumerate(bridge.nodes):
            for namespace, device in ((name, "eth0"), (bridge.switch, f"port{i}")):
                out = subprocess.run(["tc", "-n", namespace, "qdisc", "add", "dev", device, *shape], capture_output=True, text=True)
                if out.returncode != 0:
                    self.skipTest(f"tc cannot limit a link here: {out.stderr.strip()}")

    def test_only_the_first_pull_takes_as_long_as_the_pipe(self):
        bridge = self.bridge(3)
        self.limit_links(bridge)
        hub = self.hub("--rate", str(WAN_BYTES_PER_S), netns=bridge.switch, address=bridge.HUB)
        repo = hub.add_repo("acme/site", size="512MiB", shards=4)
        weights = sum(f["size"] for f in repo["files"] if f["lfs"])
        nodes = [self.node(f"node{i + 1}", hub, netns=bridge.nodes[i], address=bridge.address(i)).start() for i in range(3)]
        for node in nodes:
            harness.wait_until(lambda: len(node.sql("SELECT * FROM peers WHERE alive")) == 2, f"{node.name} sees two neighbours", 15)
        took = []
        for node in nodes:
            begin = time.monotonic()
            node.pull("acme/site", timeout=300)
            took.append(time.monotonic() - begin)
            harness.check_snapshot(node.cache_dir, repo)
        pipe_s = weights / WAN_BYTES_PER_S
        self.say(f"the pipe alone needs {pipe_s:.1f} s; pulls took {', '.join(f'{t:.1f}' for t in took)} s")
        self.assertEqual(weights, hub.counters()["weight_bytes"])
        self.assertLess(took[0], 1.3 * pipe_s + 3)
        for t in took[1:]:
            self.assertLess(t, pipe_s / 2)


if __name__ == "__main__":
    harness.main()
