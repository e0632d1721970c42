#!/usr/bin/python3
"""What goes wrong at the Hub, the CDN and at neighbours: the pull ends right, or says why; never a wrong blob."""

import os
import time

import harness


class Faults(harness.FunctionalTest):
    def setUp(self):
        super().setUp()
        self.hub_ = self.hub()
        self.repo = self.hub_.add_repo("acme/tiny", size="48MiB", shards=2)
        self.weights = sum(f["size"] for f in self.repo["files"] if f["lfs"])

    def pull(self, *faults, status=0, timeout=150):
        """Pulls with the faults on; checks exit status, cache and that nothing wrong was published."""
        self.hub_.faults(*faults)
        node = self.node("one", self.hub_).start()
        begin = time.monotonic()
        out = node.pull("acme/tiny", status=status, timeout=timeout)
        self.say(f"{', '.join(f['kind'] for f in faults)}: exit {out.returncode} after {time.monotonic() - begin:.1f} s, "
                 f"{self.hub_.counters()['weight_bytes_repeated'] / harness.MIB:.1f} MiB fetched again"
                 + (f": {out.stderr.strip().splitlines()[-1:]}" if out.returncode else ""))
        self.assertEqual([], harness.wrong_blobs(node.cache_dir))
        self.assertTrue(self.hub_.counters()["faults"], "the fault has never hit")
        if out.returncode == 0:
            harness.check_snapshot(node.cache_dir, self.repo)
        else:
            self.assertRegex(out.stderr.splitlines()[-1], "^shoal: .+", "one line at the end that helps")
        self.assert_clean_hub(self.hub_)
        return node, out

    # Wrong bytes

    def test_wrong_bytes_from_the_cdn_once(self):
        self.pull({"kind": "corrupt", "offset": 5_000_000, "match": "model-00001", "times": 1})

    def test_a_wrong_last_byte_once(self):
        self.pull({"kind": "corrupt", "offset": -1, "match": "model-00001", "times": 1})

    def test_wrong_bytes_for_ever_end_with_status_6(self):
        node, out = self.pull({"kind": "corrupt", "offset": 5_000_000, "match": "model-00001"}, status=6)
        self.assertIn("model-00001", out.stderr)
        # The other files are here, the bad one is not published.
        bad = next(f for f in self.repo["files"] if f["path"].startswith("model-00001"))
        self.assertFalse((node.repo_dir("acme/tiny") / "blobs" / bad["etag"]).exists())
        # When the CDN is well again, so is the pull.
        self.hub_.clear_faults()
        node.pull("acme/tiny")
        harness.check_snapshot(node.cache_dir, self.repo)

    def test_a_range_that_lies(self):
        self.pull({"kind": "shift_range", "by": 4096, "lie": True, "times": 1})

    def test_a_range_that_is_shifted_and_says_so(self):
        self.pull({"kind": "shift_range", "by": 4096, "lie": False, "times": 2})

    def test_wrong_bytes_from_a_neighbour(self):
        one = self.node("one", self.hub_).start()
        one.pull("acme/tiny")
        shard = next(f for f in self.repo["files"] if f["path"].startswith("model-00001"))
        blob = one.repo_dir("acme/tiny") / "blobs" / shard["etag"]
        stat = blob.stat()
        with open(blob, "r+b") as f:  # the disk rots without telling anybody
            f.seek(7_000_000)
            f.write(b"rotten!!")
        os.utime(blob, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        two = self.node("two", self.hub_, peers=[one]).start()
        harness.wait_until(lambda: two.sql("SELECT * FROM peers WHERE alive"), "two sees one")
        begin = time.monotonic()
        two.pull("acme/tiny", timeout=150)
        self.say(f"rotten neighbour: right after {time.monotonic() - begin:.1f} s")
        self.assertEqual([], harness.wrong_blobs(two.cache_dir))
        harness.check_snapshot(two.cache_dir, self.repo)

    # Too little, too slow, not at all

    def test_truncated_bodies(self):
        self.pull({"kind": "truncate", "after": 300_000, "times": 5})

    def test_truncated_bodies_with_a_length_to_match(self):
        self.pull({"kind": "truncate", "after": 300_000, "matching_length": True, "times": 5})

    def test_a_wrong_content_length(self):
        self.pull({"kind": "wrong_length", "delta": -7, "times": 3})

    def test_an_ignored_range(self):
        self.pull({"kind": "ignore_range", "times": 3})

    def test_expired_urls(self):
        self.pull({"kind": "expired", "skip": 1, "times": 4})

    def test_429_for_a_while(self):
        seconds = harness.size(5, 20)
        self.pull({"kind": "rate_limited", "on": "hub", "match": "resolve", "seconds": seconds, "style": "ratelimit"})
        refused = sum(n for key, n in self.hub_.counters()["requests"].items() if key.endswith(" 429"))
        self.say(f"{refused} requests were refused")
        self.assertLess(refused, 60, "a node has to wait as long as the Hub says")

    def test_429_with_retry_after_at_the_cdn(self):
        self.pull({"kind": "rate_limited", "seconds": harness.size(3, 20), "style": "retry-after"})

    def test_429_on_the_api_without_any_hint(self):
        self.pull({"kind": "rate_limited", "on": "hub", "match": "^/api/models", "seconds": 3, "style": "none"})

    def test_server_errors_at_a_rate(self):
        self.pull({"kind": "status", "code": 503, "rate": 0.3}, {"kind": "status", "code": 500, "on": "hub", "rate": 0.2})

    def test_stalled_connections(self):
        self.pull({"kind": "stall", "after": 200_000, "times": 2})

    def test_a_trickle_is_a_stall(self):
        self.pull({"kind": "trickle", "after": 200_000, "bytes_per_s": 100, "times": 2})

    def test_reset_connections(self):
        self.pull({"kind": "reset", "after": 200_000, "times": 6})

    def test_connections_closed_without_an_answer(self):
        self.pull({"kind": "close", "times": 4}, {"kind": "close", "on": "hub", "match": "resolve", "times": 2})

    def test_another_etag_at_the_cdn_is_no_news(self):
        self.pull({"kind": "etag", "value": "f" * 64})

    def test_another_file_behind_the_url_is_refused(self):
        # The tree says one hash, /resolve another, for ever: there is nothing right to be had.
        node, out = self.pull({"kind": "etag", "on": "hub", "match": "resolve.*model-00001", "value": "f" * 64}, status=None)
        self.assertIn(out.returncode, (1, 6))

    def test_a_hub_that_is_down_for_ever_ends_with_a_sentence(self):
        self.hub_.faults({"kind": "status", "code": 503, "on": "hub"})
        node = self.node("one", self.hub_).start()
        out = node.pull("acme/tiny", status=None, timeout=300)
        self.assertEqual(1, out.returncode, out.stderr)
        self.assertIn("503", out.stderr)


if __name__ == "__main__":
    harness.main()
