"""A site of network namespaces: hosts on one switch, and one thin pipe to the origin.

    [origin: eth0 10.78.0.2]──[isp]══ WAN, 100 Mbit/s ══[switch: br0 10.77.0.254]──┬── [1: eth0 10.77.0.1]
      stand-in Hub, nginx                                  routes between the two  ├── ...
                                                                                   └── [N: eth0 10.77.0.N]

Both directions of the WAN and of each host's link are shaped by `tc tbf`, at the end that sends into it. The rate is that of
Ethernet frames, as on a real link: TCP's payload is 95 % of it. Buffers: 20 ms on a host's link (a switch has some hundred
KiB per port), 50 ms on the WAN. The bottleneck of the WAN stands in a machine of its own, `isp`, so that the origin's TCP sees a
real queue and real loss. Multicast stays on the switch: nothing of the neighbours' talk crosses the WAN.

Names carry the process id; whoever comes later removes what a killed run left behind.
"""

import ctypes
import os
import re
import shutil
import subprocess
import threading

PREFIX = "shoallab"
CGROUP_NAME = re.compile(rf"{PREFIX}-(\d+)-")
_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000


class Impossible(Exception):
    """The lab cannot run on this machine; the message says why."""


def check_possible():
    if os.geteuid() != 0:
        raise Impossible("network namespaces need root")
    for program, package in (("ip", "iproute2"), ("tc", "iproute2"), ("nsenter", "util-linux"), ("curl", "curl")):
        if not shutil.which(program):
            raise Impossible(f"the program {program} is missing (package {package})")


def _run(*command):
    out = subprocess.run(command, capture_output=True, text=True, timeout=20)
    if out.returncode != 0:
        raise Impossible(f"{' '.join(command)}: {out.stderr.strip()}")
    return out.stdout


def in_namespace(name, action):
    """Runs action() in a thread that lives in the namespace. What it opens stays usable from everywhere."""
    result, failure = [], []

    def work():
        fd = os.open(f"/var/run/netns/{name}", os.O_RDONLY)
        try:
            if _libc.setns(fd, _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), f"setns {name}")
            result.append(action())
        except OSError as e:
            failure.append(e)
        finally:
            os.close(fd)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return result[0]


class Counters:
    """Bytes through the devices of one namespace, read without starting a program."""

    def __init__(self, namespace):
        self._file = in_namespace(namespace, lambda: open("/proc/thread-self/net/dev", "rb", buffering=0))

    def read(self, device):
        """(received, sent) in bytes."""
        fields = self._fields(device)
        return fields[0], fields[8]

    def sent_trains(self, device):
        """(bytes, trains) sent. A train is what the kernel hands over at once: up to 64 KiB of packets of one connection."""
        fields = self._fields(device)
        return fields[8], fields[9]

    def _fields(self, device):
        self._file.seek(0)
        for line in self._file.read(65536).decode().splitlines():
            name, colon, rest = line.partition(":")
            if colon and name.strip() == device:
                return [int(f) for f in rest.split()]
        raise KeyError(device)

    def close(self):
        self._file.close()


def sweep():
    """Removes namespaces of runs that are dead."""
    for line in _run("ip", "netns", "list").splitlines():
        match = re.match(rf"{PREFIX}-(\d+)-", line)
        if match and not os.path.exists(f"/proc/{match[1]}"):
            subprocess.run(["ip", "netns", "del", line.split()[0]], capture_output=True, timeout=20)


class Network:
    ORIGIN = "10.78.0.2"
    GATEWAY = "10.77.0.254"

    def __init__(self, names, wan_mbit=100, lan_mbit=400, slow=None):
        """`names`: the hosts, in the order of their addresses. `slow`: name -> Mbit/s of links that differ."""
        self.names = list(names)
        self.wan_mbit, self.lan_mbit, self.slow = wan_mbit, lan_mbit, dict(slow or {})
        self._spaces = []

    def namespace(self, name):
        return f"{PREFIX}-{os.getpid()}-{name}"

    def address(self, name):
        return f"10.77.0.{self.names.index(name) + 1}"

    def link_mbit(self, name):
        return self.slow.get(name, self.lan_mbit)

    def build(self):
        sweep()
        for name in ["switch", "isp", "origin", *self.names]:
            space = self.namespace(name)
            self._spaces.append(space)
            _run("ip", "netns", "add", space)
            _run("ip", "-n", space, "link", "set", "lo", "up")
        switch, isp, origin = (self.namespace(n) for n in ("switch", "isp", "origin"))
        _run("ip", "-n", switch, "link", "add", "br0", "type", "bridge")
        self._up(switch, "br0", f"{self.GATEWAY}/24")
        self._link(switch, "wan0", isp, "site")
        self._up(switch, "wan0", "10.79.0.1/30")
        self._up(isp, "site", "10.79.0.2/30")
        self._link(isp, "net", origin, "eth0")
        self._up(isp, "net", "10.78.0.1/24")
        self._up(origin, "eth0", f"{self.ORIGIN}/24")
        # The machine's firewall may look at what bridges forward; a switch does not.
        _run("ip", "-n", switch, "link", "set", "br0", "type", "bridge", "nf_call_iptables", "0", "nf_call_ip6tables", "0",
             "nf_call_arptables", "0")
        bridge_filter = "for f in /proc/sys/net/bridge/bridge-nf-call-*; do [ ! -e $f ] || echo 0 > $f; done"
        _run("nsenter", f"--net=/var/run/netns/{switch}", "sh", "-c", bridge_filter)
        for space in (switch, isp):
            _run("nsenter", f"--net=/var/run/netns/{space}", "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
        _run("ip", "-n", switch, "route", "add", "default", "via", "10.79.0.2")
        _run("ip", "-n", isp, "route", "add", "10.77.0.0/24", "via", "10.79.0.1")
        _run("ip", "-n", origin, "route", "add", "default", "via", "10.78.0.1")
        for space, device in ((switch, "wan0"), (isp, "site")):
            self._shape(space, device, self.wan_mbit, burst_kib=32, latency_ms=50)
        for name in self.names:
            space, port = self.namespace(name), f"port-{name}"
            self._link(switch, port, space, "eth0")
            _run("ip", "-n", switch, "link", "set", port, "master", "br0", "up")
            self._up(space, "eth0", f"{self.address(name)}/24")
            _run("ip", "-n", space, "route", "add", "default", "via", self.GATEWAY)
            for end, device in ((space, "eth0"), (switch, port)):
                self._shape(end, device, self.link_mbit(name), burst_kib=128, latency_ms=20)

    @staticmethod
    def _link(space, device, other_space, other_device):
        _run("ip", "-n", space, "link", "add", device, "type", "veth", "peer", "name", other_device, "netns", other_space)

    @staticmethod
    def _up(space, device, address):
        _run("ip", "-n", space, "addr", "add", address, "dev", device)
        _run("ip", "-n", space, "link", "set", device, "up")

    @staticmethod
    def _shape(space, device, mbit, burst_kib, latency_ms):
        _run("tc", "-n", space, "qdisc", "replace", "dev", device, "root", "tbf", "rate", f"{mbit}mbit",
             "burst", f"{burst_kib}kb", "latency", f"{latency_ms}ms")

    def remove(self):
        for space in reversed(self._spaces):
            subprocess.run(["ip", "netns", "del", space], capture_output=True, timeout=20)
        self._spaces.clear()
