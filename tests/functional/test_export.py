#!/usr/bin/python3
"""`shoal export`: whole files for BitTorrent clients that are no shoal: libtorrent's Python binding and qBittorrent."""

import json
import pathlib
import shutil
import subprocess
import unittest

import harness

try:
    import libtorrent as lt
except ImportError:
    lt = None

RATE = 16 * harness.MIB  # of the client: so that no single peer is done before the other one is there


def need_libtorrent():
    if lt is None:
        raise unittest.SkipTest("needs the package python3-libtorrent")


class PlainClient:
    """A v2 client with libtorrent's own defaults, but no discovery of any kind."""

    def __init__(self, folder):
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.session = lt.session({"listen_interfaces": "127.0.0.1:0", "enable_dht": False, "enable_lsd": False,
                                   "enable_upnp": False, "enable_natpmp": False, "download_rate_limit": RATE,
                                   "allow_multiple_connections_per_ip": True})
        self.session.set_peer_class_filter(lt.ip_filter())  # the rate limit holds on local networks, too

    def download(self, params, peers=(), timeout=60):
        """Returns the bytes that each peer gave."""
        params.save_path = str(self.folder)
        handle = self.session.add_torrent(params)
        given = {}
        # Once: the client first tries uTP, then TCP with an encrypted handshake, then what a shoal speaks; being told again it
        # would begin anew.
        for peer in peers:
            handle.connect_peer(peer)

        def done():
            for peer in handle.get_peer_info():
                given[peer.ip[1]] = max(given.get(peer.ip[1], 0), peer.total_download)
            status = handle.status()
            assert not status.errc.value(), status.errc.message()
            return status.is_seeding
        harness.wait_until(done, "the download is done", timeout, 0.1)
        return given


class Export(harness.FunctionalTest):
    def two_nodes(self, hub, repo):
        one = self.node("one", hub).start()
        two = self.node("two", hub, peers=[one]).start()
        for node in (one, two):
            node.pull(repo)
        return one, two

    def export(self, node, file, *arguments):
        out = node.work / "export.torrent"
        lines = node.cli("export", file, "--output", out, *arguments).stdout.split()
        self.assertEqual(str(out), lines[0])
        return out, lines[1]

    @staticmethod
    def address(node):
        host, port = node.swarm.split(":")
        return host, int(port)

    def test_a_client_downloads_from_two_nodes(self):
        need_libtorrent()
        hub = self.hub()
        # 65 segments at full size; the last piece is short, and so is the last segment.
        repo = hub.add_repo("acme/big", size=harness.size("80MiB", "1GiB"), shards=1, odd=True)
        file = max(repo["files"], key=lambda f: f["size"])
        one, two = self.two_nodes(hub, "acme/big")
        torrents = [self.export(node, "acme/big/" + file["path"])[0] for node in (one, two)]
        self.assertEqual(torrents[0].read_bytes(), torrents[1].read_bytes(), "both nodes make the same torrent")

        # It is the torrent that anybody would make of the file.
        info = lt.torrent_info(str(torrents[0]))
        source = self.work / "source"
        source.mkdir()
        shutil.copy(one.repo_dir("acme/big") / "snapshots" / repo["commit"] / file["path"], source / pathlib.Path(file["path"]).name)
        storage = lt.file_storage()
        lt.add_files(storage, str(source / pathlib.Path(file["path"]).name))
        creator = lt.create_torrent(storage, info.piece_length(), lt.create_torrent.v2_only)
        lt.set_piece_hashes(creator, str(source))
        theirs = lt.torrent_info(creator.generate())
        self.assertEqual(str(theirs.info_hashes().v2), str(info.info_hashes().v2))

        params = lt.add_torrent_params()
        params.ti = info
        client = PlainClient(self.work / "client")
        given = client.download(params, [self.address(one), self.address(two)])
        self.assertEqual(file["etag"], harness.digest(client.folder / info.name(), True))
        self.say(f"a plain client got {file['size']} bytes: {given}")
        for node in (one, two):
            self.assertGreater(given.get(node.swarm_port, 0), 0, f"{node.name} gave nothing: {given}")
        # No byte of it came through the swarm of shoals, and the exported file is not a second copy.
        self.assertEqual(1, len(list(one.cache_dir.glob(f"*/blobs/{file['etag']}*"))))

    def test_a_magnet_is_enough_also_after_a_restart(self):
        need_libtorrent()
        hub = self.hub()
        repo = hub.add_repo("acme/tiny", size="20MiB", shards=1)
        files = sorted(repo["files"], key=lambda f: f["size"])
        one = self.node("one", hub).start()
        one.pull("acme/tiny")
        magnets = {f["path"]: one.cli("export", "acme/tiny/" + f["path"], "--magnet").stdout.strip() for f in (files[0], files[-1])}
        one.stop()
        one.start()
        self.assertEqual(2, len(json.loads(one.cli("export", "--json").stdout)["exports"]))
        client = PlainClient(self.work / "client")
        for file in (files[0], files[-1]):
            params = lt.parse_magnet_uri(magnets[file["path"]])
            self.assertEqual([self.address(one)], list(params.peers))
            client.download(params, [self.address(one)])
            self.assertEqual(file["etag"], harness.digest(client.folder / pathlib.Path(file["path"]).name, file["lfs"]))
        self.assert_memory(one.peak_rss_mib())

    def test_it_ends_when_it_is_stopped_or_the_file_goes(self):
        hub = self.hub()
        repo = hub.add_repo("acme/two", size="8MiB", shards=2)
        shards = [f["path"] for f in repo["files"] if f["lfs"]][:2]
        one = self.node("one", hub).start()
        one.pull("acme/two")
        for path in shards:
            self.export(one, "acme/two/" + path)

        def exported():
            return {row["path"] for row in json.loads(one.cli("export", "--json").stdout)["exports"]}
        self.assertEqual(set(shards), exported())
        one.cli("export", "acme/two/" + shards[0], "--stop")
        self.assertEqual({shards[1]}, exported())
        one.cli("export", "acme/two/" + shards[0], "--stop", status=4)
        one.cli("rm", "acme/two")
        self.assertEqual(set(), exported())
        one.stop()
        one.start()
        self.assertEqual(set(), exported())

    def test_what_may_not_be_shared_is_not_exported(self):
        hub = self.hub()
        repo = hub.add_repo("acme/gated", size="4MiB", shards=1, gated="auto")
        hub.add_repo("acme/open", size="4MiB", shards=1)
        one = self.node("one", hub, env={"HF_TOKEN": "hf_member"}).start()
        for name in ("acme/gated", "acme/open"):
            one.pull(name)
        path = max(repo["files"], key=lambda f: f["size"])["path"]
        self.assertIn("not everybody", one.cli("export", "acme/gated/" + path, "--magnet", status=5).stderr)
        one.cli("export", "acme/open/nothing.bin", "--magnet", status=4)
        one.cli("export", "acme", status=2)
        # A closed cluster shares with its members only.
        one.cli("cluster", "init")
        self.assertIn("members only", one.cli("export", "acme/open/" + path, "--magnet", status=2).stderr)

    def test_qbittorrent_downloads_from_two_nodes(self):
        program = shutil.which("qbittorrent-nox")
        if not program:
            raise unittest.SkipTest("QBITTORRENT WAS NOT TRIED: the program qbittorrent-nox is missing (package qbittorrent-nox)")
        hub = self.hub()
        repo = hub.add_repo("acme/big", size=harness.size("80MiB", "1GiB"), shards=1, odd=True)
        file = max(repo["files"], key=lambda f: f["size"])
        one, two = self.two_nodes(hub, "acme/big")
        torrent, _ = self.export(one, "acme/big/" + file["path"])
        self.export(two, "acme/big/" + file["path"])
        web, port = harness.free_ports(2)
        profile = self.work / "qbittorrent"
        config = profile / "qBittorrent/config"
        config.mkdir(parents=True)
        (config / "qBittorrent.conf").write_text(
            "[LegalNotice]\nAccepted=true\n[Preferences]\nWebUI\\LocalHostAuth=false\nWebUI\\Address=127.0.0.1\n"
            f"[BitTorrent]\nSession\\Port={port}\nSession\\DHTEnabled=false\nSession\\LSDEnabled=false\nSession\\PeXEnabled=false\n"
            "Session\\MultiConnectionsPerIp=true\nSession\\IgnoreLimitsOnLAN=false\n")
        process = harness.Process([program, f"--profile={profile}", f"--webui-port={web}"], self.work / "qbittorrent.log",
                                  harness.clean_environment(self.work))
        self.addCleanup(process.kill)
        url = f"http://127.0.0.1:{web}/api/v2/"

        def ask(what, *form):
            fields = [part for field in form for part in ("-F", field)]
            out = subprocess.run(["curl", "-sSf", "--noproxy", "*", "-m", "10", "-H", f"Referer: {url}", *fields, url + what],
                                 capture_output=True, text=True, timeout=20)
            return out.stdout if out.returncode == 0 else None
        version = harness.wait_until(lambda: ask("app/version"), "qBittorrent answers", 30, 0.2)
        # Both peers are given before it starts, and no single one is done with it first.
        self.assertIn("Ok", ask("torrents/add", f"torrents=@{torrent}", f"savepath={self.work / 'got'}", "paused=true",
                                f"dlLimit={RATE}") or "")
        row = harness.wait_until(lambda: json.loads(ask("torrents/info") or "[]"), "the torrent is there", 20, 0.2)[0]
        self.assertIsNotNone(ask("torrents/resume", f"hashes={row['hash']}"))
        given = {}
        # Once; see PlainClient.
        self.assertIsNotNone(ask("torrents/addPeers", f"hashes={row['hash']}", f"peers={one.swarm}|{two.swarm}"))

        def done():
            for name, peer in json.loads(ask(f"sync/torrentPeers?hash={row['hash']}") or "{}").get("peers", {}).items():
                given[name] = max(given.get(name, 0), peer.get("downloaded", 0))
            return json.loads(ask("torrents/info") or "[{}]")[0].get("progress") == 1
        harness.wait_until(done, "qBittorrent has the file", 120, 0.3)
        self.assertEqual(file["etag"], harness.digest(self.work / "got" / pathlib.Path(file["path"]).name, True))
        self.say(f"qBittorrent {version} got {file['size']} bytes: {given}")
        for node in (one, two):
            self.assertGreater(given.get(node.swarm, 0), 0, f"{node.name} gave nothing: {given}")


if __name__ == "__main__":
    harness.main()
