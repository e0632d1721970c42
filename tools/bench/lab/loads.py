"""What another program on one of the hosts does to its CPU or disk, bounded in time, and how that host's node can see it.

All hosts share this machine's kernel, so /proc is everybody's, and each node would take its neighbours' work for load of its own.
Each host therefore has directories that its node reads in place of /proc and /sys (`--proc-dir`, `--sys-dir`): pressure/* are
those of the host's cgroup, net/dev is that of its namespace, `stat` and `diskstats` are kept up to date with what its programs
used, and self/stat with what its shoald used up to the same moment.
"""

import os
import pathlib
import re
import threading

LOAD_S = 60  # a load ends by itself after this
# Between looks at the hosts, which take their processors' time: a node measures itself once a second.
PAUSE_S = 0.5

_BURN = "import time\nend = time.monotonic() + {seconds}\nwhile time.monotonic() < end:\n    pow(3, 20000)\n"
_WRITE = """
import mmap, os, time
end = time.monotonic() + {seconds}
block = mmap.mmap(-1, 1 << 20)
fd = os.open("{path}", os.O_WRONLY | os.O_CREAT | os.O_DIRECT, 0o600)
at = 0
while time.monotonic() < end:
    os.pwrite(fd, block, at)
    at = (at + (1 << 20)) % (64 << 20)
"""


class View:
    """A host's own /proc and /sys, as far as shoald measures load by them. `cores`: what its programs have of the machine."""

    def __init__(self, host, cores):
        self._host, self._cores = host, cores
        self.folder = host.work / "proc"
        (self.folder / "pressure").mkdir(parents=True)
        (self.folder / "self").mkdir()
        for what in ("cpu", "io", "memory"):
            (self.folder / "pressure" / what).symlink_to(host.cgroup.path / f"{what}.pressure")
        (self.folder / "meminfo").symlink_to("/proc/meminfo")
        (self.folder / "net").symlink_to("/proc/self/net")
        device = host.work / "sys/class/net/eth0"
        (device / "device").mkdir(parents=True)
        (device / "speed").write_text(f"{host.link_bytes_per_s // 125_000:.0f}\n")
        self._ticks = os.sysconf("SC_CLK_TCK")
        self._begin_s = None
        self._written = {}  # pid -> bytes

    def update(self, now_s):
        if self._begin_s is None:
            self._begin_s = now_s
        seconds = now_s - self._begin_s
        whole = seconds * self._cores * self._ticks
        used = min(self._host.cgroup.cpu_s() * self._ticks, whole)
        self._write("stat", f"cpu  {int(used)} 0 0 {int(whole) - int(used)} 0 0 0 0 0 0\n")
        for pid in self._host.cgroup.pids():
            try:
                own = pathlib.Path(f"/proc/{pid}/stat").read_text()
                if " (shoald) " in own:
                    self._write("self/stat", own)
                text = pathlib.Path(f"/proc/{pid}/io").read_text()
            except OSError:
                continue
            self._written[pid] = sum(int(n) for n in re.findall(r"^(?:read|write)_bytes: (\d+)", text, re.M))
        sectors = sum(self._written.values()) // 512
        self._write("diskstats", f"   8       0 sda 0 0 0 0 0 0 {sectors} 0 0 {int(seconds * 1000)} 0\n")

    def _write(self, name, text):
        """By rename, so that nobody reads half a file."""
        temporary = self.folder / (name + ".new")
        temporary.write_text(text)
        temporary.rename(self.folder / name)


class Views:
    """Keeps the views of all hosts up to date from a thread."""

    def __init__(self, hosts, cores):
        self._views = [View(host, cores) for host in hosts]
        self._stop = threading.Event()
        self._update()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _update(self):
        now_s = os.times().elapsed
        for view in self._views:
            view.update(now_s)

    def _run(self):
        while not self._stop.wait(PAUSE_S):
            self._update()

    def stop(self):
        self._stop.set()
        self._thread.join()


def load_cpu(host, processes=4):
    """Four busy loops against the node's threads, within the host's quota."""
    for i in range(processes):
        host.start(["/usr/bin/python3", "-c", _BURN.format(seconds=LOAD_S)], f"burn{i}.log")


def load_disk(host, bytes_per_s=2 << 20):
    """Direct writes that the host's disk takes slowly: a throttle of its cgroup, so that the others' disk stays as it is."""
    host.cgroup.limit_direct_writes(host.work, bytes_per_s)
    for i in range(2):
        host.start(["/usr/bin/python3", "-c", _WRITE.format(seconds=LOAD_S, path=host.work / f"write{i}")], f"write{i}.log")
