"""shoal as one of the contenders: nodes on hosts, pulls that begin at given moments, and what can happen meanwhile."""

import dataclasses
import datetime
import functools
import os
import re
import subprocess
import time

import harness

from . import hosts, origin, results

DEADLINE_S = 240


@dataclasses.dataclass
class Script:
    """What happens in a run. Moments are seconds after the first pull began."""

    starts: dict = dataclasses.field(default_factory=dict)  # host -> moment of its pull; 0 where not named
    actions: list = dataclasses.field(default_factory=list)  # (moment, function of the Nodes)
    not_pulling: tuple = ()  # hosts whose node runs and pulls nothing
    lost: tuple = ()  # hosts whose pull is not expected to end
    unlike: tuple = ()  # hosts that are timed by themselves (a slow link, a liar), not with the others


class Nodes:
    """A shoald on every host of the site, all of them aware of each other."""

    def __init__(self, site, hubs=None, arguments=()):
        """`hubs`: host -> URL where it is not the site's own."""
        self.site = site
        self.by_name = {}
        for host in site.hosts:
            view = ["--proc-dir", host.work / "proc", "--sys-dir", host.work / "sys"] if knows_views() else []
            hub = (hubs or {}).get(host.name, site.origin.hub.url)
            self.by_name[host.name] = harness.Node(site.work, host.name, hub, cluster=site.work.name, address=host.address,
                                                   prefix=host.prefix, arguments=[*arguments, *view])
        for node in self.by_name.values():
            node.start(wait=False)
        for node in self.by_name.values():
            node.wait_ready()
        for node in self.by_name.values():
            harness.wait_until(lambda: len(node.sql("SELECT * FROM peers WHERE alive")) == len(self.by_name) - 1,
                               f"{node.name} sees all others", 20)

    def __getitem__(self, name):
        return self.by_name[name]

    def held_folder(self, name):
        return self[name].repo_dir(origin.REPO) / "snapshots" / self.site.origin.description["commit"]

    def pull_here(self, name):
        self[name].pull(origin.REPO, timeout=DEADLINE_S)

    def run(self, script):
        """Pulls by the script. Returns host -> (began, ended)."""
        pulls, begun, took = {}, {}, {}
        waiting = [(script.starts.get(n, 0.0), n) for n in self.by_name if n not in script.not_pulling]
        waiting.sort(key=lambda item: item[0])
        actions = sorted(script.actions, key=lambda item: item[0])
        zero = time.monotonic()
        while waiting or actions or any(name not in took and name not in script.lost for name in pulls):
            now = time.monotonic() - zero
            if now > DEADLINE_S:
                raise AssertionError(f"not done after {DEADLINE_S} s: {sorted(set(pulls) - set(took))}")
            while waiting and waiting[0][0] <= now:
                _, name = waiting.pop(0)
                pulls[name] = self[name].pull_in_background(origin.REPO)
                begun[name] = time.monotonic() - zero
            while actions and actions[0][0] <= now:
                actions.pop(0)[1](self)
                if all(name in took or name in script.lost for name in pulls):
                    actions.clear()
            for name, pull in pulls.items():
                if name not in took and name not in script.lost and not pull.running():
                    took[name] = time.monotonic() - zero
                    if pull.popen.returncode != 0:
                        raise AssertionError(f"{name}: pull ended with {pull.popen.returncode}: {pull.tail(3)}")
            time.sleep(0.01)
        for name in script.lost:
            if name in pulls:
                pulls[name].kill()
        return {name: (begun[name], took[name]) for name in took}

    def api(self, name, path):
        return self[name].api(path)

    def events(self, name):
        return self[name].sql("SELECT * FROM events ORDER BY at")

    def stop(self):
        for node in self.by_name.values():
            if node.process and node.process.running():
                node.process.stop()


def bytes_by_client(site, sample):
    """host -> weight bytes that the Hub sent it."""
    clients = sample["clients"]
    return {h.name: clients.get(h.address, {}).get("weight_bytes", 0) for h in site.hosts}


def pull(site, script=None, hubs=None, prepare=None, t_min=None, watch_hub=False, arguments=(), inspect=None):
    """One run. `prepare(nodes)`: before the clock starts. `inspect(nodes, run, sampler)`: looks at the nodes at the end."""
    script = script or Script()
    nodes = Nodes(site, hubs, arguments)
    try:
        if prepare:
            prepare(nodes)
        site.origin.hub.reset()
        site.begin()
        more = site.origin.counters if watch_hub else None
        with hosts.Sampler(site.hosts, site.origin.wan, more=more) as sampler:
            spans = nodes.run(script)
        wan, cpu, train_kib = site.wan_ratio(), site.cpu_s(), site.train_kib()
        counted = {n: s for n, s in spans.items() if n not in script.unlike}
        sent = site.origin.counters()
        run = results.Run("shoal", len(site.names), [end for _, end in counted.values()], t_min or
                          results.t_min_cold(site.model.size, site.wan_bytes_per_s, site.links()), wan,
                          (sent["weight_bytes"] + sent["metadata_bytes"]) / site.model.size, cpu, site.peak_mib())
        run.spans, run.samples = spans, sampler.rows
        run.extra["train_kib"] = train_kib
        for name in spans:
            harness.check_snapshot(nodes[name].cache_dir, site.origin.description)
        for name, node in nodes.by_name.items():
            if name not in script.not_pulling and (wrong := harness.wrong_blobs(node.cache_dir)):
                run.failed.append(f"{name} published wrong bytes: {wrong}")
        if inspect:
            inspect(nodes, run, sampler)
        return run
    finally:
        nodes.stop()


def wan_use(rows, wan_bytes_per_s, until_share=0.98):
    """(seconds until the first byte moved, share of the WAN used from then until `until_share` of all bytes came, longest gap in s)."""
    total = rows[-1][1] - rows[0][1]
    first = next((i for i, r in enumerate(rows) if r[1] - rows[0][1] > 0.002 * total), 0)
    last = next(i for i, r in enumerate(rows) if r[1] - rows[0][1] >= until_share * total)
    gap = longest = 0.0
    for before, after in zip(rows[first:last], rows[first + 1:last + 1]):
        idle = (after[1] - before[1]) / (after[0] - before[0]) < 0.5 * wan_bytes_per_s
        gap = gap + after[0] - before[0] if idle else 0.0
        longest = max(longest, gap)
    seconds = max(rows[last][0] - rows[first][0], 1e-9)
    return rows[first][0], (rows[last][1] - rows[first][1]) / seconds / wan_bytes_per_s, longest


@functools.cache
def knows_views():
    """Whether this shoald can be told where to measure load."""
    return "--proc-dir" in subprocess.run([os.environ["SHOALD"], "--help"], capture_output=True, text=True).stdout


HEARTBEAT = re.compile(r"heartbeat (\d+) of (\S+)")


def heartbeats(node):
    """neighbour -> [(sequence, wall-clock second at which it arrived)], from the node's log."""
    by_peer = {}
    for line in node.log.read_text(errors="replace").splitlines():
        match = HEARTBEAT.search(line)
        if match:
            at = datetime.datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S.%f").timestamp()
            by_peer.setdefault(match[2], []).append((int(match[1]), at))
    return by_peer


def executables():
    for name in ("SHOALD", "SHOAL"):
        if not os.access(os.environ.get(name, ""), os.X_OK):
            return f"{name} has to name the program under test, e.g. {name}=build/release/{'node/shoald' if name == 'SHOALD' else 'node/cli/shoal'}"
    return None


