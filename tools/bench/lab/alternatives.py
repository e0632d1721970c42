"""What a site would use without shoal: each gets the same files to the same hosts over the same links.

`pull(site)` of each leaves the model in `site.work/HOST/got` and returns host -> seconds from the common start. The torrents
are made beforehand: what a cold site does not have.
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

    def missing(self):
        """A sentence that says what is not installed, or None."""
        return None

    def prepare(self, site):
        """Everything that is not timed."""

    @abc.abstractmethod
    def pull(self, site):
        """Has each host of the site fetch the model. Returns host -> seconds."""

    def stop(self):
        """Ends what still runs."""


def _nginx_missing():
    return None if origin.nginx_program() else "nginx is not installed (package nginx)"


class Curl(Alternative):
    """Eight files at a time, as the Hub's own client does it."""

    parallel = 8

    def missing(self):
        return _nginx_missing()

    def base(self, site):
        return site.origin.url

    def pull(self, site):
        running = {}
        for host in site.hosts:
            lines = []
            for file in site.model.files:
                url = self.base(site) + "model/" + urllib.parse.quote(file["path"])
                lines.append(f'url = "{url}"\noutput = "{host.work}/got/model/{file["path"]}"\n')
            (host.work / "curl.config").write_text("".join(lines))
        zero = time.monotonic()
        for host in site.hosts:
            running[host.name] = host.start(["curl", "-sSf", "--create-dirs", "--noproxy", "*", "-Z", "--parallel-immediate",
                                             "--parallel-max", str(self.parallel), "-K", host.work / "curl.config"], "curl.log")
        took = _wait_all(site.names, zero, lambda name: not running[name].running())
        for name, process in running.items():
            if process.popen.returncode != 0:
                raise AssertionError(f"{name}: curl ended with {process.popen.returncode}: {process.tail(3)}")
        return took


class Alone(Curl):
    name, packages = "alone", ("curl", "nginx")
    about = "every host downloads everything from the origin (curl, 8 files at a time)"


class Proxy(Curl):
    name, packages, helpers = "proxy", ("nginx", "curl"), ("proxy",)
    about = "nginx proxy_cache with proxy_cache_lock on a host of the LAN with a link like all others; curl, 8 files at a time"
    slices = ""

    def base(self, site):
        return f"http://{site.net.address('proxy')}:8080/"

    def prepare(self, site):
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

    def missing(self):
        found = subprocess.run([PYTHON, "-c", "import libtorrent"], capture_output=True).returncode == 0
        return _nginx_missing() or (None if found else "python3-libtorrent is not installed")

    def make_torrent(self, site):
        path = site.work / "model.torrent"
        script = ("import sys, libtorrent as lt\n"
                  "folder, url, size, out = sys.argv[1:]\n"
                  "fs = lt.file_storage(); lt.add_files(fs, folder)\n"
                  "t = lt.create_torrent(fs, int(size), lt.create_torrent.v1_only)\n"
                  "t.add_url_seed(url); lt.set_piece_hashes(t, folder + '/..')\n"
                  "open(out, 'wb').write(lt.bencode(t.generate()))\n")
        subprocess.run([PYTHON, "-c", script, site.model.folder, site.origin.url, str(self.piece_size), path], check=True)
        return path

    def prepare(self, site):
        self.torrent = self.make_torrent(site)


class Libtorrent(Torrent):
    name, packages = "libtorrent", ("python3-libtorrent", "nginx")
    about = "a libtorrent script tuned for a LAN, ready-made torrent with the origin as web seed"

    def stripe(self, site, index):
        return []

    def pull(self, site):
        zero = time.monotonic()
        for index, host in enumerate(site.hosts):
            peers = [f"--peer={other.address}" for other in site.hosts if other is not host]
            host.start([PYTHON, "-B", HERE / "lt_client.py", "--torrent", self.torrent, "--listen", host.address, "--folder",
                        host.work / "got", "--done", host.work / "done", *peers, *self.stripe(site, index)], "libtorrent.log")
        return _wait_all(site.names, zero, lambda name: (site.all_hosts[name].work / "done").exists())


class Striped(Libtorrent):
    name = "striped"
    about = "each host fetches its 1/N by HTTP ranges and gives the pieces to a libtorrent swarm as they come, ready-made torrent"

    def stripe(self, site, index):
        return ["--stripe", site.origin.url, str(index), str(len(site.names))]


class Qbittorrent(Torrent):
    name, packages = "qbittorrent", ("qbittorrent-nox", "python3-libtorrent", "nginx")
    about = "qBittorrent as installed, ready-made torrent with the origin as web seed, all peers named to each other"

    def missing(self):
        return super().missing() or (None if shutil.which("qbittorrent-nox") else "qbittorrent-nox is not installed")

    def prepare(self, site):
        super().prepare(site)
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

    def pull(self, site):
        zero, took = time.monotonic(), {}

        def one(host):
            self._add(site, host)
            harness.wait_until(lambda: (self._info(host.name) or {}).get("progress") == 1, f"{host.name} has it", DEADLINE_S, pause=0.2)
            took[host.name] = time.monotonic() - zero

        threads = [threading.Thread(target=one, args=(host,)) for host in site.hosts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if len(took) < len(site.names):
            raise AssertionError(f"not done: {sorted(set(site.names) - set(took))}")
        for api in self._api.values():
            api.close()
        return took


ALL = [Alone(), Proxy(), SlicingProxy(), Qbittorrent(), Libtorrent(), Striped()]


def pull(alternative, site):
    """One run, with the right bytes checked at the end."""
    site.origin.start_nginx()
    alternative.prepare(site)
    site.begin()
    before = site.origin.nginx_sent_bytes()
    with hosts.Sampler(list(site.all_hosts.values()), site.origin.wan) as sampler:
        took = alternative.pull(site)
    wan, cpu, peak = site.wan_ratio(), site.cpu_s(), site.peak_mib()
    for host in site.all_hosts.values():
        host.end_all()
    run = results.Run(alternative.name, len(site.names), list(took.values()),
                      results.t_min_cold(site.model.size, site.wan_bytes_per_s, site.links()), wan,
                      (site.origin.nginx_sent_bytes() - before) / site.model.size, cpu, peak)
    run.samples = sampler.rows
    for host in site.hosts:
        site.model.verify(host.work / "got/model")
    return run
