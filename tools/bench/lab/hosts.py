"""One host of the site: a network namespace, a cgroup that counts what its programs use, and the processes in it."""

import os
import pathlib
import re
import signal
import threading
import time

import harness

from . import network

_OWN_COMMAND = pathlib.Path("/proc/self/cmdline").read_bytes()


def _mounts():
    """(cgroup v2 mount, v1 mounts by controller)."""
    v2, v1 = None, {}
    for line in pathlib.Path("/proc/mounts").read_text().splitlines():
        _, where, kind, options = line.split()[:4]
        if kind == "cgroup2":
            v2 = pathlib.Path(where)
        elif kind == "cgroup":
            v1.update({o: pathlib.Path(where) for o in options.split(",") if o in ("cpu", "blkio")})
    return v2, v1


class Cgroup:
    """A host's own group: CPU time, pressure (PSI) and, where asked for, a quota. Cgroup v2, with v1 controllers where v2 lacks them."""

    def __init__(self, name):
        v2, self._v1 = _mounts()
        if v2 is None:
            raise network.Impossible("no cgroup v2 hierarchy is mounted")
        self.path = v2 / name
        self._folders = [self.path]
        self._make(self.path)
        self._controllers = (v2 / "cgroup.controllers").read_text().split()
        self._v2 = v2
        self._name = name

    @staticmethod
    def _make(folder):
        try:
            folder.mkdir(exist_ok=True)
        except OSError as e:
            raise network.Impossible(f"cannot make a cgroup: {e}") from None

    @staticmethod
    def sweep():
        v2, v1 = _mounts()
        for top in {v2, *v1.values()} - {None}:
            for folder in top.glob(f"{network.PREFIX}-*"):
                match = network.CGROUP_NAME.match(folder.name)
                if match and not os.path.exists(f"/proc/{match[1]}"):
                    try:
                        folder.rmdir()
                    except OSError:
                        pass

    def _controller(self, controller):
        """The folder where this group's limits of `controller` are set, and whether it is v2."""
        if controller in self._v1:
            folder = self._v1[controller] / self._name
            self._make(folder)
            if folder not in self._folders:
                self._folders.append(folder)
            return folder, False
        v2_name = {"blkio": "io"}.get(controller, controller)
        if v2_name not in self._controllers:
            raise network.Impossible(f"cgroups have no controller {v2_name} here")
        (self._v2 / "cgroup.subtree_control").write_text(f"+{v2_name}")
        return self.path, True

    def limit_cpu(self, cores):
        """At most this share of a core for all the host's programs together. Before anything is started in it."""
        folder, is_v2 = self._controller("cpu")
        period_us = 20_000
        quota_us = int(period_us * cores)
        if is_v2:
            (folder / "cpu.max").write_text(f"{quota_us} {period_us}")
        else:
            (folder / "cpu.cfs_period_us").write_text(str(period_us))
            (folder / "cpu.cfs_quota_us").write_text(str(quota_us))

    def limit_direct_writes(self, path, bytes_per_s):
        """Direct writes to the device that holds `path`, per second."""
        folder, is_v2 = self._controller("blkio")
        device = os.stat(path).st_dev
        number = f"{os.major(device)}:{os.minor(device)}"
        if is_v2:
            (folder / "io.max").write_text(f"{number} wbps={bytes_per_s}")
        else:
            (folder / "blkio.throttle.write_bps_device").write_text(f"{number} {bytes_per_s}")

    @property
    def entering(self):
        """Shell text by which a process enters this group."""
        return " && ".join(f"echo $$ > {folder}/cgroup.procs" for folder in self._folders)

    def cpu_s(self):
        return int(re.search(r"^usage_usec (\d+)", (self.path / "cpu.stat").read_text(), re.M)[1]) / 1e6

    def pids(self):
        return [int(p) for p in (self.path / "cgroup.procs").read_text().split()]

    def remove(self):
        for folder in self._folders:
            deadline = time.monotonic() + 5
            while folder.exists():
                try:
                    folder.rmdir()
                except OSError:
                    if time.monotonic() > deadline:
                        break
                    time.sleep(0.02)


class Host:
    def __init__(self, net, name, work):
        self.name, self.address = name, net.address(name)
        self.link_bytes_per_s = net.link_mbit(name) * 125_000
        self.work = work / name
        self.work.mkdir()
        self.cgroup = Cgroup(net.namespace(name))
        self._namespace = net.namespace(name)
        self.counters = network.Counters(self._namespace)
        self.peak_kib = {}  # pid -> largest VmHWM seen
        self._cpu_begin_s = 0.0
        self._started = []

    @property
    def prefix(self):
        """Put before a command line it makes the command run on this host. The process keeps its id."""
        return ["sh", "-c", self.cgroup.entering + ' && exec "$@"', "sh", "nsenter", f"--net=/var/run/netns/{self._namespace}"]

    def start(self, arguments, log, env=None):
        """A process that ends with the lab; call from the main thread."""
        process = harness.Process([*self.prefix, *arguments], self.work / log, env or harness.clean_environment(self.work))
        self._started.append(process)
        return process

    def begin(self):
        """What was used until here is not counted."""
        self._cpu_begin_s = self.cgroup.cpu_s()

    def cpu_s(self):
        return self.cgroup.cpu_s() - self._cpu_begin_s

    def look(self):
        """Notes the memory of what runs."""
        for pid in self.cgroup.pids():
            try:
                if pathlib.Path(f"/proc/{pid}/cmdline").read_bytes() == _OWN_COMMAND:
                    continue  # between fork and exec it still has this program's memory
                text = pathlib.Path(f"/proc/{pid}/status").read_text()
            except OSError:
                continue
            match = re.search(r"^VmHWM:\s+(\d+)", text, re.M)
            if match:
                self.peak_kib[pid] = max(self.peak_kib.get(pid, 0), int(match[1]))

    def peak_mib(self):
        return max(self.peak_kib.values(), default=0) / 1024

    def sent_trains(self):
        return self.counters.sent_trains("eth0")

    def sent_bytes(self):
        return self.counters.read("eth0")[1]

    def end_all(self):
        """Ends what still runs here, by id."""
        for process in self._started:
            process.kill()
        for pid in self.cgroup.pids():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def remove(self):
        self.end_all()
        self.counters.close()
        self.cgroup.remove()


# The kernel keeps the peaks of a process while it lives; the last look is at the end.
MEMORY_TURNS = 10


class Sampler:
    """Looks at everything some times a second: memory of the hosts, bytes through the WAN and each link."""

    def __init__(self, hosts, wan, pause_s=0.1, more=None):
        self._hosts, self._wan, self._pause_s, self._more = hosts, wan, pause_s, more
        self._stop = threading.Event()
        self.rows = []  # (seconds since begin, WAN bytes towards the site, {host: bytes sent}, more())
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self.begin, self.wall_begin = time.monotonic(), time.time()
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        self._look()

    def _look(self):
        for host in self._hosts:
            host.look()

    def _run(self):
        turn = 0
        while True:
            if turn % MEMORY_TURNS == 0:
                self._look()
            more = self._more() if self._more and turn % 5 == 0 else None
            self.rows.append((time.monotonic() - self.begin, self._wan.read("site")[1],
                              {host.name: host.sent_bytes() for host in self._hosts}, more))
            turn += 1
            if self._stop.wait(self._pause_s):
                return
