#!/usr/bin/python3
"""Six nodes pull, serve, evict, die, join and are lied to while the Hub fails at random; at the end every file is right and
nothing has grown.

SHOAL_SOAK=300 runs for so many seconds (15 unless given, 1800 by hand). SHOAL_SEED repeats a run's decisions.
SHOAL_HEAPTRACK=FILE.gz records each allocation of the node "one" for heaptrack_print (package heaptrack).

    one, two, three   live from the beginning to the end: theirs are the figures
    four, five        killed with SIGKILL every few seconds, and started again
    liar              joins and leaves; what it holds rots on its disk and it serves that
"""

import collections
import os
import pathlib
import random
import subprocess
import threading
import time

import harness

MIB = harness.MIB
SECONDS = int(os.environ.get("SHOAL_SOAK") or 15)
REPOS = 6
OF_REPO = 12 * MIB
LIMIT = 4 * OF_REPO  # four of six models fit, so that pulls evict for ever

# What may differ between the first third and the last. Descriptors: one pull more or less has 16 requests to the origin,
# five neighbours with a few connections each, its files. Memory: what an allocator keeps.
MORE_DESCRIPTORS = 40
MORE_THREADS = 2
MORE_MEMORY_MIB = 16

WEATHER = [
    {"kind": "status", "code": 503, "rate": 0.1},
    {"kind": "status", "code": 500, "on": "hub", "rate": 0.1},
    {"kind": "reset", "after": 200_000, "rate": 0.1},
    {"kind": "truncate", "after": 300_000, "rate": 0.05},
    {"kind": "close", "rate": 0.05},
    {"kind": "close", "on": "hub", "rate": 0.05},
    {"kind": "corrupt", "offset": 3_000_000, "rate": 0.1},
    {"kind": "expired", "rate": 0.05},
    {"kind": "latency", "ms": 300, "rate": 0.1},
]


HEAPTRACK = pathlib.Path("/usr/lib/heaptrack")


class Figures:
    """Descriptors, threads and resident memory of a process, looked at once a second."""

    def __init__(self, node):
        self.node = node
        self.samples = []  # (descriptors, threads, MiB)

    def look(self):
        pid = self.node.process.pid
        self.samples.append((len(os.listdir(f"/proc/{pid}/fd")), self.node.proc("status", "Threads"),
                             self.node.proc("status", "VmRSS") / 1024))

    def most(self, part):
        """Of the first third (0), the middle one (1) or the last (2)."""
        n = len(self.samples)
        return [max(column) for column in zip(*self.samples[part * n // 3:(part + 1) * n // 3])]


class Soak(harness.FunctionalTest):
    def test_nothing_grows_and_nothing_is_wrong(self):
        seed = int(os.environ.get("SHOAL_SEED") or 0) or random.SystemRandom().randrange(1, 1 << 30)
        self.say(f"SHOAL_SEED={seed}, {SECONDS} s")
        self.rng = random.Random(seed)
        self.counts = collections.Counter()
        self.pulls = {}  # node -> the pull under way
        hub = self.hub("--rate", str(24 * MIB))
        self.repos = {f"acme/m{i}": hub.add_repo(f"acme/m{i}", size=OF_REPO, shards=2) for i in range(REPOS)}
        self.start_nodes(hub)
        hub.faults(*[fault | {"seed": seed + i} for i, fault in enumerate(WEATHER)])

        self.run_for(SECONDS)

        hub.clear_faults()
        for node in (*self.mortal, self.liar):
            if node.process.running():
                continue
            node.start()
        self.liar.stop()
        for node, pull in self.pulls.items():
            if node is self.liar:
                pull.kill()
                continue
            self.ended(pull, 120)
        self.check_files()
        self.check_figures()

    def record_allocations(self, out):
        """What `heaptrack` does itself, but the node stays the process that was started. Returns its environment."""
        pipe = self.work / "allocations"
        os.mkfifo(pipe)
        recorder = subprocess.Popen(["sh", "-c", f'"{HEAPTRACK}/libexec/heaptrack_interpret" < "{pipe}" | gzip -1 > "{out}"'])
        self.addCleanup(recorder.wait)  # it ends when the node has
        return {"LD_PRELOAD": str(HEAPTRACK / "libheaptrack_preload.so"), "DUMP_HEAPTRACK_OUTPUT": str(pipe)}

    def start_nodes(self, hub):
        arguments = ["--cache-size-limit", f"{LIMIT // MIB}MiB", "--evict-last-copies", "true", "--free-space-floor", "0"]
        self.all = []
        for name in ("one", "two", "three", "four", "five", "liar"):
            record = os.environ.get("SHOAL_HEAPTRACK") if name == "one" else None
            node = self.node(name, hub, peers=list(self.all), arguments=arguments, log_level="warning",
                             env=self.record_allocations(record) if record else None)
            self.all.append(node.start())
        self.steady, self.mortal, self.liar = self.all[:3], self.all[3:5], self.all[5]
        self.figures = [Figures(node) for node in self.steady]

    def run_for(self, seconds):
        """Something happens ten times a second; which and to whom is drawn."""
        pause = threading.Event()  # never set
        begin = time.monotonic()
        looked = 0
        while (now := time.monotonic() - begin) < seconds:
            self.pull_somewhere()
            if self.rng.random() < 0.03:
                self.kill_or_start(self.rng.choice(self.mortal))
            if self.rng.random() < 0.015:
                self.join_or_leave()
            if self.rng.random() < 0.02:
                self.rot()
            if now >= looked:
                looked += 1
                for figures in self.figures:
                    figures.look()
            pause.wait(0.1)

    def pull_somewhere(self):
        node = self.rng.choice(self.all)
        pull = self.pulls.get(node)
        if not node.process.running() or (pull and pull.running()):
            return
        if pull:
            self.ended(pull, 1)
        self.pulls[node] = node.pull_in_background(self.rng.choice(list(self.repos)))

    def ended(self, pull, timeout):
        status = pull.popen.wait(timeout)
        self.counts["pulls that ended well" if status == 0 else f"pulls with status {status}"] += 1

    def kill_or_start(self, node):
        if node.process.running():
            node.kill()
            self.counts["kills"] += 1
        else:
            node.start()

    def join_or_leave(self):
        if self.liar.process.running():
            self.liar.stop()
            self.counts["leaves"] += 1
        else:
            self.liar.start()

    def rot(self):
        """Eight bytes of a shard that the liar holds go bad, and neither size nor time tells."""
        shards = [p for p in self.liar.cache_dir.glob("*/blobs/*") if len(p.name) == 64 and harness.is_blob_name(p.name)]
        if not shards:
            return
        path = self.rng.choice(shards)
        try:
            stat = path.stat()
            with open(path, "r+b") as f:
                f.seek(self.rng.randrange(stat.st_size - 8))
                f.write(b"rotten!!")
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        except FileNotFoundError:
            return  # evicted meanwhile
        self.counts["lies"] += 1

    def check_files(self):
        for node in self.all[:5]:
            self.assertEqual([], harness.wrong_blobs(node.cache_dir), node.name)
            name = self.rng.choice(list(self.repos))
            node.pull(name, timeout=120)
            harness.check_snapshot(node.cache_dir, self.repos[name])
            self.assertEqual([], harness.wrong_blobs(node.cache_dir), node.name)
        self.say(", ".join(f"{count} {what}" for what, count in sorted(self.counts.items())) + "; no wrong file")
        self.assertGreater(self.counts["pulls that ended well"], SECONDS // 8, "the site did some work")
        self.assertGreater(self.counts["kills"], 0)

    def check_figures(self):
        for figures in self.figures:
            first, last = figures.most(0), figures.most(2)
            what = ", ".join(f"{name} {a:.0f} then {b:.0f}" for name, a, b in
                             zip(("descriptors", "threads", "resident MiB"), first, last))
            self.say(f"{figures.node.name}, the most of the first third and of the last: {what}")
            self.assertLessEqual(last[0], first[0] + MORE_DESCRIPTORS, f"{figures.node.name}: {what}")
            self.assertLessEqual(last[1], first[1] + MORE_THREADS, f"{figures.node.name}: {what}")
            if not harness.sanitized():  # which keep freed memory
                self.assertLessEqual(last[2], first[2] + MORE_MEMORY_MIB, f"{figures.node.name}: {what}")


if __name__ == "__main__":
    harness.main()
