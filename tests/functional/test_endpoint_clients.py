#!/usr/bin/python3
"""What other clients send, on the wire: the Python client's versions, hf_transfer, HfFileSystem, curl, aria2c.

The requests are those that the sources of huggingface_hub 0.26 to 1.28 make, in their order and with their headers; what is
asserted is what those sources demand of each answer. The real JavaScript client is in test_js_endpoint.py.
"""

import contextlib
import hashlib
import http.client
import json
import shutil
import struct
import subprocess
import threading
import time
import unittest
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

import harness
from endpoint_client import Client, Download, ask, file_path, get, raw
from harness import MIB, wait_until

# What reading stops at, and what a resume begins at a multiple of.
DOWNLOAD_CHUNK = 10 * MIB
PATIENCE_S = 10  # HF_HUB_ETAG_TIMEOUT and HF_HUB_DOWNLOAD_TIMEOUT


class PythonClient:
    """huggingface_hub of one version, as far as it shows on the wire: one kept connection per thread."""

    # version: (accept-encoding of a GET, where snapshot_download has its list of files from)
    VERSIONS = {"0.26.5": ("gzip, deflate", "siblings"), "0.36.0": ("gzip, deflate, br, zstd", "siblings"),
                "1.16.4": ("gzip, deflate", "siblings"), "1.28.0": ("gzip, deflate", "tree")}

    def __init__(self, node, version, token=None):
        self.node, self.version = node, version
        self.accept, self.list_from = self.VERSIONS[version]
        self.token = token
        self._threads, self._open = threading.local(), []

    def ask(self, method, path, headers=None, body=None):
        if not hasattr(self._threads, "client"):
            self._threads.client = Client(self.node, PATIENCE_S)
            self._open.append(self._threads.client)
        common = {"User-Agent": f"unknown/None; hf_hub/{self.version}; python/3.11.7; torch/2.5.0",
                  "Accept-Encoding": self.accept, "Accept": "*/*", "Connection": "keep-alive", "X-Amzn-Trace-Id": "6f1c2d3e-0000-4000-8000-000000000000"}
        if self.token:
            common["authorization"] = f"Bearer {self.token}"
        return self._threads.client.ask(method, path, common | (headers or {}), body)

    def close(self):
        for client in self._open:
            client.connection.close()

    def metadata(self, path):
        """hf_hub_download's HEAD: (commit, etag, size), or the class of the error."""
        answer = self.ask("HEAD", path, {"Accept-Encoding": "identity"})
        if answer.status >= 400:
            if answer["X-Error-Message"] == "Access to this resource is disabled.":
                return "DisabledRepoError"
            return {"EntryNotFound": "EntryNotFoundError", "RevisionNotFound": "RevisionNotFoundError", "RepoNotFound": "RepositoryNotFoundError",
                    "GatedRepo": "GatedRepoError"}.get(answer["X-Error-Code"], "HfHubHTTPError")
        assert answer.status == 200, "a redirect would lead elsewhere"
        commit, etag = answer["X-Repo-Commit"], answer["X-Linked-ETag"] or answer["ETag"]
        size = answer["X-Linked-Size"] or answer["Content-Length"]
        if not (commit and etag and size):
            return "LocalEntryNotFoundError"
        return commit, etag.removeprefix("W/").strip('"'), int(size)

    def download(self, repo, revision, path, begin=0):
        """hf_hub_download: HEAD, then GET of the same URL. Returns (etag, bytes from `begin` on)."""
        url = file_path(repo, revision, path)
        found = self.metadata(url)
        assert not isinstance(found, str), found
        _, etag, size = found
        answer = self.ask("GET", url, {"Range": f"bytes={begin}-"} if begin else {})
        assert answer.status == (206 if begin else 200), answer.status
        assert answer["Content-Encoding"] is None and answer["Transfer-Encoding"] is None
        assert begin + len(answer.body) == size, "Consistency check failed"
        return etag, answer.body

    def files(self, repo, revision):
        """snapshot_download's list of files: (commit, paths)."""
        info = self.ask("GET", f"/api/models/{repo}/revision/{urllib.parse.quote(revision, safe='')}").json()
        if self.list_from == "siblings":
            return info["sha"], [sibling["rfilename"] for sibling in info["siblings"]]
        paths, url = [], f"/api/models/{repo}/tree/{info['sha']}?recursive=true&expand=false"
        while url:
            page = self.ask("GET", url)
            paths += [entry["path"] for entry in page.json() if entry["type"] == "file"]
            link = page["Link"]
            url = link and urllib.parse.urlsplit(link[1:link.index(">")])._replace(scheme="", netloc="").geturl()
        return info["sha"], paths


def right(file, body):
    start = b"" if file["lfs"] else b"blob %d\0" % len(body)
    return hashlib.new("sha256" if file["lfs"] else "sha1", start + body).hexdigest() == file["etag"]


class Clients(harness.FunctionalTest):
    def one_model(self, name, size, rate):
        """A node with nothing, a model of one weight file at a Hub with this rate: (hub, node, that file, its URL)."""
        hub = self.hub()
        file = next(f for f in hub.add_repo(name, size=size, shards=1)["files"] if f["path"] == "model.safetensors")
        node = self.node("one", hub).start()
        hub.rate(rate)
        return hub, node, file, file_path(name, "main", file["path"])

    def python(self, *arguments):
        client = PythonClient(*arguments)
        self.addCleanup(client.close)
        return client

    def assert_each_byte_once(self, hub):
        counters = hub.counters()
        self.assertLessEqual(counters["weight_bytes_repeated"], harness.repeated_at_most(counters["weight_bytes"]))
        self.assert_clean_hub(hub)


class PythonClients(Clients):
    def test_every_version_downloads_a_snapshot_cold_and_warm(self):
        hub = self.hub()
        many = {f"many/{i:04d}.txt": f"{i}\n" for i in range(1200)}
        for number, version in enumerate(PythonClient.VERSIONS):
            with self.subTest(version=version):
                name = f"Acme-Lab/Tiny.v{number}_x"  # capitals and dots, as people name things
                repo = hub.add_repo(name, size="12MiB", shards=2, odd=True, seed=number + 1)
                files = {f["path"]: f for f in repo["files"]}
                node = self.node(f"n{number}", hub).start()
                client = self.python(node, version)
                for temperature in ("cold", "warm"):
                    hub.reset()
                    commit, paths = client.files(name, "main")
                    self.assertEqual((repo["commit"], set(files)), (commit, set(paths)))
                    with ThreadPoolExecutor(8) as pool:  # 8 threads, each with its own connection
                        got = dict(zip(paths, pool.map(lambda p, c=client, n=name, r=commit: c.download(n, r, p), paths)))
                    for path, (etag, body) in got.items():
                        self.assertEqual(files[path]["etag"], etag, path)
                        self.assertTrue(right(files[path], body), path)
                    counted = hub.counters()
                    self.assertEqual(0, counted["weight_bytes_repeated"])
                    if temperature == "warm":
                        self.assertEqual(0, counted["weight_bytes"])
                self.assertEqual([], harness.wrong_blobs(node.cache_dir))
                node.stop()
        # More files than a page has, by the version that reads the tree.
        moved = hub.admin("commit", {"id": name, "ref": "many", "files": many})["commit"]
        node = self.node("pages", hub).start()
        commit, paths = self.python(node, "1.28.0").files(name, "many")
        self.assertEqual((moved, set(files) | set(many)), (commit, set(paths)))
        self.assert_clean_hub(hub)

    def test_what_programs_ask_before_they_download(self):
        hub = self.hub("--alias", "acme/former=acme/tiny")
        repo = hub.add_repo("acme/tiny", size="12MiB", shards=2)
        hub.add_repo("acme/gated", size="1MiB", shards=1, gated="auto")
        hub.add_repo("acme/closed", size="1MiB", shards=1, private=True)
        hub.add_repo("acme/disabled", size="1MiB", shards=1, disabled=True)
        node = self.node("one", hub).start()
        for version in PythonClient.VERSIONS:
            client = self.python(node, version)
            with self.subTest(version=version):
                # file_exists, and the dozen files that transformers looks for: each class of error by its code.
                for path, error in (("/acme/tiny/resolve/main/adapter_config.json", "EntryNotFoundError"),
                                    ("/acme/tiny/resolve/none/config.json", "RevisionNotFoundError"),
                                    ("/acme/none/resolve/main/config.json", "RepositoryNotFoundError"),
                                    ("/acme/closed/resolve/main/config.json", "RepositoryNotFoundError"),
                                    ("/acme/gated/resolve/main/config.json", "GatedRepoError"),
                                    ("/acme/disabled/resolve/main/config.json", "DisabledRepoError")):
                    self.assertEqual(error, client.metadata(path), path)
                # A token nobody has, on a public repo: the content is everybody's, so it does not matter.
                self.assertNotIsInstance(self.python(node, version, "hf_wrong").metadata("/acme/tiny/resolve/main/config.json"), str)
                self.assertEqual(repo["commit"], client.metadata("/acme/former/resolve/main/config.json")[0])
                # get_safetensors_metadata: the single file is not there, the index is, each shard tells its header.
                self.assertEqual("EntryNotFoundError", client.metadata("/acme/tiny/resolve/main/model.safetensors"))
                index = json.loads(client.download("acme/tiny", "main", "model.safetensors.index.json")[1])
                for shard in set(index["weight_map"].values()):
                    head = client.ask("GET", file_path("acme/tiny", "main", shard), {"Range": "bytes=0-100000"})
                    self.assertEqual((206, 100_001), (head.status, len(head.body)))
                    length = struct.unpack("<Q", head.body[:8])[0]
                    self.assertIn("__metadata__", json.loads(head.body[8:8 + length]) | {"__metadata__": {}})
                # list_repo_refs, list_repo_commits, auth_check, whoami, and the questions nobody needs an answer to.
                self.assertEqual(repo["commit"], client.ask("GET", "/api/models/acme/tiny/refs").json()["branches"][0]["targetCommit"])
                self.assertEqual(repo["commit"], client.ask("GET", "/api/models/acme/tiny/commits/main?p=0").json()[0]["id"])
                self.assertEqual(200, client.ask("GET", "/api/models/acme/tiny/auth-check").status)
                self.assertEqual((401, "GatedRepo"), (lambda a: (a.status, a["X-Error-Code"]))(client.ask("GET", "/api/models/acme/gated/auth-check")))
                self.assertEqual("member", self.python(node, version, "hf_member").ask("GET", "/api/whoami-v2").json()["name"])
                self.assertEqual(200, client.ask("GET", "/api/agent-harnesses").status)
                # transformers: templates that most models do not have.
                answer = client.ask("GET", "/api/models/acme/tiny/tree/main/additional_chat_templates?recursive=False&expand=False")
                self.assertEqual((404, "EntryNotFound", repo["commit"]), (answer.status, answer["X-Error-Code"], answer["X-Repo-Commit"]))
                # HfFileSystem: info, a folder, paths-info as a form, blocks by Range, a whole file without.
                self.assertEqual("acme/tiny", client.ask("GET", "/api/models/acme/tiny").json()["id"])
                listed = client.ask("GET", "/api/models/acme/tiny/tree/main?recursive=False&expand=False").json()
                form = urllib.parse.urlencode([("paths", "config.json"), ("paths", "original"), ("paths", "none"), ("expand", "False")]).encode()
                asked = client.ask("POST", "/api/models/acme/tiny/paths-info/main", {"Content-Type": "application/x-www-form-urlencoded"}, form).json()
                self.assertEqual({"config.json": "file", "original": "directory"}, {e["path"]: e["type"] for e in asked})
                self.assertLessEqual({e["path"] for e in asked}, {e["path"] for e in listed})
                whole = client.ask("GET", file_path("acme/tiny", "main", "tokenizer.json"))
                self.assertEqual((200, None), (whole.status, whole["Content-Encoding"]))
                block = client.ask("GET", file_path("acme/tiny", "main", "tokenizer.json"), {"Range": "bytes=1000-4999"})
                self.assertEqual((206, whole.body[1000:5000]), (block.status, block.body))
        self.assert_clean_hub(hub)

    def test_a_download_that_was_cut_resumes(self):
        hub, node, file, url = self.one_model("acme/cut", "32MiB", 16 * MIB)
        for version in PythonClient.VERSIONS:
            with self.subTest(version=version):
                # The program dies in the middle: whole pieces of 10 MiB are kept, and the next run asks for the rest.
                client = self.python(node, version)
                with Client(node) as dying:
                    dying.connection.request("GET", url, headers={"Accept-Encoding": client.accept})
                    kept = dying.connection.getresponse().read(DOWNLOAD_CHUNK)
                etag, rest = client.download("acme/cut", "main", file["path"], begin=len(kept))
                self.assertEqual(file["etag"], etag)
                self.assertEqual(file["etag"], hashlib.sha256(kept + rest).hexdigest())
                # Everything is here already (before 0.25): 416 tells it so.
                past = client.ask("GET", url, {"Range": f"bytes={file['size']}-"})
                self.assertEqual((416, f"bytes */{file['size']}"), (past.status, past["Content-Range"]))
        self.assert_each_byte_once(hub)

    def test_a_branch_that_moves_between_head_and_get_gives_no_mixture(self):
        hub = self.hub()
        first = hub.add_repo("acme/moves", size="1MiB", shards=1)
        node = self.node("one", hub).start()
        client = self.python(node, "1.28.0")
        url = file_path("acme/moves", "main", "config.json")
        commit, etag, _ = client.metadata(url)
        self.assertEqual(first["commit"], commit)
        moved = hub.admin("commit", {"id": "acme/moves", "files": {"config.json": "{\"moved\": true}\n"}})["commit"]
        # Whichever it is, what an answer says of itself is true; and the new one is seen before long.
        def new():
            answer = client.ask("GET", url)
            self.assertIn(answer["X-Repo-Commit"], (commit, moved))
            self.assertEqual(answer["ETag"].strip('"'), hashlib.sha1(b"blob %d\0" % len(answer.body) + answer.body).hexdigest())
            return answer["X-Repo-Commit"] == moved
        wait_until(new, "the branch is seen to have moved", 20)
        again = client.ask("GET", file_path("acme/moves", commit, "config.json"))
        self.assertEqual((commit, etag), (again["X-Repo-Commit"], again["ETag"].strip('"')))


class OtherPrograms(Clients):
    def test_hf_transfer_takes_ranges_in_parallel_and_the_last_one_ends_past_the_end(self):
        hub, node, file, url = self.one_model("acme/wide", "48MiB", 24 * MIB)
        size, part = file["size"], MIB
        for temperature in ("cold", "warm"):
            first = get(node, url, Range="bytes=0-0")
            self.assertEqual((206, f"bytes 0-0/{size}"), (first.status, first["Content-Range"]))
            with ThreadPoolExecutor(48) as pool:
                got = list(pool.map(lambda begin: ask(node, "GET", url, {"Range": f"bytes={begin}-{begin + part}"}, timeout=60), range(0, size, part)))
            self.assertEqual({206}, {answer.status for answer in got}, temperature)
            self.assertEqual({f'"{file["etag"]}"'}, {answer["ETag"] for answer in got})
            self.assertEqual(file["etag"], hashlib.sha256(b"".join(answer.body[:part] for answer in got)).hexdigest())
        self.assert_each_byte_once(hub)

    def test_curl_goes_on_after_a_cut(self):
        hub, node, file, url = self.one_model("acme/cut", "24MiB", 12 * MIB)
        out = self.work / "model.bin"
        curl = ["curl", "-sSfL", "--noproxy", "*", "-C", "-", "-o", out, node.api_url + url]
        process = subprocess.Popen(curl)
        try:
            wait_until(lambda: out.exists() and out.stat().st_size > 2 * MIB, "a part has come")
        finally:
            process.kill()
            process.wait()
        self.assertLess(out.stat().st_size, file["size"])
        subprocess.run(curl, check=True, timeout=60)
        self.assertEqual(file["etag"], hashlib.sha256(out.read_bytes()).hexdigest())
        self.assert_each_byte_once(hub)

    @unittest.skipUnless(shutil.which("aria2c"), "aria2c is not installed (package aria2)")
    def test_aria2c_with_eight_connections(self):
        hub, node, file, url = self.one_model("acme/aria", "48MiB", 8 * MIB)
        for temperature in ("cold", "warm"):
            subprocess.run(["aria2c", "-q", "-x", "8", "-s", "8", "-k", "1M", "--no-conf", "--file-allocation=none", "--all-proxy=", "-d", self.work,
                            "-o", temperature, node.api_url + url], check=True, timeout=90)
            self.assertEqual(file["etag"], hashlib.sha256((self.work / temperature).read_bytes()).hexdigest())
        self.assert_each_byte_once(hub)

    def test_names_that_have_to_be_escaped(self):
        names = ["a b.txt", "a+b.txt", "%41.txt", "a#b.txt", "a?b.txt", "a&b=c;d.txt", "it's \"quoted\".txt", "[br]{ack}(ets).txt", "größe/日本語.txt",
                 "deep/" * 20 + "x.txt", ".hidden", "-dash", "~tilde", "a,b:c@d!e$f*g.txt"]
        hub = self.hub()
        hub.add_repo("acme/odd", size="1MiB", shards=1)
        commit = hub.admin("commit", {"id": "acme/odd", "files": {name: f"content of {name}\n" for name in names}})["commit"]
        node = self.node("one", hub).start()
        with Client(node) as client:
            for name in names:
                body = f"content of {name}\n".encode()
                # Python escapes all but the slash, JavaScript the slash, too.
                for escaped in (urllib.parse.quote(name), urllib.parse.quote(name, safe="")):
                    with self.subTest(name=name, escaped=escaped):
                        url = f"/acme/odd/resolve/main/{escaped}"
                        head = client.head(url)
                        self.assertEqual((200, commit, str(len(body))), (head.status, head["X-Repo-Commit"], head["Content-Length"]))
                        self.assertEqual(body, client.get(url).body)
            tree = {e["path"] for e in client.get("/api/models/acme/odd/tree/main?recursive=true").json()}
            self.assertLessEqual(set(names), tree)
            question = json.dumps({"paths": names}).encode()
            answer = client.ask("POST", "/api/models/acme/odd/paths-info/main", {"Content-Type": "application/json"}, question).json()
            self.assertEqual(set(names), {e["path"] for e in answer})
        wait_until(lambda: not [p for p in node.api("pulls")["pulls"] if p["state"] == "running"], "all files are linked")
        for name in names:
            self.assertEqual(f"content of {name}\n", (node.repo_dir("acme/odd") / "snapshots" / commit / name).read_text())

    def test_paths_that_lead_out_are_refused(self):
        hub = self.hub()
        hub.add_repo("acme/tiny", size="1MiB", shards=1)
        node = self.node("one", hub).start()
        self.assertEqual(200, get(node, "/acme/tiny/resolve/main/config.json").status)
        secret = node.state_dir / "shoal.db"
        self.assertTrue(secret.exists())
        for path in ("../../../../../../etc/passwd", "..%2f..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/etc/passwd", "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
                     "..%5c..%5cetc%5cpasswd", "....//....//etc/passwd", "/etc/passwd", "%2fetc%2fpasswd", "a/../../../config.json", "config.json%00.txt",
                     "config.json/..", ".", "..", "%c0%ae%c0%ae/x", "a//b", "%ff%fe", "%zz", "a%0d%0aX-Injected:%20yes"):
            for form in (f"/acme/tiny/resolve/main/{path}", f"/acme/tiny/raw/main/{path}", f"/acme/tiny/resolve/{path}/config.json",
                         f"/api/models/acme/tiny/tree/main/{path}", f"/{path}/tiny/resolve/main/config.json", f"/api/resolve-cache/models/acme/tiny/{path}/x"):
                with self.subTest(form=form):
                    answer = raw(node, f"GET {form} HTTP/1.1\r\nHost: 127.0.0.1:{node.api_port}\r\nConnection: close\r\n\r\n".encode("latin-1"))
                    status = int(answer.split(b" ")[1])
                    # 200 only for what is a page of a listing, never for content from outside the repo.
                    self.assertIn(status, (400, 401, 404), answer[:200])
                    self.assertNotIn(b"root:", answer)
                    self.assertNotIn(b"\r\nX-Injected", answer)

    def test_bare_names_other_kinds_and_every_spelling_of_a_revision(self):
        hub = self.hub()
        repo = hub.add_repo("gpt2", size="1MiB", shards=1)
        hub.add_repo("datasets/Acme.Lab/Words_2", size="1MiB", shards=1)
        hub.add_repo("spaces/acme/App-x", size="1MiB", shards=1)
        for ref, name in (("v1.0", "tag.txt"), ("feature/x", "branch.txt"), ("refs/pr/1", "pr.txt")):
            hub.admin("commit", {"id": "gpt2", "ref": ref, "files": {name: "x\n"}})
        node = self.node("one", hub).start()
        for prefix in ("", "/datasets/Acme.Lab/Words_2", "/spaces/acme/App-x"):
            url = f"{prefix or '/gpt2'}/resolve/main/config.json"
            self.assertEqual([200, 200], [ask(node, method, url).status for method in ("HEAD", "GET")], url)
        for revision, name in ((repo["commit"], "config.json"), ("v1.0", "tag.txt"), ("feature%2Fx", "branch.txt"), ("refs%2Fpr%2F1", "pr.txt")):
            self.assertEqual(200, ask(node, "HEAD", f"/gpt2/resolve/{revision}/{name}").status, revision)
            self.assertIn(name, [e["path"] for e in get(node, f"/api/models/gpt2/tree/{revision}?recursive=True").json()])
        # What the Hub makes of an abbreviated commit is the Hub's word: passed on, not guessed.
        short = get(node, f"/gpt2/resolve/{repo['commit'][:7]}/config.json")
        with contextlib.closing(http.client.HTTPConnection(hub.url.removeprefix("http://"), timeout=10)) as direct:
            direct.request("HEAD", f"/gpt2/resolve/{repo['commit'][:7]}/config.json")
            self.assertEqual(direct.getresponse().status >= 400, short.status >= 400)


class WhileItArrives(Clients):
    def test_no_gap_is_longer_than_a_client_waits(self):
        hub, node, file, url = self.one_model("acme/slow", "6MiB", MIB // 2)
        hub.faults({"kind": "latency", "ms": 700})
        began = last = time.monotonic()
        gaps, digest = [], hashlib.sha256()
        with Client(node) as client:
            client.connection.request("GET", url)
            response = client.connection.getresponse()
            headers = time.monotonic() - began
            while block := response.read1(1 << 16):
                now = time.monotonic()
                gaps.append(now - last)
                last = now
                digest.update(block)
        self.assertEqual(file["etag"], digest.hexdigest())
        self.say(f"0.5 MiB/s and 0.7 s of latency: headers after {headers:.2f} s, longest gap {max(gaps):.1f} s of {last - began:.0f} s")
        self.assertLess(headers, 1)
        self.assertLess(max(gaps), PATIENCE_S / 2)

    def test_trouble_of_the_origin_reaches_no_client(self):
        """429, 5xx, expired URLs, resets, stalls and lies of the origin are this node's business; clients retry little."""
        hub = self.hub()
        node = self.node("one", hub).start()
        for number, (what, *faults) in enumerate((
                ("503 at the Hub", {"kind": "status", "code": 503, "on": "hub", "match": "/resolve/", "times": 2}),
                ("429 with RateLimit", {"kind": "rate_limited", "seconds": 2, "style": "ratelimit", "on": "hub", "match": "/resolve/", "times": 1}),
                ("500 at the CDN", {"kind": "status", "code": 500, "times": 2}),
                ("expired", {"kind": "expired", "skip": 1, "times": 2}),
                ("reset", {"kind": "reset", "after": 300_000, "times": 2}),
                ("closed", {"kind": "close", "times": 1}),
                ("truncated", {"kind": "truncate", "after": 200_000, "times": 2}),
                ("shifted, and says so", {"kind": "shift_range", "by": 4096, "lie": False, "times": 2}),
                ("shifted: a lie", {"kind": "shift_range", "by": 4096, "times": 1}),
                ("one wrong bit: a lie", {"kind": "corrupt", "offset": 5_000_000, "times": 1}))):
            with self.subTest(fault=what):
                name = f"acme/trouble-{number}"
                repo = hub.add_repo(name, size="12MiB", shards=1, seed=number + 1)
                file = next(f for f in repo["files"] if f["path"] == "model.safetensors")
                hub.faults(*faults)
                download = Download(node, file_path(name, "main", file["path"]))
                download.join(60)
                hub.clear_faults()
                if "lie" in what:
                    # Nothing holds a piece of the origin against a hash before the whole is here: cut, then right.
                    self.assertFalse(download.whole and download.hash.hexdigest() != file["etag"])
                    def again(p=file_path(name, "main", file["path"]), wanted=file["etag"]):
                        retry = Download(node, p)
                        retry.join(60)
                        return retry.whole and retry.hash.hexdigest() == wanted
                    wait_until(again, "a later request gets the right file", 60)
                    continue
                self.assertIsNone(download.error)
                self.assertEqual((200, True, file["etag"]), (download.status, download.whole, download.hash.hexdigest()))
        self.assertEqual([], harness.wrong_blobs(node.cache_dir))


if __name__ == "__main__":
    harness.main()
