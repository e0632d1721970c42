"""What a site would use without shoal: each gets the same files to the same hosts over the same links.

`pull(site, ...)` of each leaves the model in `site.work/HOST/got` and returns host -> seconds from the common start. The torrents
are made beforehand: what a cold site does not have. On a warm site the first host has the model and serves it, and no byte is to
come from the origin.
"""

import abc
import json
import pathlib
import shutil
import subprocess
import threading
import time
import urllib.parse

import harness

from . import hosts, origin, results

DEADLINE_S = 400
HERE = pathlib.Path(__file__).resolve().parent
PYTHON = "/usr/bin/python3"  # Debian's own, which python3-libtorrent belongs to


def _wait_all(names, zero, is_done, pause_s=0.02):
    """host -> seconds after the moment `zero` until is_done(host), looked at by turns."""
    took = {}
    while len(took) < len(names):
        for name in names:
            if name not in took and is_done(name):
                took[name] = time.monotonic() - zero
        if time.monotonic() - zero > DEADLINE_S:
            raise AssertionError(f"not done after {DEADLINE_S} s: {sorted(set(names) - set(took))}")
        time.sleep(pause_s)
    return took


class Alternative(abc.ABC):
    name = ""
    about = ""
    packages = ()
    helpers = ()  # further hosts on the switch
    # Those for a warm one have seed(site, host): it has this host, whose folder `got` holds the model, serve it; after
    # prepare(), and not timed either.
    sites = ("cold",)

    def missing(self):
        """A sentence that says what is not installed, or None."""
        return None

    def prepare(self, site, web_seed=True):
        """Everything that is not timed. Without `web_seed` torrents do not name the origin."""

    @abc.abstractmethod
    def pull(self, site, pulling):
        """Has each host of `pulling` fetch the model. Returns host -> seconds."""


def _nginx_missing():
    return None if origin.nginx_program() else "nginx is not installed (package nginx)"


class Curl(Alternative):
    """Eight files at a time, as the Hub's own client does it."""

    parallel = 8

    def missing(self):
        return _nginx_missing()

    def base(self, site):
        return site.origin.url

    def pull(self, site, pulling):
        running = {}
        for host in pulling:
            lines = []
            for file in site.model.files:
                url = self.base(site) + "model/" + urllib.parse.quote(file["path"])
                lines.append(f'url = "{url}"\noutput = "{host.work}/got/model/{file["path"]}"\n')
            (host.work / "curl.config").write_text("".join(lines))
        zero = time.monotonic()
        for host in pulling:
            running[host.name] = host.start(["curl", "-sSf", "--create-dirs", "--noproxy", "*", "-Z", "--parallel-immediate",
                                             "--parallel-max", str(self.parallel), "-K", host.work / "curl.config"], "curl.log")
        took = _wait_all(list(running), zero, lambda name: not running[name].running())
        for name, process in running.items():
            if process.popen.returncode != 0:
                raise AssertionError(f"{name}: curl ended with {process.popen.returncode}: {process.tail(3)}")
        return took


class Alone(Curl):
    name, packages = "alone", ("curl", "nginx")
    about = "every host downloads everything from the origin (curl, 8 files at a time)"


class Mirror(Curl):
    name, packages, sites = "mirror", ("curl", "nginx"), ("warm",)
    about = "every host downloads from nginx on the one that has the model (curl, 8 files at a time)"

    def base(self, site):
        return f"http://{site.hosts[0].address}:8080/"

    def seed(self, site, host):
        (host.work / "nginx.conf").write_text(origin.nginx_config(host.work, f"""
            access_log off; sendfile on; tcp_nopush on;
            server {{ listen 8080; location / {{ root {host.work}/got; }} }}"""))
        host.start([origin.nginx_program(), "-c", host.work / "nginx.conf"], "nginx.log")
        listening = origin.NamespaceConnection(site.net.namespace(host.name), host.address, 8080)
        harness.wait_until(lambda: listening.call("/model/LICENSE"), "the mirror answers")
        listening.close()


class Proxy(Curl):
    name, packages, helpers = "proxy", ("nginx", "curl"), ("proxy",)
    about = "nginx proxy_cache with proxy_cache_lock on a host of the LAN with a link like all others; curl, 8 files at a time"
    slices = ""

    def base(self, site):
        return f"http://{site.net.address('proxy')}:8080/"

    def prepare(self, site, web_seed=True):
        host = site.all_hosts["proxy"]
        (host.work / "cache").mkdir()
        (host.work / "nginx.conf").write_text(origin.nginx_config(host.work, f"""
            access_log off; sendfile on; tcp_nopush on;
            proxy_cache_path {host.work}/cache keys_zone=models:10m max_size=100g inactive=1d use_temp_path=off;
            server {{ listen 8080; location / {{
              proxy_pass {site.origin.url}; proxy_http_version 1.1; proxy_set_header Connection '';
              proxy_cache models; proxy_cache_valid any 1d; proxy_cache_lock on; proxy_cache_lock_timeout 1h; proxy_cache_lock_age 1h;
              {self.slices} }} }}"""))
        host.start([origin.nginx_program(), "-c", host.work / "nginx.conf"], "nginx.log")
        listening = origin.NamespaceConnection(site.net.namespace("proxy"), host.address, 8080)
        harness.wait_until(lambda: listening.call("/model/LICENSE"), "the proxy answers")
        listening.close()


class SlicingProxy(Proxy):
    name = "proxy-slices"
    about = "the same with the cache filled in slices of 1 MiB and the files fetched in the same order: the best such a proxy does"
    parallel = 1
    slices = "slice 1m; proxy_cache_key $uri$slice_range; proxy_set_header Range $slice_range;"


class Torrent(Alternative):
    piece_size = 256 << 10
    sites = ("cold", "warm")

    def missing(self):
        found = subprocess.run([PYTHON, "-c", "import libtorrent"], capture_output=True).returncode == 0
        return _nginx_missing() or (None if found else "python3-libtorrent is not installed")

    def make_torrent(self, site, web_seed):
        path = site.work / "model.torrent"
        script = ("import sys, libtorrent as lt\n"
                  "folder, url, size, out = sys.argv[1:]\n"
                  "fs = lt.file_storage(); lt.add_files(fs, folder)\n"
                  "t = lt.create_torrent(fs, int(size), lt.create_torrent.v1_only)\n"
                  "if url: t.add_url_seed(url)\n"
                  "lt.set_piece_hashes(t, folder + '/..')\n"
                  "open(out, 'wb').write(lt.bencode(t.generate()))\n")
        url = site.origin.url if web_seed else ""
        subprocess.run([PYTHON, "-c", script, site.model.folder, url, str(self.piece_size), path], check=True)
        return path

    def prepare(self, site, web_seed=True):
        self.torrent = self.make_torrent(site, web_seed)


class Libtorrent(Torrent):
    name, packages = "libtorrent", ("python3-libtorrent", "nginx")
    about = "a libtorrent script tuned for a LAN, ready-made torrent, cold with the origin as web seed"

    def stripe(self, site, index):
        return []

    def _start(self, site, host):
        peers = [f"--peer={other.address}" for other in site.hosts if other is not host]
        stripe = self.stripe(site, site.hosts.index(host))
        host.start([PYTHON, "-B", HERE / "lt_client.py", "--torrent", self.torrent, "--listen", host.address, "--folder",
                    host.work / "got", "--done", host.work / "done", *peers, *stripe], "libtorrent.log")

    def seed(self, site, host):
        self._start(site, host)
        harness.wait_until(lambda: (host.work / "done").exists(), "the seed has looked at its files", 60)

    def pull(self, site, pulling):
        zero = time.monotonic()
        for host in pulling:
            self._start(site, host)
        return _wait_all([host.name for host in pulling], zero, lambda name: (site.all_hosts[name].work / "done").exists())


class Striped(Libtorrent):
    name, sites = "striped", ("cold",)
    about = "each host fetches its 1/N by HTTP ranges and gives the pieces to a libtorrent swarm as they come, ready-made torrent"

    def stripe(self, site, index):
        return ["--stripe", site.origin.url, str(index), str(len(site.names))]


class Qbittorrent(Torrent):
    name, packages = "qbittorrent", ("qbittorrent-nox", "python3-libtorrent", "nginx")
    about = "qBittorrent as installed, ready-made torrent, cold with the origin as web seed, all peers named to each other"

    def missing(self):
        return super().missing() or (None if shutil.which("qbittorrent-nox") else "qbittorrent-nox is not installed")

    def prepare(self, site, web_seed=True):
        super().prepare(site, web_seed)
        self._api = {}
        for host in site.hosts:
            config = host.work / "qBittorrent/config/qBittorrent.conf"
            config.parent.mkdir(parents=True)
            config.write_text(
                "[LegalNotice]\nAccepted=true\n[BitTorrent]\nSession\\Port=6881\nSession\\DHTEnabled=false\n"
                "Session\\LSDEnabled=false\nSession\\BTProtocol=TCP\nSession\\QueueingSystemEnabled=false\n"
                "[Preferences]\nWebUI\\Address=127.0.0.1\nWebUI\\Port=8080\nWebUI\\LocalHostAuth=false\n")
            host.start(["qbittorrent-nox", f"--profile={host.work}"], "qbittorrent.log")
            self._api[host.name] = origin.NamespaceConnection(site.net.namespace(host.name), "127.0.0.1", 8080)
        for host in site.hosts:
            harness.wait_until(lambda: self._api[host.name].call("/api/v2/app/version"), "qBittorrent answers", 60)

    def _info(self, name):
        text = self._api[name].call("/api/v2/torrents/info")
        rows = json.loads(text) if text else []
        return rows[0] if rows else None

    def _add(self, site, host):
        edge = "lab-boundary"
        parts = [("torrents", 'filename="model.torrent"', self.torrent.read_bytes()), ("savepath", "", str(host.work / "got").encode())]
        body = b"".join(f'--{edge}\r\nContent-Disposition: form-data; name="{name}"{"; " + more if more else ""}\r\n\r\n'.encode() + data + b"\r\n"
                        for name, more, data in parts) + f"--{edge}--\r\n".encode()
        self._api[host.name].call("/api/v2/torrents/add", body, {"Content-Type": f"multipart/form-data; boundary={edge}"})
        found = harness.wait_until(lambda: self._info(host.name), f"{host.name} took the torrent", 30)
        peers = "|".join(f"{other.address}:6881" for other in site.hosts if other is not host)
        self._api[host.name].call("/api/v2/torrents/addPeers", urllib.parse.urlencode({"hashes": found["hash"], "peers": peers}),
                                  {"Content-Type": "application/x-www-form-urlencoded"})

    def _get(self, site, host):
        self._add(site, host)
        harness.wait_until(lambda: (self._info(host.name) or {}).get("progress") == 1, f"{host.name} has it", DEADLINE_S, pause=0.2)

    def seed(self, site, host):
        self._get(site, host)

    def pull(self, site, pulling):
        zero, took = time.monotonic(), {}

        def one(host):
            self._get(site, host)
            took[host.name] = time.monotonic() - zero

        threads = [threading.Thread(target=one, args=(host,)) for host in pulling]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if len(took) < len(pulling):
            raise AssertionError(f"not done: {sorted({host.name for host in pulling} - set(took))}")
        for api in self._api.values():
            api.close()
        return took


ALL = [Alone(), Proxy(), SlicingProxy(), Mirror(), Qbittorrent(), Libtorrent(), Striped()]


def pull(alternative, site, warm=False):
    """One run, with the right bytes checked at the end. `warm`: the first host has the model."""
    site.origin.start_nginx()
    alternative.prepare(site, web_seed=not warm)
    pulling = site.hosts[1:] if warm else site.hosts
    if warm:
        shutil.copytree(site.model.folder, site.hosts[0].work / "got/model")
        alternative.seed(site, site.hosts[0])
    site.begin()
    before = site.origin.nginx_sent_bytes()
    with hosts.Sampler(list(site.all_hosts.values()), site.origin.wan) as sampler:
        took = alternative.pull(site, pulling)
    wan, cpu, peak = site.wan_ratio(), site.cpu_s(), site.peak_mib()
    for host in site.all_hosts.values():
        host.end_all()
    t_min = results.t_min_warm(site.model.size, site.links([host.name for host in pulling]), site.links()) if warm else \
        results.t_min_cold(site.model.size, site.wan_bytes_per_s, site.links())
    run = results.Run(alternative.name, len(site.names), list(took.values()), t_min, wan,
                      (site.origin.nginx_sent_bytes() - before) / site.model.size, cpu, peak)
    run.samples = sampler.rows
    for host in pulling:
        site.model.verify(host.work / "got/model")
    return run
