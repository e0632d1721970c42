"""The scenarios by name: what happens, the bound it is held against, and the most that is promised."""

import dataclasses

import harness

from . import loads, origin, results, shoal
from .shoal import Script
from .site import Site


@dataclasses.dataclass
class Context:
    args: object
    model: object
    model_one_file: object = None
    undisturbed_s: dict = dataclasses.field(default_factory=dict)  # key -> last node's time in an undisturbed run of this invocation
    table: object = None
    say: object = print

    def names(self, count=None):
        return [f"n{i + 1}" for i in range(count or self.args.hosts)]

    def site(self, names, **options):
        options.setdefault("wan_mbit", self.args.wan)
        options.setdefault("lan_mbit", self.args.lan)
        return Site(options.pop("model", self.model), names, keep=self.args.keep, **options)

    def run_shoal(self, names, script=None, site_options=None, before=None, **options):
        """One run on a site of its own. `before(site)`: sets up more origins, loads and so on; returns options for pull()."""
        with self.site(names, **(site_options or {})) as site:
            site.origin.start_hub()
            more = before(site) if before else {}
            run = shoal.pull(site, script, **options, **(more or {}))
            if self.args.timeline:
                print_timeline(site, run)
            return run

    def undisturbed(self, count, site_options=None):
        """Last node's time of a cold start of `count` nodes that nothing disturbs: measured once per invocation."""
        key = (count, str(site_options))
        if key not in self.undisturbed_s:
            runs = [self.run_shoal(self.names(count), site_options=site_options) for _ in range(self.args.runs)]
            for run in runs:
                self.table.add("undisturbed", run)
            self.undisturbed_s[key] = results.summary(runs)["last_s"][0]
        return self.undisturbed_s[key]


def rates(rows, step):
    """Rates of `rows` (Sampler.rows) in steps of so many seconds: WAN/LAN/sent by the first host, which is the seed where there is one."""
    def counters(row):
        return row[0], row[1], sum(row[2].values()), next(iter(row[2].values()))

    line, before = [], counters(rows[0])
    for now in map(counters, rows[1:]):
        if now[0] - before[0] >= 0.99 * step:
            line.append("/".join(f"{(b - a) * 8e-6 / (now[0] - before[0]):.0f}" for a, b in zip(before[1:], now[1:])))
            before = now
    return line


def print_timeline(site, run):
    idle, used, gap = shoal.wan_use(run.samples, site.wan_bytes_per_s)
    print(f"    first WAN bytes after {idle:.2f} s; then {used:.1%} of the WAN until 98 % were there; longest gap {gap:.1f} s; "
          f"ends {' '.join(f'{n}:{end:.1f}' for n, (_, end) in run.spans.items())}")
    end = run.samples[-1][0]
    print("    WAN/LAN/first host Mbit/s, each second: " + " ".join(rates(run.samples, 1.0)))
    print("    WAN/LAN/first host Mbit/s, each tenth of the first: " + " ".join(rates([r for r in run.samples if r[0] <= 1.2], 0.1)))
    print("    WAN/LAN/first host Mbit/s, each tenth of the last: " + " ".join(rates([r for r in run.samples if r[0] >= end - 1.2], 0.1)))
    first, end = run.samples[0][2], run.samples[-1][2]
    print("    sent into the LAN, of S: " + " ".join(f"{n}:{(end[n] - first[n]) / site.model.size:.2f}" for n in end))


def cold(ctx, count=None, model=None):
    options = {"model": model} if model else {}
    return ctx.run_shoal(ctx.names(count), site_options=options)


def cold_one_file(ctx):
    return cold(ctx, model=ctx.model_one_file)


def warm(ctx):
    names = ctx.names()
    seed = names[0]

    def before(site):
        return {"t_min": results.t_min_warm(site.model.size, site.links(names[1:]), site.links()),
                "prepare": lambda nodes: nodes.pull_here(seed)}

    return ctx.run_shoal(names, Script(not_pulling=(seed,)), before=before)


def staggered(ctx, every_s=5.0):
    names = ctx.names()
    starts = {name: i * every_s for i, name in enumerate(names)}
    base = ctx.undisturbed(len(names))

    def inspect(nodes, run, sampler):
        # Who came early may take as long as an undisturbed start; who came late, what the LAN needs for a whole copy.
        worst = 0.0
        for name, (begun, ended) in run.spans.items():
            lan_s = run.site_size / nodes.site.all_hosts[name].link_bytes_per_s
            worst = max(worst, (ended - begun) / max(base - begun, lan_s))
        run.extra["worst_node_to_its_bound_ratio"] = worst
        run.extra["last_after_its_start_s"] = max(e - b for b, e in run.spans.values())

    def before(site):
        late = max(starts.values())
        bound = max(site.model.size / site.wan_bytes_per_s, late + site.model.size / min(site.links()))

        def look(nodes, run, sampler):
            run.site_size = site.model.size
            inspect(nodes, run, sampler)

        return {"t_min": bound, "inspect": look}

    return ctx.run_shoal(names, Script(starts=starts), before=before)


def killed(ctx, at_s=10.0):
    names = ctx.names()
    victim, base = names[3 % len(names)], ctx.undisturbed(len(names))
    run = ctx.run_shoal(names, Script(actions=[(at_s * ctx.scale, lambda nodes: nodes[victim].kill())], lost=(victim,)))
    run.extra["last_to_undisturbed_ratio"] = max(run.times) / base
    return run


def slow_lan(ctx):
    names = ctx.names()
    slow, base = names[-1], ctx.undisturbed(len(names))
    options = {"slow": {slow: ctx.args.lan / 10}}

    def before(site):
        # The slow host's own least time; the others are held against the same site without it.
        return {"t_min": results.t_min_cold(site.model.size, site.wan_bytes_per_s, site.links(names[:-1])),
                "inspect": lambda nodes, run, sampler: run.extra.update(
                    slow_host_s=run.spans[slow][1],
                    slow_host_ratio=run.spans[slow][1] / (site.model.size / site.all_hosts[slow].link_bytes_per_s))}

    run = ctx.run_shoal(names, Script(unlike=(slow,)), site_options=options, before=before)
    run.extra["last_to_undisturbed_ratio"] = max(run.times) / base
    return run


# Load

def _shares(site, run, name, at_s):
    """How much the loaded host did of what the others did on average, before `at_s` and from 3 s later on: claims, uploads."""
    others = [n for n in site.names if n != name]
    with_hub = [(at, shoal.bytes_by_client(site, more), sent) for at, _, sent, more in run.samples if more]
    whole_s = with_hub[-1][0]
    # Until the origin has given all: after that there is nothing to claim.
    total = sum(with_hub[-1][1].values())
    done_s = next(at for at, clients, _ in with_hub if sum(clients.values()) >= 0.97 * total)

    def share(lo, hi, pick):
        inside = [row for row in with_hub if lo <= row[0] <= hi]
        if len(inside) < 2:
            return None
        grown = {n: pick(inside[-1])[n] - pick(inside[0])[n] for n in site.names}
        mean = sum(grown[n] for n in others) / len(others)
        return grown[name] / mean if mean > 0 else None

    return {"claims_share_before": share(0, at_s, lambda r: r[1]), "claims_share_after": share(at_s + 3, done_s, lambda r: r[1]),
            "uploads_share_before": share(0, at_s, lambda r: r[2]), "uploads_share_after": share(at_s + 3, whole_s, lambda r: r[2])}


def _loaded(ctx, begin, site_options=None, before=None, at_s=5.0):
    """`begin(nodes, host)`: starts the load at `at_s`."""
    names = ctx.names()
    name, at_s = names[2 % len(names)], at_s * ctx.scale
    base = ctx.undisturbed(len(names), site_options)

    def set_up(site):
        if before:
            before(site)
        return {"inspect": lambda nodes, run, sampler: run.extra.update(_shares(site, run, name, at_s))}

    run = ctx.run_shoal(names, Script(actions=[(at_s, lambda nodes: begin(nodes, nodes.site.all_hosts[name]))]),
                        site_options=site_options, before=set_up, watch_hub=True)
    run.extra["last_to_undisturbed_ratio"] = max(run.times) / base
    return run


def busy(ctx):
    return _loaded(ctx, lambda nodes, host: nodes[host.name].cli("busy", "on"))


def cpu_loaded(ctx):
    return _loaded(ctx, lambda nodes, host: loads.load_cpu(host), site_options={"quota_cores": ctx.args.quota})


def disk_loaded(ctx):
    return _loaded(ctx, lambda nodes, host: loads.load_disk(host))


# Heartbeats

def heartbeats(ctx):
    """Everybody downloads, hashes and serves; how punctual is what they hear of each other?"""
    def before(site):
        def inspect(nodes, run, sampler):
            late, dead = [], []
            for node in nodes.by_name.values():
                for beats in shoal.heartbeats(node).values():
                    inside = [b for b in beats if b[1] >= sampler.wall_begin]
                    late += [abs((b[1] - a[1]) - (b[0] - a[0])) for a, b in zip(inside, inside[1:])]
                dead += [e["text"] for e in nodes.events(node.name) if e["kind"] == "peer_down"]
            late.sort()
            run.extra["heartbeats"] = float(len(late))
            run.extra["on_time_share"] = sum(x <= 0.1 for x in late) / len(late)
            run.extra["p99_late_ms"] = 1000 * late[int(0.99 * (len(late) - 1))]
            run.extra["worst_late_ms"] = 1000 * late[-1]
            run.extra["declared_dead"] = float(len(dead))
            if dead:
                run.failed.append(f"declared dead while alive: {dead[0]}")
        return {"inspect": inspect}

    return ctx.run_shoal(ctx.names(), before=before)


# Liars

def _liar_seen(run, nodes, liar, honest):
    """The liar is named and banned by somebody, and nobody else is."""
    node_id = None
    for name in honest:
        rows = nodes[name].sql("SELECT node FROM peers WHERE name = ?", liar)
        node_id = node_id or (rows[0]["node"] if rows else None)
    bans = [(name, e) for name in honest for e in nodes.events(name) if e["kind"] == "peer_banned"]
    run.extra["nodes_that_banned_it"] = float(len({name for name, e in bans if liar in e["text"] or e["peer"] == node_id}))
    if not run.extra["nodes_that_banned_it"]:
        run.failed.append("nobody banned the liar")
    wrong = [e["text"] for _, e in bans if liar not in e["text"] and e["peer"] != node_id]
    if wrong:
        run.failed.append(f"an honest node was banned: {wrong[0]}")


def liar_hashes(ctx):
    """One node's Hub claims the same hashes and sends other bytes, so it tells its neighbours wrong piece hashes."""
    names = ctx.names()
    liar, honest, base = names[-1], names[:-1], ctx.undisturbed(len(names) - 1)

    def before(site):
        wrong = site.origin.start_hub(site.model.lie(site.origin.work / "lies"), "lying-hub")
        return {"hubs": {liar: wrong.url},
                "t_min": results.t_min_cold(site.model.size, site.wan_bytes_per_s, site.links(honest)),
                "inspect": lambda nodes, run, sampler: _liar_seen(run, nodes, liar, honest)}

    run = ctx.run_shoal(names, Script(unlike=(liar,), lost=(liar,)), before=before)
    run.extra["last_to_undisturbed_ratio"] = max(run.times) / base
    return run


def liar_bytes(ctx):
    """One node holds the model and its disk was altered afterwards; the others want it."""
    names = ctx.names()
    liar, honest, base = names[-1], names[:-1], ctx.undisturbed(len(names) - 1)

    def before(site):
        def prepare(nodes):
            nodes.pull_here(liar)
            for file in site.model.files:
                if file["lfs"]:
                    origin.alter((nodes.held_folder(liar) / file["path"]).resolve())

        return {"prepare": prepare, "t_min": results.t_min_cold(site.model.size, site.wan_bytes_per_s, site.links(honest)),
                "inspect": lambda nodes, run, sampler: _liar_seen(run, nodes, liar, honest)}

    run = ctx.run_shoal(names, Script(not_pulling=(liar,)), before=before)
    run.extra["last_to_undisturbed_ratio"] = max(run.times) / base
    return run


@dataclasses.dataclass(frozen=True)
class Scenario:
    run: object
    about: str
    at_most: dict = dataclasses.field(default_factory=dict)  # figure -> the most that is promised
    at_least: dict = dataclasses.field(default_factory=dict)


_LOADED = {"last_to_undisturbed_ratio": 1.10, "claims_share_after": 0.5, "uploads_share_after": 0.5}

SCENARIOS = {
    "cold": Scenario(cold, "all nodes want a model nobody has, at the same moment", {"ratio": 1.10, "origin_ratio": 1.02}),
    "cold-one-file": Scenario(cold_one_file, "the same with one single file", {"ratio": 1.15, "origin_ratio": 1.02}),
    "warm": Scenario(warm, "one node has it, the others want it", {"ratio": 1.15, "origin_ratio": 0.01}),
    "staggered": Scenario(staggered, "a node begins every 5 s", {"worst_node_to_its_bound_ratio": 1.15, "origin_ratio": 1.05}),
    "killed": Scenario(killed, "a node is killed (-9) after 10 s", {"last_to_undisturbed_ratio": 1.15, "origin_ratio": 1.05}),
    "slow-lan": Scenario(slow_lan, "one host has a ten times slower LAN link", {"last_to_undisturbed_ratio": 1.15, "origin_ratio": 1.05}),
    "busy": Scenario(busy, "one node is marked busy after 5 s", _LOADED),
    "cpu-loaded": Scenario(cpu_loaded, "another program loads the CPU of one host after 5 s", _LOADED),
    "disk-loaded": Scenario(disk_loaded, "another program loads the disk of one host after 5 s", _LOADED),
    "heartbeats": Scenario(heartbeats, "how punctual heartbeats are meanwhile", {"declared_dead": 0}, {"on_time_share": 0.99}),
    "liar-hashes": Scenario(liar_hashes, "one node tells wrong piece hashes", {"last_to_undisturbed_ratio": 1.3}, {"nodes_that_banned_it": 1}),
    "liar-bytes": Scenario(liar_bytes, "one node's disk was altered: it serves wrong bytes", {"last_to_undisturbed_ratio": 1.3},
                           {"nodes_that_banned_it": 1}),
}


def missed(scenario, runs):
    """Sentences for each promise that the median of the runs does not keep."""
    figures = results.summary(runs)
    out = [sentence for run in runs for sentence in run.failed]
    for bounds, worse, word in ((scenario.at_most, lambda v, b: v > b, "more"), (scenario.at_least, lambda v, b: v < b, "less")):
        for key, bound in bounds.items():
            if key not in figures:
                out.append(f"{key} was not measured")
            elif worse(figures[key][0], bound):
                out.append(f"{key} is {figures[key][0]:.3f}, {word} than {bound:g}")
    return out
