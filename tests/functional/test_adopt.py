#!/usr/bin/python3
"""A cache that other tools filled: adopted in place, verified once, served to neighbours."""

import harness


class Adopt(harness.FunctionalTest):
    def test_an_existing_cache_is_adopted_in_place_and_served(self):
        hub = self.hub()
        repo = hub.add_repo("acme/here", size=harness.size("64MiB", "1GiB"), shards=2)
        one = self.node("one", hub)
        blobs = harness.write_hub_cache(one.cache_dir, hub, repo)
        before = {path: (blob.stat().st_ino, blob.stat().st_mtime_ns) for path, blob in blobs.items()}
        one.start()
        one.cli("seed", one.cache_dir)
        harness.wait_until(lambda: {row["state"] for row in one.status_rows("acme/here").values()} == {"held"},
                           "every file is held", 60)
        rows = one.status_rows("acme/here")
        self.assertEqual({file["path"] for file in repo["files"]}, set(rows))
        for path, row in rows.items():
            self.assertEqual((row["size"], 0, 0), (row["bytes_local"], row["bytes_lan"], row["bytes_origin"]), path)
        self.assertEqual(before, {path: (blob.stat().st_ino, blob.stat().st_mtime_ns) for path, blob in blobs.items()})
        harness.check_snapshot(one.cache_dir, repo)

        two = self.node("two", hub, peers=[one]).start()
        harness.wait_until(lambda: two.sql("SELECT * FROM peers WHERE alive"), "two sees one")
        hub.reset()
        two.pull("acme/here")
        harness.check_snapshot(two.cache_dir, repo)
        self.assertEqual(0, hub.counters()["weight_bytes"])

    def test_what_was_verified_is_not_read_again_after_a_restart(self):
        hub = self.hub()
        repo = hub.add_repo("acme/once", size="128MiB", shards=2)
        node = self.node("one", hub)
        harness.write_hub_cache(node.cache_dir, hub, repo)
        node.start()
        node.cli("seed", node.cache_dir)
        harness.wait_until(lambda: {row["state"] for row in node.status_rows("acme/once").values()} == {"held"}, "all is held", 60)
        node.stop()
        node.start()
        node.cli("seed", node.cache_dir)
        read = node.proc("io", "rchar")
        self.say(f"read from files after the restart: {read / harness.MIB:.1f} MiB of 128")
        self.assertLess(read, 32 * harness.MIB)

    def test_a_rotten_blob_is_named_and_not_served(self):
        hub = self.hub()
        repo = hub.add_repo("acme/rotten", size="32MiB", shards=2)
        one = self.node("one", hub)
        blobs = harness.write_hub_cache(one.cache_dir, hub, repo)
        bad = next(path for path in blobs if path.startswith("model-00001"))
        with open(blobs[bad], "r+b") as f:
            f.seek(12_345_678)
            f.write(b"!!!!")
        one.start()
        out = one.cli("seed", one.cache_dir, status=None)
        self.assertEqual(6, out.returncode, out.stdout + out.stderr)
        self.assertIn(blobs[bad].name, out.stdout + out.stderr)
        two = self.node("two", hub, peers=[one]).start()
        harness.wait_until(lambda: two.sql("SELECT * FROM peers WHERE alive"), "two sees one")
        two.pull("acme/rotten")
        harness.check_snapshot(two.cache_dir, repo)


if __name__ == "__main__":
    harness.main()
