#!/usr/bin/python3
"""The Hub-compatible endpoint on the wire: what unchanged clients need of it (docs/endpoint.md)."""

import hashlib
import json
import re
import socket
import subprocess
import threading
import time
import urllib.parse

import harness
from endpoint_client import Client, Download, ask, file_path, get, raw
from harness import MIB, wait_until


def by_path(description):
    return {f["path"]: f for f in description["files"]}


def api(kind, repo, what=""):
    return f"/api/{kind}s/{repo}{what}"


class Files(harness.FunctionalTest):
    def test_head_get_ranges_and_conditions(self):
        hub = self.hub()
        repo = hub.add_repo("acme/tiny", size="6MiB", shards=2, odd=True)
        files = by_path(repo)
        node = self.node("one", hub).start()
        weights = "model-00001-of-00002.safetensors"

        with Client(node) as client:  # all on one connection
            for path in ("config.json", weights, "a b+c.txt", "deep/er/and/deeper/größe.txt", "empty.txt", "one-byte.bin"):
                for revision in ("main", repo["commit"]):
                    with self.subTest(path=path, revision=revision):
                        head = client.head(file_path("acme/tiny", revision, path))
                        self.assertEqual(200, head.status)
                        self.assertEqual(repo["commit"], head["X-Repo-Commit"])
                        self.assertEqual(f'"{files[path]["etag"]}"', head["ETag"])
                        self.assertEqual(str(files[path]["size"]), head["Content-Length"])
                        self.assertEqual("bytes", head["Accept-Ranges"])
                        for absent in ("Content-Encoding", "Transfer-Encoding", "Location", "Link"):
                            self.assertIsNone(head[absent])
                        self.assertFalse([name for name in head.headers if "xet" in name])
                        self.assertEqual(b"", head.body)
                        got = client.get(file_path("acme/tiny", revision, path), Accept_Encoding="gzip, deflate")
                        self.assertEqual((200, head["ETag"]), (got.status, got["ETag"]))
                        self.assertEqual(files[path]["size"], len(got.body))
                        kind = "sha256" if files[path]["lfs"] else "sha1"
                        start = b"" if files[path]["lfs"] else b"blob %d\0" % len(got.body)
                        self.assertEqual(files[path]["etag"], hashlib.new(kind, start + got.body).hexdigest())

            whole = client.get(file_path("acme/tiny", "main", weights)).body
            size = len(whole)
            url, etag = file_path("acme/tiny", "main", weights), f'"{files[weights]["etag"]}"'
            for text, first, end in (("0-0", 0, 1), ("1000-1999", 1000, 2000), (f"{size - 5}-", size - 5, size),
                                     ("-7", size - 7, size), (f"{size - 3}-{size}", size - 3, size),
                                     (f"0-{size + 99}", 0, size)):
                with self.subTest(range=text):
                    part = client.get(url, Range=f"bytes={text}")
                    self.assertEqual(206, part.status)
                    self.assertEqual(f"bytes {first}-{end - 1}/{size}", part["Content-Range"])
                    self.assertEqual(whole[first:end], part.body)
                    self.assertEqual(etag, part["ETag"])
            past = client.get(url, Range=f"bytes={size}-")
            self.assertEqual((416, f"bytes */{size}"), (past.status, past["Content-Range"]))
            several = client.get(url, Range="bytes=0-1,5-6")
            self.assertEqual((200, size), (several.status, len(several.body)))
            self.assertEqual(206, client.get(url, Range="bytes=0-9", If_Range=etag).status)
            self.assertEqual(200, client.get(url, Range="bytes=0-9", If_Range='"old"').status)
            self.assertEqual(304, client.get(url, If_None_Match=etag).status)
            self.assertEqual(304, client.head(url, If_None_Match=f"W/{etag}").status)
            self.assertEqual(200, client.head(url, If_None_Match='"old"').status)
            empty = client.get(file_path("acme/tiny", "main", "empty.txt"), Range="bytes=0-0")
            self.assertEqual((200, "bytes */0", b""), (empty.status, empty["Content-Range"], empty.body))

            # /raw: an LFS file is its pointer, any other file itself.
            pointer = client.get(url.replace("/resolve/", "/raw/"))
            self.assertEqual(f"version https://git-lfs.github.com/spec/v1\noid sha256:{files[weights]['etag']}\n"
                             f"size {size}\n".encode(), pointer.body)
            plain = client.get("/acme/tiny/raw/main/config.json")
            self.assertEqual(files["config.json"]["size"], len(plain.body))
            self.assertEqual(200, client.head("/acme/tiny/raw/main/config.json").status)

        # What programs read is in the cache, as a pull would have left it.
        wait_until(lambda: (node.repo_dir("acme/tiny") / "snapshots" / repo["commit"] / weights).exists(), "the file is linked")
        self.assertEqual([], harness.wrong_blobs(node.cache_dir))
        out = self.work / "part.bin"
        out.write_bytes(whole[:1234567])
        subprocess.run(["curl", "-sSf", "--noproxy", "*", "-C", "-", "-o", out, node.api_url + url], check=True, timeout=30)
        self.assertEqual(whole, out.read_bytes())
        self.assert_clean_hub(hub)

    def test_a_cold_file_streams_while_it_arrives_and_each_byte_leaves_the_origin_once(self):
        hub = self.hub()
        size = harness.size(24, 96) * MIB
        repo = hub.add_repo("acme/cold", size=str(size), shards=1)
        file = by_path(repo)["model.safetensors"]
        node = self.node("one", hub).start()
        hub.rate(8 * MIB)
        url = file_path("acme/cold", "main", "model.safetensors")
        began = time.monotonic()
        first = Download(node, url)
        first.started.wait(10)
        headers_s = time.monotonic() - began
        self.assertLess(headers_s, 1.0, "headers within a second")
        wait_until(lambda: first.body_bytes > 0, "the first byte", 5)
        first_byte_s = time.monotonic() - began
        half = Download(node, url, {"Range": f"bytes={file['size'] // 2}-"})
        others = [Download(node, url) for _ in range(6)]
        for download in [first, half, *others]:
            download.join(60)
            self.assertIsNone(download.error)
            self.assertTrue(download.whole)
        for download in [first, *others]:
            self.assertEqual(file["etag"], download.hash.hexdigest())
        self.assertEqual(206, half.status)
        counted = hub.counters()
        entry = next(e for name, e in counted["files"].items() if name.endswith("model.safetensors"))
        self.assertEqual(file["size"], entry["unique"])
        # Nothing is fetched for a client of its own: that would be a copy each. The last pieces may be asked for twice when a
        # connection is slow at the end (decision 0007).
        self.assertLess(entry["repeated"], file["size"] / 20)
        self.say(f"headers after {headers_s * 1000:.0f} ms, first byte after {first_byte_s * 1000:.0f} ms, "
                 f"8 clients, repeated bytes {entry['repeated']}")
        self.assert_clean_hub(hub)

    def test_a_client_that_leaves_lowers_the_priority_and_loses_nothing(self):
        hub = self.hub()
        repo = hub.add_repo("acme/left", size="16MiB", shards=1)
        file = by_path(repo)["model.safetensors"]
        node = self.node("one", hub).start()
        hub.rate(4 * MIB)
        url = file_path("acme/left", "main", "model.safetensors")
        with Client(node) as client:
            client.connection.request("GET", url)
            response = client.connection.getresponse()
            self.assertEqual(MIB, len(response.read(MIB)))
        pull = wait_until(lambda: next(iter(node.api("pulls")["pulls"]), None), "a pull stands for it")
        self.assertEqual(("low", "acme/left"), (pull["priority"], pull["repo"]))
        wait_until(lambda: node.api("pulls")["pulls"][0]["state"] == "done", "the pull goes on alone", 30)
        hub.reset()
        self.assertEqual(file["etag"], hashlib.sha256(get(node, url).body).hexdigest())
        self.assertEqual(0, hub.counters()["weight_bytes"])

    def test_an_origin_that_lies_in_the_last_byte_completes_no_client(self):
        hub = self.hub()
        repo = hub.add_repo("acme/lie", size="12MiB", shards=1)
        file = by_path(repo)["model.safetensors"]
        node = self.node("one", hub).start()
        hub.faults({"kind": "corrupt", "offset": -1, "match": "model.safetensors"})
        url = file_path("acme/lie", "main", "model.safetensors")
        downloads = [Download(node, url) for _ in range(4)]
        downloads.append(Download(node, url, {"Range": f"bytes={file['size'] - 10}-"}))
        for download in downloads:
            download.join(60)
            self.assertFalse(download.whole, "a complete wrong file")
        self.assertGreater(downloads[0].body_bytes, 0)
        log = node.log.read_text()
        self.assertIn("do not match the publisher's hash", log)
        self.assertIn("stream_cut", log + json.dumps(node.api("events")))
        self.assertEqual([], harness.wrong_blobs(node.cache_dir))

        # The origin is right again: whoever comes back for the rest gets the whole.
        hub.clear_faults()
        # What is left of the wrong bytes is found wrong first, which may cut it off again.
        for _ in range(6):
            rest = Download(node, url, {"Range": "bytes=1048576-"})
            rest.join(60)
            self.assertEqual(200, rest.status)
            if rest.whole:
                break
        self.assertEqual((True, file["etag"]), (rest.whole, rest.hash.hexdigest()))
        part = get(node, url, Range="bytes=1048576-2097151")
        self.assertEqual(503, part.status)
        self.assertEqual(206, get(node, url, Range="bytes=0-0").status)


class Metadata(harness.FunctionalTest):
    def test_info_tree_paths_refs_and_errors(self):
        hub = self.hub("--alias", "acme/old=acme/tiny")
        repo = hub.add_repo("acme/tiny", size="2MiB", shards=2, odd=True)
        files = by_path(repo)
        hub.add_repo("datasets/acme/words", size="1MiB", shards=1)
        hub.add_repo("spaces/acme/app", size="1MiB", shards=1)
        hub.add_repo("gpt2", size="1MiB", shards=1)
        many = {f"many/{i // 100:02d}/{i:04d}.txt": f"{i}\n" for i in range(2345)}
        moved = hub.admin("commit", {"id": "acme/tiny", "ref": "many", "files": many})["commit"]
        hub.admin("commit", {"id": "acme/tiny", "ref": "feature/x", "files": {"only.txt": "x\n"}})
        hub.admin("commit", {"id": "acme/tiny", "ref": "refs/pr/1", "files": {"pr.txt": "x\n"}})
        node = self.node("one", hub).start()
        with Client(node) as client:
            # info
            for where in ("acme/tiny", "acme/tiny/revision/main", f"acme/tiny/revision/{repo['commit']}"):
                info = client.get(f"/api/models/{where}").json()
                self.assertEqual((repo["commit"], "acme/tiny", False), (info["sha"], info["id"], info["gated"]))
                self.assertEqual(set(files), {s["rfilename"] for s in info["siblings"]})
                self.assertNotIn("size", info["siblings"][0])
            info = client.get("/api/models/acme/tiny?blobs=True").json()
            for sibling in info["siblings"]:
                file = files[sibling["rfilename"]]
                self.assertEqual(file["size"], sibling["size"])
                self.assertEqual(file["lfs"], "lfs" in sibling)
                self.assertEqual(file["etag"], sibling["lfs"]["sha256"] if file["lfs"] else sibling["blobId"])
            for spelling in ("expand=sha&expand=private", "expand[]=sha&expand[]=private"):
                self.assertEqual({"_id", "id", "sha", "private"}, set(client.get(f"/api/models/acme/tiny/revision/main?{spelling}").json()))
            for where, identity in (("datasets/acme/words", "acme/words"), ("spaces/acme/app", "acme/app"), ("models/gpt2", "gpt2")):
                self.assertEqual(identity, client.get(f"/api/{where}").json()["id"])
            for url in ("/datasets/acme/words/resolve/main/config.json", "/spaces/acme/app/resolve/main/config.json",
                        "/gpt2/resolve/main/config.json"):
                self.assertEqual(200, client.head(url).status)
                self.assertEqual(200, client.get(url).status)

            # tree
            for yes in ("True", "true", "1"):
                tree = client.get(f"/api/models/acme/tiny/tree/main?recursive={yes}&expand=False").json()
                self.assertEqual(set(files), {e["path"] for e in tree if e["type"] == "file"})
                self.assertIn("deep/er", {e["path"] for e in tree if e["type"] == "directory"})
            self.assertNotIn("xetHash", json.dumps(tree))
            top = client.get("/api/models/acme/tiny/tree/main?recursive=False").json()
            self.assertNotIn("/", "".join(e["path"] for e in top))
            sub = client.get("/api/models/acme/tiny/tree/main/deep%2Fer?recursive=true").json()
            self.assertEqual({"deep/er/and", "deep/er/and/deeper", "deep/er/and/deeper/größe.txt"}, {e["path"] for e in sub})
            self.assertEqual(sub, client.get("/api/models/acme/tiny/tree/main/deep/er?recursive=true").json())
            missing = client.get("/api/models/acme/tiny/tree/main/additional_chat_templates?recursive=False&expand=False")
            self.assertEqual((404, "EntryNotFound"), (missing.status, missing["X-Error-Code"]))
            self.assertIn("does not exist", missing.json()["error"])
            expanded = client.get("/api/models/acme/tiny/tree/main?recursive=true&expand=true")
            self.assertEqual(repo["commit"], expanded.json()[0]["lastCommit"]["id"])
            self.assertNotIn("xet", expanded.body.decode())

            # pages, 2345 files, Link to the address that was asked
            url, seen, pages = "/api/models/acme/tiny/tree/many?recursive=true", [], 0
            while url:
                page = client.get(url)
                seen += [e["path"] for e in page.json() if e["type"] == "file"]
                pages += 1
                link = page["Link"]
                url = None
                if link:
                    target = re.fullmatch(r"<(http://127\.0\.0\.1:\d+)(/\S+)>; rel=\"next\"", link)
                    self.assertEqual(node.api_url, target[1])
                    url = target[2]
            self.assertEqual(sorted([*files, *many]), sorted(seen))
            self.assertEqual(3, pages)

            # revisions
            for revision in ("feature%2Fx", "refs%2Fpr%2F1", moved, "many"):
                self.assertEqual(200, client.get(f"/api/models/acme/tiny/revision/{revision}").status)
            self.assertIn("pr.txt", client.get("/api/models/acme/tiny/tree/refs/pr/1").body.decode())
            self.assertIn("only.txt", client.get("/api/models/acme/tiny/tree/feature/x").body.decode())
            self.assertEqual(200, client.get("/acme/tiny/resolve/refs%2Fpr%2F1/pr.txt").status)

            # paths-info
            form = urllib.parse.urlencode([("paths", "config.json"), ("paths", "nope"), ("paths", "deep/er"), ("expand", "False")]).encode()
            answer = client.ask("POST", "/api/models/acme/tiny/paths-info/main", {"Content-Type": "application/x-www-form-urlencoded"}, form)
            self.assertEqual([("file", "config.json"), ("directory", "deep/er")], [(e["type"], e["path"]) for e in answer.json()])
            question = json.dumps({"paths": ["model-00001-of-00002.safetensors"], "expand": True}).encode()
            answer = client.ask("POST", "/api/models/acme/tiny/paths-info/main", {"Content-Type": "application/json"}, question)
            self.assertEqual(repo["commit"], answer.json()[0]["lastCommit"]["id"])
            self.assertEqual(files["model-00001-of-00002.safetensors"]["etag"], answer.json()[0]["lfs"]["oid"])
            self.assertNotIn("xet", answer.body.decode())
            self.assertEqual(405, client.get("/api/models/acme/tiny/paths-info/main").status)

            # others
            self.assertEqual("main", client.get("/api/models/acme/tiny/refs").json()["branches"][0]["name"])
            commits = client.get("/api/models/acme/tiny/commits/main")
            self.assertEqual((repo["commit"], "1"), (commits.json()[0]["id"], commits["X-Total-Count"]))
            self.assertGreater(client.get("/api/models/acme/tiny/treesize/main").json()["size"], 2 * MIB)
            self.assertEqual(200, client.get("/api/models/acme/tiny/auth-check").status)
            self.assertEqual(401, client.get("/api/whoami-v2").status)
            self.assertEqual("member", client.get("/api/whoami-v2", Authorization="Bearer hf_member").json()["name"])
            self.assertEqual(200, client.get("/api/agent-harnesses").status)
            self.assertEqual(200, client.head("/api/telemetry/hub").status)
            self.assertEqual(404, client.get(f"/api/models/acme/tiny/xet-read-token/{repo['commit']}").status)

            # errors, on GET and HEAD
            for method in ("GET", "HEAD"):
                for path, status, code in (("/acme/tiny/resolve/main/nope.bin", 404, "EntryNotFound"),
                                           ("/acme/tiny/resolve/nope/config.json", 404, "RevisionNotFound"),
                                           ("/acme/nope/resolve/main/config.json", 401, "RepoNotFound"),
                                           ("/api/models/acme/nope", 401, "RepoNotFound"),
                                           ("/api/models/acme/tiny/revision/nope", 404, "RevisionNotFound")):
                    with self.subTest(method=method, path=path):
                        answer = client.ask(method, path)
                        self.assertEqual((status, code), (answer.status, answer["X-Error-Code"]))
                        if code == "EntryNotFound":
                            self.assertEqual(repo["commit"], answer["X-Repo-Commit"])
                        if method == "GET" and path.startswith("/api"):
                            self.assertTrue(answer.json()["error"])
                self.assertEqual(404, client.ask(method, "/acme/nope/resolve/main/x", {"Authorization": "Bearer hf_stranger"}).status)
            for path in ("/acme/tiny/resolve/main/../../../etc/passwd", "/acme/tiny/resolve/main/%2e%2e/%2e%2e/x",
                         "/acme/tiny/resolve/main/a%00b", "/acme/tiny/resolve/main/a%5c..%5cb"):
                self.assertIn(client.get(path).status, (400, 404))
        self.assertEqual(200, get(node, "/acme/old/resolve/main/config.json").status)
        self.assertEqual(200, get(node, "/api/models/acme/old").status)
        self.assert_clean_hub(hub)

    def test_gated_content_only_for_whom_the_hub_gives_it(self):
        hub = self.hub()
        repo = hub.add_repo("acme/gated", size="2MiB", shards=1, gated="auto")
        hub.add_repo("acme/secret", size="1MiB", shards=1, private=True)
        node = self.node("one", hub).start()
        url = file_path("acme/gated", "main", "model.safetensors")
        member, stranger = {"Authorization": "Bearer hf_member"}, {"Authorization": "Bearer hf_stranger"}

        def refused():
            for method in ("HEAD", "GET"):
                self.assertEqual((401, "GatedRepo"), (lambda a: (a.status, a["X-Error-Code"]))(ask(node, method, url)))
                self.assertEqual((403, "GatedRepo"), (lambda a: (a.status, a["X-Error-Code"]))(ask(node, method, url, stranger)))
        refused()
        got = ask(node, "GET", url, member)
        self.assertEqual(by_path(repo)["model.safetensors"]["etag"], hashlib.sha256(got.body).hexdigest())
        refused()  # also now that it is on this disk
        self.assertEqual(200, get(node, "/api/models/acme/gated").status, "the description is everybody's")
        self.assertEqual((401, "RepoNotFound"), (lambda a: (a.status, a["X-Error-Code"]))(get(node, "/api/models/acme/secret")))
        self.assertEqual(200, ask(node, "GET", "/acme/secret/resolve/main/config.json", member).status)
        self.assertEqual(401, get(node, "/acme/secret/resolve/main/config.json").status)
        self.assertEqual(404, ask(node, "GET", "/acme/secret/resolve/main/config.json", stranger).status)
        self.assert_clean_hub(hub)
        for place in (node.log, node.database, *node.state_dir.rglob("*")):
            if place.is_file():
                self.assertNotIn(b"hf_member", place.read_bytes(), place)

    def test_neighbours_share_what_one_of_them_asked(self):
        hub = self.hub()
        repo = hub.add_repo("acme/shared", size="2MiB", shards=1)
        first = self.node("one", hub).start()
        second = self.node("two", hub, peers=[first]).start()
        third = self.node("three", hub, peers=[first]).start()
        for node in (first, second, third):
            wait_until(lambda n=node: len([p for p in n.api("peers")["peers"] if p["alive"]]) == 2, "all know each other")
        tree = f"/api/models/acme/shared/tree/{repo['commit']}?recursive=true"
        # All at the same moment, as when a script starts on every machine.
        answers = {}
        threads = [threading.Thread(target=lambda n=n: answers.update({n.name: get(n, tree)})) for n in (first, second, third)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        self.assertEqual({200}, {a.status for a in answers.values()})
        self.assertEqual(1, len({a.body for a in answers.values()}))
        requests = {name: n for name, n in hub.counters()["requests"].items() if "tree" in name or "info" in name or "revision" in name}
        self.say(f"metadata requests of three nodes: {requests}")
        self.assertEqual(1, sum(n for name, n in requests.items() if "tree" in name))
        hub.reset()
        fourth = self.node("four", hub, peers=[first]).start()
        wait_until(lambda: any(p["alive"] for p in fourth.api("peers")["peers"]), "a neighbour")
        self.assertEqual(200, get(fourth, tree).status)
        asked = hub.counters()["requests"]
        self.assertFalse([name for name in asked if "tree" in name or "info" in name or "revision" in name], asked)

    def test_a_neighbour_that_lies_about_a_listing_is_found_by_the_hubs_word(self):
        hub = self.hub()
        repo = hub.add_repo("acme/told", size="2MiB", shards=1)
        files = by_path(repo)
        liar = self.node("liar", hub).start()
        liar.pull("acme/told")
        tree = get(liar, "/api/models/acme/told/tree/main?recursive=true").json()
        self.assertEqual({e["path"] for e in tree if e["type"] == "file"}, set(files))
        liar.stop()
        # Content that this site has, under another name: no hash of it is wrong.
        (document,) = [p for p in (liar.state_dir / "listings").rglob("*") if p.is_file() and files["LICENSE"]["etag"] in p.read_text()]
        document.write_text(document.read_text().replace(files["LICENSE"]["etag"], files["merges.txt"]["etag"])
                            .replace(f'"size":{files["LICENSE"]["size"]}', f'"size":{files["merges.txt"]["size"]}'))
        liar.start()
        honest = self.node("honest", hub, peers=[liar]).start()
        wait_until(lambda: any(p["alive"] for p in honest.api("peers")["peers"]), "a neighbour")
        hub.reset()
        got = get(honest, file_path("acme/told", "main", "LICENSE"))
        self.assertEqual((200, f'"{files["LICENSE"]["etag"]}"', files["LICENSE"]["size"]), (got.status, got["ETag"], len(got.body)))
        self.assertIn("that a neighbour told is not the Hub's", honest.log.read_text())
        self.assertEqual(1, sum(n for name, n in hub.counters()["requests"].items() if "tree" in name), "then the Hub is asked")

    def test_what_is_here_answers_without_the_hub(self):
        hub = self.hub()
        repo = hub.add_repo("acme/here", size="2MiB", shards=1)
        pulled = hub.add_repo("acme/pulled", size="2MiB", shards=1)
        node = self.node("one", hub).start()
        self.assertEqual(200, get(node, file_path("acme/here", "main", "model.safetensors")).status)
        node.pull("acme/pulled")
        node.held_rows("acme/pulled")
        hub.stop()
        node.stop()
        node.start()
        for name, description in (("acme/here", repo), ("acme/pulled", pulled)):
            for revision in ("main", description["commit"]):
                with self.subTest(repo=name, revision=revision):
                    got = get(node, file_path(name, revision, "model.safetensors"))
                    self.assertEqual(200, got.status, got.body[:300])
                    self.assertEqual(by_path(description)["model.safetensors"]["etag"], hashlib.sha256(got.body).hexdigest())
                    self.assertEqual(200, get(node, f"/api/models/{name}/tree/{revision}?recursive=true").status)
        for path in ("/acme/unknown/resolve/main/x", "/api/models/acme/unknown", "/acme/pulled/resolve/main/never-heard-of"):
            answer = get(node, path)
            self.assertIn(answer.status, (502, 503, 504), path)
            self.assertIsNone(answer["X-Error-Code"])


class BrokenClients(harness.FunctionalTest):
    def test_two_hundred_slow_or_broken_clients_hold_nobody_up(self):
        hub = self.hub()
        hub.add_repo("acme/tiny", size="64MiB", shards=1)
        node = self.node("one", hub).start()
        node.pull("acme/tiny")
        other = self.node("two", hub, peers=[node]).start()
        wait_until(lambda: any(p["alive"] for p in other.api("peers")["peers"]), "the neighbours know each other")
        rss_before = node.proc("status", "VmRSS") / 1024
        url = "/acme/tiny/resolve/main/model.safetensors"
        good = f"GET {url} HTTP/1.1\r\nHost: 127.0.0.1:{node.api_port}\r\n"
        sockets = []
        self.addCleanup(lambda: [s.close() for s in sockets])

        def client(data):
            s = socket.create_connection(("127.0.0.1", node.api_port), timeout=10)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sockets.append(s)
            s.sendall(data)

        for _ in range(50):
            client(b"")  # half-open
            client(b"GET / HT")  # never goes on
            client((good + "\r\n").encode())  # asks for 64 MiB and does not read
            client((good + "X-Half: ").encode())
        # While they hang about, others are served at once.
        stop = threading.Event()

        def drip():  # one byte a second, each a header that never ends
            while not stop.wait(1):
                for s in sockets[1::4]:
                    try:
                        s.send(b"x")
                    except OSError:
                        pass
        threading.Thread(target=drip, daemon=True).start()
        self.addCleanup(stop.set)
        slowest = 0
        for _ in range(20):
            began = time.monotonic()
            self.assertEqual(200, get(node, "/acme/tiny/resolve/main/config.json").status)
            slowest = max(slowest, time.monotonic() - began)
        self.assertLess(slowest, 2)
        host = f"Host: 127.0.0.1:{node.api_port}\r\n"
        for data, statuses in ((f"GET {url} HTTP/1.1\r\n{host}X-Big: {'a' * 100_000}\r\n\r\n", ("431",)),
                               (f"DELETE {url} HTTP/1.1\r\n{host}\r\n", ("405",)),
                               (f"BREW {url} HTTP/1.1\r\n{host}\r\n", ("405", "400")),
                               (f"GET {url} HTTP/1.1\r\nHost: evil.example\r\n\r\n", ("403",)),
                               (f"GET {url} HTTP/1.1\r\n{host}Origin: http://evil.example\r\n\r\n", ("403",)),
                               (f"GET /acme/tiny/resolve/main/../../../../etc/passwd HTTP/1.1\r\n{host}\r\n", ("400", "404")),
                               ("\x00\x01\x02\x03\r\n\r\n", ("400",)),
                               (f"POST {url} HTTP/1.1\r\n{host}Content-Length: 99999999999\r\n\r\n", ("413", "405"))):
            with self.subTest(data=data[:60]):
                answer = raw(node, data.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1).encode("latin-1"))
                self.assertIn(answer.split(b" ")[1].decode(), statuses)
        rss = node.proc("status", "VmRSS") / 1024
        self.say(f"200 broken clients: resident {rss_before:.0f} -> {rss:.0f} MiB, slowest answer to others {slowest * 1000:.0f} ms")
        self.assert_memory(node.peak_rss_mib())
        peers = other.api("peers")["peers"]
        self.assertTrue(any(p["alive"] for p in peers), "heartbeats come on time")
        self.assertNotIn("peer_down", other.log.read_text())
        self.assertTrue(node.process.running())


if __name__ == "__main__":
    harness.main()
