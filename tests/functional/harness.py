"""Starts real shoald processes and a stand-in Hub, drives them, and looks at what they leave on the disk.

A test file reads like test_example.py. What a test starts ends with the test: processes are asked to stop, then
killed, by their ids; they also die with the test process itself.

Environment:
  SHOALD, SHOAL        the programs under test (set by ctest)
  SHOAL_FULL=1         the sizes that the project promises (a gibibyte) instead of the quick ones
  SHOAL_KEEP=1         keep the work directory (logs, states, caches) also after a test that passed
"""

import contextlib
import ctypes
import hashlib
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
FULL = os.environ.get("SHOAL_FULL", "") not in ("", "0")
MIB = 1 << 20
SKIP_STATUS = 77  # ctest shows a test that exits with this as skipped

sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tools"))

_libc = ctypes.CDLL(None)
_tick = threading.Event()  # never set; its wait() is the pause between two looks at a condition


def size(quick, full):
    return full if FULL else quick


def wait_until(condition, what, timeout=30.0, pause=0.05):
    """Returns the first true value of condition(); fails with `what` when the deadline passes."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s: {what}")
        _tick.wait(pause)


def free_ports(count, address="127.0.0.1"):
    """Ports that were free a moment ago, all different, and none that the kernel gives to outgoing connections."""
    ports = []
    for _ in range(1000):  # of 22,000 ports; a host that has none left is to say so
        port = random.randrange(10_240, 32_768)
        with contextlib.suppress(OSError), socket.create_server((address, port)):
            if port not in ports:
                ports.append(port)
        if len(ports) == count:
            return ports
    raise AssertionError(f"found {len(ports)} of {count} free ports on {address}")


def sanitized():
    """Whether the programs are of a preset with a sanitizer, which makes them several times slower and keeps freed memory."""
    return bool({"asan", "tsan"} & set(pathlib.Path(os.environ["SHOALD"]).parts))


def repeated_at_most(total):
    """Bytes that may leave the origin twice: none. Requests of a sanitized program are slow enough that some ends are fetched twice."""
    return total // 20 if sanitized() else 0


def _die_with_parent():
    _libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def clean_environment(home):
    """No token, proxy or cache of the person who runs the tests reaches the programs."""
    keep = {k: v for k, v in os.environ.items()
            if not re.match(r"(?i)(HF_|HUGGING|XDG_|SHOAL|.*_PROXY$|NO_PROXY|TRANSFORMERS)", k)}
    return keep | {"HOME": str(home), "LC_ALL": "C.UTF-8"}


class Process:
    """A child whose output goes to a log file."""

    def __init__(self, arguments, log, env=None, stdout=None):
        self.log = pathlib.Path(log)
        self.arguments = [str(a) for a in arguments]
        with open(self.log, "ab") as out:
            self.popen = subprocess.Popen(self.arguments, stdin=subprocess.DEVNULL, stdout=stdout or out, stderr=out,
                                          env=env, preexec_fn=_die_with_parent)

    @property
    def pid(self):
        return self.popen.pid

    def running(self):
        return self.popen.poll() is None

    def stop(self, timeout=20):
        """SIGTERM; returns the exit status. Kills and fails if it does not end in time."""
        if self.running():
            self.popen.send_signal(signal.SIGTERM)
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.arguments[0]} did not stop within {timeout} s of SIGTERM") from None

    def kill(self):
        if self.running():
            self.popen.kill()
        self.popen.wait(10)

    def tail(self, lines=40):
        text = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(text[-lines:])


class FakeHub:
    """tools/fake-hub as a process. `prefix`: a command in front of each of its programs, in place of entering `netns`."""

    def __init__(self, work, *arguments, netns=None, address="127.0.0.1", prefix=None):
        prefix = prefix or (["ip", "netns", "exec", netns] if netns else [])
        self._prefix = prefix
        self.process = Process([*prefix, ROOT / "tools/fake-hub", "--bind", address, "--quota-api", "100000",
                                "--quota-resolvers", "100000", *arguments], work / "fake-hub.log", stdout=subprocess.PIPE)
        line = self.process.popen.stdout.readline()
        if not line:
            raise AssertionError(f"fake-hub did not start:\n{self.process.tail()}")
        ready = json.loads(line)
        self.url, self.cdn = ready["hub"], ready["cdn"]

    def admin(self, what, value=None):
        method = [] if value is None else ["-X", "POST", "--data-binary", "@-"]
        if not self._prefix:
            data = None if value is None else json.dumps(value).encode()
            request = urllib.request.Request(f"{self.url}/_admin/{what}", data, method="GET" if value is None else "POST")
            try:
                with _opener.open(request, timeout=60) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as e:
                raise AssertionError(f"fake-hub: {e.read().decode()}") from None
        out = subprocess.run([*self._prefix, "curl", "-sS", "--noproxy", "*", *method, f"{self.url}/_admin/{what}"],
                             input=json.dumps(value) if method else None, capture_output=True, text=True, check=True, timeout=60)
        return json.loads(out.stdout)

    def add_repo(self, name, **spec):
        """Adds a generated model; returns its description: commit and files with size, lfs and etag."""
        return self.admin("repos", {"id": name, **spec})

    def counters(self):
        return self.admin("counters")

    def reset(self):
        self.admin("reset", {})

    def faults(self, *faults):
        self.admin("faults", list(faults))

    def clear_faults(self):
        self.admin("clear", {})

    def rate(self, bytes_per_s):
        self.admin("rate", {"bytes_per_s": int(bytes_per_s)})

    def stop(self):
        self.process.popen.stdout.close()
        return self.process.stop()


# Talks to the stand-in Hub whatever its certificate; no proxy.
_trusting = ssl._create_unverified_context()
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=_trusting))


class Node:
    """One shoald with its own state, cache and ports. Not started until start().

    `prefix`: a command in front of each of its programs, in place of entering `netns`; it brings a network stack of its own, too.
    """

    def __init__(self, work, name, hub=None, peers=(), cluster=f"test-{os.getpid()}", netns=None, address="127.0.0.1", arguments=(), env=None,
                 prefix=None, log_level="debug"):
        self.name = name
        self.work = work / name
        self.work.mkdir(exist_ok=True)
        self.state_dir = self.work / "state"
        self.cache_dir = self.work / "cache"
        self.log = self.work / "shoald.log"
        config = self.work / "shoald.toml"  # empty: root would otherwise get the machine's own in /etc
        config.touch()
        # A machine of which nothing is known counts as idle, so that the load of the one that runs the tests steers nothing.
        # test_load.py gives its nodes machines with a load.
        idle = self.work / "idle"
        idle.mkdir(exist_ok=True)
        self.netns = netns
        self.address = address
        self.api_port, self.swarm_port = (8420, 8421) if netns or prefix else free_ports(2)
        self.api_url = f"http://127.0.0.1:{self.api_port}"
        self.swarm = f"{address}:{self.swarm_port}"
        self._env = clean_environment(self.work) | (env or {})
        self._cli_env = clean_environment(self.work)
        self._prefix = prefix or (["ip", "netns", "exec", netns] if netns else [])
        self._arguments = ["--config", config, "--state-dir", self.state_dir, "--cache-dir", self.cache_dir,
                           "--api", f"127.0.0.1:{self.api_port}", "--swarm", self.swarm, "--cluster", cluster, "--node-name", name, "--log-level", log_level,
                           "--proc-dir", idle, "--sys-dir", idle]
        self._arguments += ["--hub", hub] if hub else []
        for peer in peers:
            self._arguments += ["--peer", peer.swarm if isinstance(peer, Node) else peer]
        self._arguments += list(arguments)
        self.process = None

    # Life

    def start(self, wait=True):
        self.process = Process([*self._prefix, os.environ["SHOALD"], *self._arguments], self.log, self._env)
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, timeout=20):
        def ready():
            if not self.process.running():
                raise AssertionError(f"{self.name} ended with {self.process.popen.returncode}:\n{self.process.tail()}")
            return self.http("/healthz") is not None
        wait_until(ready, f"{self.name} answers /healthz", timeout)

    def stop(self):
        """SIGTERM; the exit status has to be 0."""
        status = self.process.stop()
        if status != 0:
            raise AssertionError(f"{self.name} ended with {status} after SIGTERM:\n{self.process.tail()}")

    def kill(self):
        """SIGKILL: nothing is flushed, nothing is said."""
        self.process.kill()

    # Talking to it

    def http(self, path):
        """Body of a GET on the API port, None while it cannot be had."""
        out = subprocess.run([*self._prefix, "curl", "-sSf", "--noproxy", "*", "-m", "5", self.api_url + path],
                             capture_output=True, text=True, timeout=20)
        return out.stdout if out.returncode == 0 else None

    def api(self, path):
        body = self.http("/shoal/v1/" + path)
        if body is None:
            raise AssertionError(f"GET /shoal/v1/{path} failed")
        return json.loads(body)

    def cli_command(self, *arguments):
        return [*self._prefix, os.environ["SHOAL"], "--api", self.api_url, *map(str, arguments)]

    def cli(self, *arguments, status=0, timeout=120):
        """Runs shoal; its exit status has to be `status` (None: any). Returns the CompletedProcess."""
        command = self.cli_command(*arguments)
        try:
            out = subprocess.run(command, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL, env=self._cli_env)
        except subprocess.TimeoutExpired as e:
            raise AssertionError(f"shoal {' '.join(map(str, arguments))}: not done after {timeout} s\n{_text(e.stdout)}\n{_text(e.stderr)}\n"
                                 f"{self.process.tail() if self.process else ''}") from None
        if status is not None and out.returncode != status:
            raise AssertionError(f"shoal {' '.join(map(str, arguments))}: exit status {out.returncode}, expected {status}\n"
                                 f"{out.stdout[-2000:]}\n{out.stderr[-2000:]}\n--- {self.name}\n{self.process.tail(25) if self.process else ''}")
        return out

    def pull(self, repo, *arguments, **options):
        return self.cli("pull", repo, *arguments, **options)

    def pull_in_background(self, repo, *arguments):
        return Process(self.cli_command("pull", repo, *arguments), self.work / "pull.log", self._cli_env)

    # What it left

    @property
    def database(self):
        return self.state_dir / "shoal.db"

    def sql(self, query, *values):
        """Rows as dictionaries, read from outside while the node may be running."""
        with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=5)) as db:
            db.row_factory = sqlite3.Row
            return [dict(row) for row in db.execute(query, values)]

    def sqlite3(self, query):
        """The same by the sqlite3 program, as an operator does it."""
        out = subprocess.run(["sqlite3", self.database, query], capture_output=True, text=True, timeout=30)
        if out.returncode != 0:
            raise AssertionError(f"sqlite3: {out.stderr}")
        return out.stdout

    def status_rows(self, repo):
        return {row["path"]: row for row in self.sql("SELECT * FROM status WHERE repo = ?", repo)}

    def held_rows(self, repo):
        """The same once all of them are held: the database follows the node by up to a second."""
        def held():
            rows = self.status_rows(repo)
            return rows if rows and all(row["state"] == "held" for row in rows.values()) else None
        return wait_until(held, f"{self.name} shows every file of {repo} as held", 5)

    def proc(self, what, key):
        """A number of /proc/<pid>/<what>, e.g. proc("status", "VmHWM") in kB."""
        text = pathlib.Path(f"/proc/{self.process.pid}/{what}").read_text()
        return int(re.search(rf"^{key}:\s+(\d+)", text, re.M)[1])

    def peak_rss_mib(self):
        return self.proc("status", "VmHWM") / 1024

    def cpu_s(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def repo_dir(self, repo, kind="model"):
        return self.cache_dir / f"{kind}s--{repo.replace('/', '--')}"


def _text(value):
    return value.decode(errors="replace") if isinstance(value, bytes) else value or ""


# The cache on disk

def digest(path, lfs):
    path = pathlib.Path(path)
    h = hashlib.sha256() if lfs else hashlib.sha1(b"blob %d\0" % path.stat().st_size)
    with open(path, "rb") as f:
        while block := f.read(MIB):
            h.update(block)
    return h.hexdigest()


def is_blob_name(name):
    """The name of a complete blob: git-sha1 or sha256."""
    return re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", name) is not None


def wrong_blobs(cache_dir):
    """Complete blobs whose bytes are not what their name says. Has to be empty at every moment."""
    wrong = []
    for path in pathlib.Path(cache_dir).glob("*/blobs/*"):
        if is_blob_name(path.name) and digest(path, len(path.name) == 64) != path.name:
            wrong.append(str(path))
    return wrong


def check_snapshot(cache_dir, description, revision="main", only=None):
    """Raises AssertionError unless the cache holds the repo as the Hub's own clients would have left it.

    `description`: from FakeHub.add_repo(). `only`: a function of the path, for pulls with filters.
    """
    repo = pathlib.Path(cache_dir) / f"{description['type']}s--{description['id'].replace('/', '--')}"
    snapshot = repo / "snapshots" / description["commit"]
    files = [f for f in description["files"] if only is None or only(f["path"])]
    for file in files:
        link = snapshot / file["path"]
        assert link.is_symlink(), f"{link} is not a symbolic link"
        expected = "../" * (2 + file["path"].count("/")) + f"blobs/{file['etag']}"
        assert os.readlink(link) == expected, f"{link} -> {os.readlink(link)}, not {expected}"
        assert link.stat().st_size == file["size"], f"{link}: {link.stat().st_size} bytes, not {file['size']}"
        assert digest(link, file["lfs"]) == file["etag"], f"{link}: bytes do not match {file['etag']}"
    there = {str(p.relative_to(snapshot)) for p in snapshot.rglob("*") if p.is_symlink() or p.is_file()}
    assert there == {f["path"] for f in files}, f"snapshot holds {there}"
    assert (repo / "refs" / revision).read_bytes() == description["commit"].encode(), "refs/ has to hold the 40 bytes of the commit"
    blobs = {p.name for p in (repo / "blobs").iterdir()}
    assert blobs == {f["etag"] for f in files}, f"blobs/ holds {sorted(blobs)}"
    strange = [p.name for p in pathlib.Path(cache_dir).iterdir() if p.name not in (".locks", "CACHEDIR.TAG")
               and not re.match(r"(models|datasets|spaces)--", p.name)]
    assert not strange, f"the cache's root holds {strange}"


def write_hub_cache(cache_dir, hub, description, revision="main"):
    """Fills a cache as another Hub client would: blobs, relative links, refs. Returns path -> blob path."""
    repo = pathlib.Path(cache_dir) / f"{description['type']}s--{description['id'].replace('/', '--')}"
    snapshot, blobs = repo / "snapshots" / description["commit"], {}
    (repo / "blobs").mkdir(parents=True)
    for file in description["files"]:
        blob, link = repo / "blobs" / file["etag"], snapshot / file["path"]
        if not blob.exists():
            url = f"{hub.url}/{description['id']}/resolve/{description['commit']}/{urllib.request.quote(file['path'])}"
            with _opener.open(url, timeout=60) as answer, open(blob, "wb") as out:
                shutil.copyfileobj(answer, out, MIB)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to("../" * (2 + file["path"].count("/")) + f"blobs/{file['etag']}")
        blobs[file["path"]] = blob
    (repo / "refs").mkdir(exist_ok=True)
    (repo / "refs" / revision).write_bytes(description["commit"].encode())
    return blobs


# Network namespaces

class Bridge:
    """Nodes on one Ethernet, each with its own network stack:

        [switch: br0 10.77.0.254, the Hub]──┬── [1: eth0 10.77.0.1]
                                            ├── [2: eth0 10.77.0.2]
                                            └── [3: eth0 10.77.0.3]

    The switch is a namespace too, so that nothing of the machine's own network is touched. Names carry the process
    id: whoever comes later removes what a killed test left behind.
    """

    HUB = "10.77.0.254"

    def __init__(self, count):
        reason = self.impossible()
        if reason:
            raise unittest.SkipTest(reason)
        self._remove_stale()
        self.switch = f"shoal-{os.getpid()}-switch"
        self.nodes = [f"shoal-{os.getpid()}-{i + 1}" for i in range(count)]
        try:
            self._build()
        except subprocess.CalledProcessError as e:
            self.remove()
            raise unittest.SkipTest(f"cannot make network namespaces here: {e.stderr.strip()}") from None

    @staticmethod
    def impossible():
        if os.geteuid() != 0:
            return "network namespaces need root"
        if not shutil.which("ip"):
            return "network namespaces need the program ip (package iproute2)"
        return None

    @staticmethod
    def address(i):
        return f"10.77.0.{i + 1}"

    @staticmethod
    def _ip(*arguments):
        return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True, timeout=20).stdout

    def _build(self):
        for name in [self.switch, *self.nodes]:
            self._ip("netns", "add", name)
            self._ip("-n", name, "link", "set", "lo", "up")
        self._ip("-n", self.switch, "link", "add", "br0", "type", "bridge")
        self._ip("-n", self.switch, "addr", "add", f"{self.HUB}/24", "dev", "br0")
        self._ip("-n", self.switch, "link", "set", "br0", "up")
        for i, name in enumerate(self.nodes):
            self._ip("-n", self.switch, "link", "add", f"port{i}", "type", "veth", "peer", "name", "eth0", "netns", name)
            self._ip("-n", self.switch, "link", "set", f"port{i}", "master", "br0", "up")
            self._ip("-n", name, "addr", "add", f"{self.address(i)}/24", "dev", "eth0")
            self._ip("-n", name, "link", "set", "eth0", "up")
            self._ip("-n", name, "route", "add", "default", "via", self.HUB)

    def remove(self):
        for name in [*self.nodes, self.switch]:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, timeout=20)

    def _remove_stale(self):
        for line in self._ip("netns", "list").splitlines():
            match = re.match(r"shoal-(\d+)-", line)
            if match and not os.path.exists(f"/proc/{match[1]}"):
                subprocess.run(["ip", "netns", "del", line.split()[0]], capture_output=True, timeout=20)


# The frame of a test

class FunctionalTest(unittest.TestCase):
    """A work directory, and the end of everything that was started."""

    needs_shoald = True

    def assert_memory(self, peak_mib):
        """A node stays under 150 MiB. A sanitizer keeps shadow memory and freed blocks, so there the figure is only said."""
        if {"asan", "tsan"} & set(pathlib.Path(os.environ["SHOALD"]).parts):
            self.say(f"peak resident {peak_mib:.0f} MiB under a sanitizer, not judged")
        else:
            self.assertLess(peak_mib, 150)

    def setUp(self):
        if self.needs_shoald:
            for name in ("SHOALD", "SHOAL"):
                if not os.access(os.environ.get(name, ""), os.X_OK):
                    self.fail(f"{name} has to name the program under test (ctest sets it)")
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="shoal-test-"))
        self.cluster = self.work.name  # tests that run at the same time must not find each other
        self._nodes = []
        self.addCleanup(self._end)

    def _end(self):
        outcome = self._outcome.result
        failed = any(test is self for test, _ in outcome.errors + outcome.failures)
        if failed:
            for node in self._nodes:
                if node.process:
                    print(f"--- last lines of {node.name} ({node.log})\n{node.process.tail(30)}", file=sys.stderr)
        if failed or os.environ.get("SHOAL_KEEP"):
            print(f"--- kept: {self.work}", file=sys.stderr)
        else:
            shutil.rmtree(self.work, ignore_errors=True)

    def hub(self, *arguments, **options):
        hub = FakeHub(self.work, *arguments, **options)
        self.addCleanup(hub.stop)
        return hub

    def node(self, name, hub=None, **options):
        """A node that is not started. `hub`: a FakeHub or a URL."""
        options.setdefault("cluster", self.cluster)
        node = Node(self.work, name, hub.url if isinstance(hub, FakeHub) else hub, **options)
        self._nodes.append(node)

        def end():
            if node.process:
                try:
                    node.process.stop()
                except AssertionError as e:
                    print(e, file=sys.stderr)
        self.addCleanup(end)
        return node

    def bridge(self, count):
        bridge = Bridge(count)
        self.addCleanup(bridge.remove)
        return bridge

    def say(self, text):
        """A measured figure, for whoever reads the log of the run."""
        print(f"    {text}", file=sys.stderr)

    def assert_clean_hub(self, hub):
        counters = hub.counters()
        self.assertEqual(0, counters["authorization_at_cdn"], "a token reached the CDN")
        self.assertEqual(0, counters["xet_calls"], "the Xet endpoints were called")


def main():
    """Runs the file's tests. Exits with 77 when all of them were skipped, so that ctest says so."""
    program = unittest.main(module="__main__", exit=False, verbosity=2)
    for test, reason in program.result.skipped:
        print(f"SKIPPED {test}: {reason}", file=sys.stderr)
    if not program.result.wasSuccessful():
        sys.exit(1)
    # A module that is skipped as a whole counts as one skipped test, and none that ran.
    if program.result.skipped and len(program.result.skipped) >= program.result.testsRun:
        sys.exit(SKIP_STATUS)
