"""What a run measured, the bound it is held against, and the table."""

import dataclasses
import statistics


def t_min_cold(size, wan, links):
    """Least time in which everybody can have `size` bytes that only the origin has. Rates in bytes per second."""
    return max(size / wan, size / min(links), len(links) * size / (wan + sum(links)))


def t_min_warm(size, leech_links, all_links):
    """The same when at least one host has it and nothing comes over the WAN."""
    return max(size / min(leech_links), len(leech_links) * size / sum(all_links))


@dataclasses.dataclass
class Run:
    """One run of one contender. Times in seconds from the common start, or each from its node's own where `note` says so."""

    contender: str
    nodes: int
    times: list
    t_min: float
    wan_ratio: float  # bytes at the WAN link's interface, headers included, divided by the model's size
    origin_ratio: float  # body bytes that the origin counted, divided by the model's size
    cpu_s: float
    peak_mib: float
    extra: dict = dataclasses.field(default_factory=dict)  # further figures of the scenario
    failed: list = dataclasses.field(default_factory=list)  # sentences: what went wrong

    @property
    def figures(self):
        times = sorted(self.times)
        return {"first_s": times[0], "median_s": statistics.median(times), "last_s": times[-1], "ratio": times[-1] / self.t_min,
                "wan_ratio": self.wan_ratio, "origin_ratio": self.origin_ratio, "cpu_s": self.cpu_s, "peak_mib": self.peak_mib,
                **self.extra}


COLUMNS = [("first_s", "first s", 1), ("median_s", "median s", 1), ("last_s", "last s", 1), ("ratio", "last / T_min", 2),
           ("wan_ratio", "WAN link / S", 3), ("origin_ratio", "origin sent / S", 3), ("cpu_s", "CPU s", 1), ("peak_mib", "peak MiB", 0)]


def summary(runs):
    """key -> (median, least, largest) over the runs that finished."""
    good = [r.figures for r in runs if r.times]
    keys = dict.fromkeys(key for figures in good for key in figures)
    out = {}
    for key in keys:
        values = [f[key] for f in good if f.get(key) is not None]
        if values:
            out[key] = (statistics.median(values), min(values), max(values))
    return out


def _cell(figures, key, digits):
    if key not in figures:
        return ""
    middle, least, largest = figures[key]
    if f"{least:.{digits}f}" == f"{largest:.{digits}f}":
        return f"{middle:.{digits}f}"
    return f"{middle:.{digits}f} ({least:.{digits}f}–{largest:.{digits}f})"


class Table:
    """Rows by scenario, contender and number of nodes, in the order they came."""

    def __init__(self):
        self._groups = {}
        self.missing = []  # sentences about what could not run here

    def add(self, scenario, run):
        self._groups.setdefault((scenario, run.contender, run.nodes), []).append(run)

    def groups(self):
        return self._groups.items()

    def markdown(self):
        lines = ["| scenario | who | nodes | " + " | ".join(title for _, title, _ in COLUMNS) + " | T_min s | also |",
                 "|" + "---|" * (len(COLUMNS) + 5)]
        for (scenario, contender, nodes), runs in self._groups.items():
            figures = summary(runs)
            extra = ", ".join(f"{key.replace('_', ' ')} {_cell(figures, key, 3 if 'share' in key or 'ratio' in key else 2)}"
                              for key in figures if key not in {c[0] for c in COLUMNS})
            failed = [sentence for run in runs for sentence in run.failed]
            if failed:
                extra += ("; " if extra else "") + "FAILED: " + "; ".join(dict.fromkeys(failed))
            cells = [_cell(figures, key, digits) for key, _, digits in COLUMNS]
            lines.append(f"| {scenario} | {contender} | {nodes} | {' | '.join(cells)} | {runs[0].t_min:.1f} | {extra} |")
        return "\n".join(lines)

    def as_json(self):
        return [{"scenario": scenario, "contender": contender, "nodes": nodes, "t_min_s": runs[0].t_min,
                 "runs": [r.figures if r.times else {} for r in runs], "failed": [s for r in runs for s in r.failed],
                 "summary": {k: {"median": v[0], "min": v[1], "max": v[2]} for k, v in summary(runs).items()}}
                for (scenario, contender, nodes), runs in self._groups.items()]
