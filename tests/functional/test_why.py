#!/usr/bin/python3
"""`shoal why` in staged situations: each time the real cause is named, by the command, in SQL and in the API alike."""

import shutil
import subprocess

import harness
from harness import MIB

# A disk on which every write of more than a page takes its time.
SLOW_DISK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/uio.h>
#include <time.h>
static void wait_for_the_platter(size_t bytes) {
  struct timespec pause = {0, 60 * 1000 * 1000};
  if (bytes > 8192) nanosleep(&pause, 0);
}
static size_t sum(const struct iovec* parts, int count) {
  size_t bytes = 0;
  for (int i = 0; i < count; ++i) bytes += parts[i].iov_len;
  return bytes;
}
ssize_t pwritev(int fd, const struct iovec* parts, int count, off_t at) {
  ssize_t (*real)(int, const struct iovec*, int, off_t) = dlsym(RTLD_NEXT, "pwritev");
  wait_for_the_platter(sum(parts, count));
  return real(fd, parts, count, at);
}
ssize_t pwritev64(int fd, const struct iovec* parts, int count, off64_t at) {
  ssize_t (*real)(int, const struct iovec*, int, off64_t) = dlsym(RTLD_NEXT, "pwritev64");
  wait_for_the_platter(sum(parts, count));
  return real(fd, parts, count, at);
}
"""


class Asking(harness.FunctionalTest):
    def why(self, node, repo, *words, timeout=25):
        """Waits until `shoal why` says all the words; then SQL and the API have to say the same."""
        said = ""

        def named():
            nonlocal said
            said = node.cli("why", repo).stdout
            return all(word in said for word in words)
        try:
            harness.wait_until(named, f"why says {words}", timeout, pause=0.3)
        except AssertionError as e:
            raise AssertionError(f"{e}; it said:\n{said}") from None
        line = next(line for line in said.splitlines() if words[0] in line)
        self.say(line)

        def the_same():
            rows = [row["waiting_for"] or row["error"] for row in node.status_rows(repo).values()]
            rows += [pull["waiting_for"] or pull["error"] or "" for pull in node.api("pulls")["pulls"] if pull["repo"] == repo]
            return any(all(word in row for word in words) for row in rows)
        harness.wait_until(the_same, "SQL or the API names the same", 10)
        return said

    def one_pull(self, size, *faults, repo="acme/tiny", words=("--detach",), status=0, node=None, **spec):
        """A Hub with one model and these faults, and a node that was told to pull it."""
        hub = self.hub()
        hub.add_repo(repo, size=size, shards=1, **spec)
        if faults:
            hub.faults(*faults)
        puller = self.node("one", hub, **(node or {})).start()
        puller.cli("pull", repo, *words, status=status)
        return puller


class Why(Asking):
    def test_the_wan_limit_of_the_node(self):
        node = self.one_pull("64MiB", node={"arguments": ["--wan-rate-limit", "2MiB/s"]})
        self.why(node, "acme/tiny", "the WAN limit of this node, 2.0 MiB/s (wan_rate_limit)")

    def test_the_hub_limits_requests_until(self):
        node = self.one_pull("16MiB", {"kind": "rate_limited", "on": "cdn", "seconds": 50})
        said = self.why(node, "acme/tiny", "the Hub, which limits requests until", "s left)")
        self.assertRegex(said, r"until \d\d:\d\d:\d\d UTC \(\d+ s left\)")

    def test_a_hub_that_says_nothing_more(self):
        node = self.one_pull("16MiB", {"kind": "stall", "after": 1000})
        self.why(node, "acme/tiny", "the Hub, which sends nothing for")

    def test_a_gated_repo(self):
        node = self.one_pull("4MiB", repo="acme/gated", words=(), status=5, gated="auto")
        self.why(node, "acme/gated", "failed", "token")

    def test_no_space(self):
        node = self.one_pull("4MiB", repo="acme/huge", words=(), status=7, phantom="40TiB")
        self.why(node, "acme/huge", "failed", "are free above the floor")

    def test_a_neighbour_that_fetches_it(self):
        hub = self.hub()
        hub.add_repo("acme/tiny", size="32MiB", shards=1)
        one = self.node("fetcher", hub).start()
        two = self.node("waiter", hub, peers=[one]).start()
        harness.wait_until(lambda: two.sql("SELECT * FROM peers WHERE alive"), "they see each other")
        hub.rate(MIB)
        one.cli("pull", "acme/tiny", "--detach")
        # It may not ask the Hub itself, so it waits for the other one.
        two.cli("pull", "acme/tiny", "--source", "lan", "--detach")
        self.why(two, "acme/tiny", "neighbour fetcher, which fetches it from the Hub")

    def test_nobody_has_it_and_the_hub_may_not_be_asked(self):
        node = self.one_pull("4MiB", words=("--source", "lan", "--detach"))
        self.why(node, "acme/tiny", "a neighbour that has it (source is lan)")

    def test_a_slow_disk(self):
        if not shutil.which("cc"):
            self.skipTest("a slow disk is staged with a C compiler, and there is none")
        (self.work / "slow.c").write_text(SLOW_DISK)
        library = self.work / "slow.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, self.work / "slow.c"], check=True, timeout=60)
        # The address sanitizer insists on being the first library; here it need not be.
        node = self.one_pull("64MiB", node={"env": {"LD_PRELOAD": str(library), "ASAN_OPTIONS": "verify_asan_link_order=0"}})
        self.why(node, "acme/tiny", "this machine's disk: writing takes")


class SlowPeer(Asking):
    def test_a_neighbour_with_a_slow_link(self):
        bridge = self.bridge(2)
        hub = self.hub(netns=bridge.switch, address=bridge.HUB)
        hub.add_repo("acme/tiny", size="32MiB", shards=1)
        one, two = (self.node(name, hub, netns=ns, address=bridge.address(i)) for i, (name, ns) in enumerate(zip(("slow", "fast"), bridge.nodes)))
        one.start()
        one.pull("acme/tiny")
        tc = subprocess.run(["ip", "netns", "exec", bridge.nodes[0], "tc", "qdisc", "add", "dev", "eth0", "root", "tbf",
                             "rate", "16mbit", "burst", "32kb", "latency", "400ms"], capture_output=True, text=True)
        if tc.returncode != 0:
            self.skipTest(f"a slow link cannot be made here: {tc.stderr.strip()}")
        two.start()
        harness.wait_until(lambda: two.sql("SELECT * FROM peers WHERE alive"), "they see each other")
        two.cli("pull", "acme/tiny", "--source", "lan", "--detach")
        self.why(two, "acme/tiny", "neighbour slow, the only one that has it", "it sends")


if __name__ == "__main__":
    harness.main()
