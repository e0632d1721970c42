#!/usr/bin/python3
"""The stand-in Hub itself: what it answers, and that its faults and counters do what they say. Needs no shoald."""

import hashlib
import json
import subprocess
import urllib.parse

import harness
from fake_hub.counters import Intervals


class FakeHubTest(harness.FunctionalTest):
    needs_shoald = False

    def setUp(self):
        super().setUp()
        self.hub_ = self.hub()
        self.repo = self.hub_.add_repo("acme/tiny", size="8MiB", shards=2, odd=True)
        self.shard = next(f for f in self.repo["files"] if f["lfs"])

    def curl(self, path, *arguments, follow=True):
        """(status, headers of the last answer, body)"""
        url = path if path.startswith("http") else self.hub_.url + path
        head, body = self.work / "head", self.work / "body"
        body.write_bytes(b"")
        out = subprocess.run(["curl", "-sS", "--noproxy", "*", *(["-L"] if follow else []), "-D", head, "-o", body,
                              "-w", "%{http_code}", *arguments, url], capture_output=True, text=True, timeout=60)
        lines = head.read_text().strip().split("\n\n")[-1].replace("\r", "").splitlines()
        last = lines[max(i for i, line in enumerate(lines) if line.startswith("HTTP/")):] if lines else []
        headers = dict(line.split(": ", 1) for line in last[1:] if ": " in line)
        self.curl_status = out.returncode
        return int(out.stdout or 0), headers, body.read_bytes()

    def resolve(self, file, *arguments, **options):
        return self.curl(f"/acme/tiny/resolve/main/{urllib.parse.quote(file['path'])}", *arguments, **options)

    def test_every_file_arrives_and_matches_its_hash(self):
        for file in self.repo["files"]:
            status, _, body = self.resolve(file)
            self.assertEqual(200, status, file["path"])
            name = hashlib.sha256(body) if file["lfs"] else hashlib.sha1(b"blob %d\0" % len(body) + body)
            self.assertEqual(file["etag"], name.hexdigest(), file["path"])

    def test_an_lfs_file_is_redirected_with_its_hash_on_the_redirect_only(self):
        status, headers, _ = self.resolve(self.shard, follow=False)
        self.assertEqual(302, status)
        self.assertEqual(f'"{self.shard["etag"]}"', headers["X-Linked-ETag"])
        self.assertEqual(str(self.shard["size"]), headers["X-Linked-Size"])
        self.assertEqual(self.repo["commit"], headers["X-Repo-Commit"])
        self.assertTrue(headers["Location"].startswith(self.hub_.cdn))
        status, headers, body = self.curl(headers["Location"], "-r", "100-299")
        self.assertEqual((206, 200), (status, len(body)))
        self.assertEqual(f"bytes 100-299/{self.shard['size']}", headers["Content-Range"])
        self.assertNotIn("X-Linked-ETag", headers)
        self.assertNotEqual(self.shard["etag"], headers["ETag"].strip('"'))

    def test_a_small_file_is_redirected_relatively(self):
        status, headers, _ = self.curl("/acme/tiny/resolve/main/config.json", follow=False)
        self.assertEqual(307, status)
        self.assertTrue(headers["Location"].startswith(f"/api/resolve-cache/models/acme/tiny/{self.repo['commit']}/config.json?"))

    def test_the_tree_comes_in_pages(self):
        paths, url = [], "/api/models/acme/tiny/tree/main?recursive=true&limit=7"
        while url:
            _, headers, body = self.curl(url)
            paths += [entry["path"] for entry in json.loads(body) if entry["type"] == "file"]
            link = headers.get("Link", "")
            url = link[1:link.index(">")] if link else None
        self.assertEqual(sorted(f["path"] for f in self.repo["files"]), sorted(paths))

    def test_errors_carry_the_codes_of_the_hub(self):
        self.hub_.add_repo("acme/gated", size="64KiB", shards=1, gated="auto")
        self.hub_.add_repo("acme/private", size="64KiB", shards=1, private=True)
        member, stranger = (["-H", f"Authorization: Bearer hf_{who}"] for who in ("member", "stranger"))
        for path, arguments, status, code in [
            ("/acme/tiny/resolve/main/nope", [], 404, "EntryNotFound"),
            ("/acme/tiny/resolve/nope/config.json", [], 404, "RevisionNotFound"),
            ("/api/models/acme/nope", [], 401, None),
            ("/api/models/acme/nope", member, 404, "RepoNotFound"),
            ("/api/models/acme/tiny", ["-H", "Authorization: Bearer hf_bad"], 401, None),
            ("/acme/gated/resolve/main/config.json", [], 401, "GatedRepo"),
            ("/acme/gated/resolve/main/config.json", stranger, 403, "GatedRepo"),
            ("/acme/gated/resolve/main/config.json", member, 200, None),
            ("/api/models/acme/private", [], 401, None),
            ("/api/models/acme/private", stranger, 404, "RepoNotFound"),
            ("/api/models/acme/private", member, 200, None),
        ]:
            got, headers, _ = self.curl(path, *arguments)
            self.assertEqual((status, code), (got, headers.get("X-Error-Code")), f"{path} {arguments}")

    def test_a_token_at_the_cdn_is_refused_and_counted(self):
        _, headers, _ = self.resolve(self.shard, follow=False)
        status, _, _ = self.curl(headers["Location"], "-H", "Authorization: Bearer hf_member")
        self.assertEqual(400, status)
        self.assertEqual(1, self.hub_.counters()["authorization_at_cdn"])

    def test_an_altered_or_old_url_is_forbidden(self):
        _, headers, _ = self.resolve(self.shard, follow=False)
        status, _, _ = self.curl(headers["Location"].replace("Signature=", "Signature=0"))
        self.assertEqual(403, status)
        self.hub_.faults({"kind": "expired", "times": 1})
        status, _, body = self.curl(headers["Location"])
        self.assertEqual(403, status)
        self.assertIn(b"<Error>", body)
        self.assertEqual(200, self.curl(headers["Location"])[0])

    def test_faults_do_what_they_say(self):
        good = self.resolve(self.shard)[2]

        self.hub_.faults({"kind": "corrupt", "offset": -1, "times": 1})
        bad = self.resolve(self.shard)[2]
        self.assertEqual((good[:-1], good[-1] ^ 0x55), (bad[:-1], bad[-1]))

        self.hub_.faults({"kind": "truncate", "after": 1000, "times": 1})
        self.assertEqual(good[:1000], self.resolve(self.shard)[2])
        self.assertEqual(18, self.curl_status)  # curl: the transfer was cut short

        self.hub_.faults({"kind": "truncate", "after": 1000, "matching_length": True, "times": 1})
        self.assertEqual(good[:1000], self.resolve(self.shard)[2])
        self.assertEqual(0, self.curl_status)

        self.hub_.faults({"kind": "ignore_range", "times": 1})
        status, _, body = self.resolve(self.shard, "-r", "5-9")
        self.assertEqual((200, good), (status, body))

        self.hub_.faults({"kind": "shift_range", "by": 3, "times": 1})
        _, headers, body = self.resolve(self.shard, "-r", "5-9")
        self.assertEqual((f"bytes 5-9/{len(good)}", good[8:13]), (headers["Content-Range"], body))

        self.hub_.faults({"kind": "reset", "after": 500, "times": 1})
        self.resolve(self.shard)
        self.assertEqual(56, self.curl_status)  # curl: failure in receiving

        self.hub_.faults({"kind": "stall", "after": 500, "times": 1})
        self.assertEqual(good[:500], self.resolve(self.shard, "-m", "1")[2])

        self.hub_.faults({"kind": "wrong_length", "delta": 10, "times": 1})
        self.assertEqual(str(len(good) + 10), self.resolve(self.shard)[1]["Content-Length"])

        self.hub_.faults({"kind": "rate_limited", "on": "hub", "seconds": 30, "times": 1})
        status, headers, _ = self.resolve(self.shard)
        self.assertEqual(429, status)
        self.assertRegex(headers["RateLimit"], r'"resolvers";r=0;t=\d+')

        self.hub_.faults({"kind": "status", "code": 502, "match": "model-00001", "times": 1})
        self.assertEqual(502, self.resolve(self.shard)[0])
        self.assertEqual(good, self.resolve(self.shard)[2])

    def test_repeated_bytes_are_counted_once_they_repeat(self):
        self.resolve(self.shard, "-r", "0-999")
        self.resolve(self.shard, "-r", "500-1499")
        counters = self.hub_.counters()
        self.assertEqual((2000, 1500, 500), (counters["weight_bytes"], counters["weight_bytes_unique"],
                                             counters["weight_bytes_repeated"]))

    def test_a_branch_moves_on_demand(self):
        before = self.repo["commit"]
        after = self.hub_.admin("commit", {"id": "acme/tiny", "files": {"config.json": "{}"}})["commit"]
        self.assertNotEqual(before, after)
        self.assertEqual(b"{}", self.curl("/acme/tiny/resolve/main/config.json")[2])
        self.assertNotEqual(b"{}", self.curl(f"/acme/tiny/resolve/{before}/config.json")[2])

    def test_a_rate_holds_for_all_connections_together(self):
        self.hub_.rate(4 << 20)
        begin = harness.time.monotonic()
        path = f"{self.hub_.url}/acme/tiny/resolve/main/{self.shard['path']}"
        curls = [subprocess.Popen(["curl", "-sSL", "--noproxy", "*", "-o", "/dev/null", path]) for _ in range(2)]
        self.assertEqual([0, 0], [curl.wait(30) for curl in curls])
        self.assertGreater(harness.time.monotonic() - begin, 1.5)  # 8 MiB at 4 MiB/s

    def test_stops_cleanly_while_a_client_is_served(self):
        hub = harness.FakeHub(self.work, "--generate", "acme/slow,size=64MiB,shards=1", "--rate", "100000")
        curl = subprocess.Popen(["curl", "-sL", "--noproxy", "*", "-o", "/dev/null", f"{hub.url}/acme/slow/resolve/main/model.safetensors"])
        harness.wait_until(lambda: hub.counters()["weight_bytes"], "the transfer has begun")
        self.assertEqual(0, hub.stop())
        self.assertNotEqual(0, curl.wait(10))


class IntervalsTest(harness.unittest.TestCase):
    def test_intervals_agree_with_a_set_of_bytes(self):
        import random
        rng = random.Random(5)
        for _ in range(50):
            fast, slow = Intervals(), set()
            for _ in range(60):
                start = rng.randrange(200)
                end = start + rng.randrange(40)
                self.assertEqual(len(slow & set(range(start, end))), fast.add(start, end))
                slow |= set(range(start, end))
                self.assertEqual(len(slow), fast.total())


if __name__ == "__main__":
    harness.main()
