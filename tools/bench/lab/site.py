"""One run's site: the network, its hosts and the origin, up for the length of a `with`."""

import os
import pathlib
import re
import shutil
import tempfile

from . import hosts, loads, memory, network, origin


def work_folder(keep=False):
    """A temporary directory that carries the process id, so that a later run removes it if this one is killed."""
    top = pathlib.Path(tempfile.gettempdir())
    for folder in top.glob("shoal-lab-*"):
        match = re.match(r"shoal-lab-(\d+)-", folder.name)
        if match and not os.path.exists(f"/proc/{match[1]}"):
            shutil.rmtree(folder, ignore_errors=True)
    return pathlib.Path(tempfile.mkdtemp(prefix="shoal-lab-kept-" if keep else f"shoal-lab-{os.getpid()}-"))


class Site:
    """`names`: the hosts that want the model; `helpers`: further hosts on the same switch, e.g. a proxy.

    `quota_cores`: each host's programs together get so much of a core; without it they share the machine's.
    """

    def __init__(self, model, names, helpers=(), wan_mbit=100, lan_mbit=400, slow=None, keep=False, quota_cores=None):
        self.model, self.names, self._keep = model, list(names), keep
        self._quota_cores, self._views, self._reserve = quota_cores, None, None
        self.net = network.Network([*names, *helpers], wan_mbit, lan_mbit, slow)
        self.wan_bytes_per_s = wan_mbit * 125_000
        self.all_hosts, self.origin = {}, None

    def __enter__(self):
        self.work = work_folder(self._keep)
        try:
            hosts.Cgroup.sweep()
            self.net.build()
            for name in self.net.names:
                host = self.all_hosts[name] = hosts.Host(self.net, name, self.work)
                if self._quota_cores:
                    host.cgroup.limit_cpu(self._quota_cores)
            self._views = loads.Views(self.hosts, self._quota_cores or os.cpu_count())
            self.origin = origin.Origin(self.net, self.model, self.work)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    @property
    def hosts(self):
        return [self.all_hosts[name] for name in self.names]

    def links(self, names=None):
        return [self.all_hosts[name].link_bytes_per_s for name in names or self.names]

    def begin(self):
        """From here on CPU time and WAN bytes count."""
        self._reserve = memory.Reserve(len(self.names), self.model.size)
        for host in self.all_hosts.values():
            host.begin()
        self._wan_begin = self.origin.wan_bytes()
        self._trains_begin = self._sent_trains()

    def _sent_trains(self):
        return [sum(column) for column in zip(*(host.sent_trains() for host in self.hosts))]

    def train_kib(self):
        """Average of what the hosts' kernels sent at once, acknowledgements included: the smaller, the more CPU time a byte costs."""
        sent, trains = (after - before for before, after in zip(self._trains_begin, self._sent_trains()))
        return sent / 1024 / max(trains, 1)

    def wan_ratio(self):
        return (self.origin.wan_bytes() - self._wan_begin) / self.model.size

    def cpu_s(self):
        return sum(host.cpu_s() for host in self.all_hosts.values())

    def peak_mib(self):
        return max(host.peak_mib() for host in self.all_hosts.values())

    def close(self):
        if self._reserve:
            self._reserve.close()
        if self._views:
            self._views.stop()
        if self.origin:
            self.origin.stop()
        for host in self.all_hosts.values():
            host.remove()
        self.net.remove()
        if self._keep:
            print(f"kept: {self.work}")
        else:
            shutil.rmtree(self.work, ignore_errors=True)
