#!/usr/bin/python3
"""kill -9 at random moments over pulls, evictions and adoptions, and a damaged shoal.db: nothing lost, nothing wrong.

SHOAL_FULL=1 kills 200 times. SHOAL_SEED repeats a run.
"""

import contextlib
import os
import random
import shutil
import sqlite3
import subprocess

import harness

MIB = harness.MIB
KILLS = harness.size(12, 200)
# What a kill may cost: 16 requests with a piece each in progress, and what was not recorded within 100 ms or 4 MiB.
IN_FLIGHT = 8 * MIB


def integrity(node):
    with contextlib.closing(sqlite3.connect(node.database)) as db:
        return db.execute("PRAGMA integrity_check").fetchone()[0]


class Crash(harness.FunctionalTest):
    def test_kills_at_random_moments_over_pulls_evictions_and_adoptions(self):
        seed = int(os.environ.get("SHOAL_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 30)
        self.say(f"SHOAL_SEED={seed}")
        rng = random.Random(seed)
        hub = self.hub()
        of_model = harness.size(12, 24)
        repos = {name: hub.add_repo(name, size=f"{of_model}MiB", shards=2) for name in ("acme/a", "acme/b", "acme/c")}
        foreign = hub.add_repo("acme/foreign", size=f"{of_model}MiB", shards=2)
        elsewhere = self.work / "elsewhere"
        before = {p: p.read_bytes() for p in harness.write_hub_cache(elsewhere, hub, foreign).values()}
        hub.reset()
        # Two of three models fit, so that pulls evict.
        node = self.node("one", hub, arguments=["--cache-size-limit", f"{2 * of_model + 8}MiB"]).start()
        hub.rate(of_model * MIB)
        done = 0
        pull = None
        for kill in range(KILLS):
            if pull is None or not pull.running():
                done += pull is not None and pull.popen.returncode == 0
                pull = node.pull_in_background(rng.choice(list(repos)))
            if rng.random() < 0.3:
                adoption = harness.Process(node.cli_command("seed", elsewhere), self.work / "seed.log")
            else:
                adoption = None
            with contextlib.suppress(subprocess.TimeoutExpired):
                pull.popen.wait(rng.uniform(0, 1.2))
            node.kill()
            if adoption:
                adoption.popen.wait(30)
            self.assertEqual("ok", integrity(node), f"kill {kill}")
            self.assertEqual([], harness.wrong_blobs(node.cache_dir), f"kill {kill}")
            self.assertEqual([], self.recorded_but_gone(node), f"kill {kill}")
            node.start()
        hub.rate(0)
        if pull.running():
            pull.popen.wait(60)
        # A model that was evicted and wanted again is fetched again: only what came twice of one stay counts, so the
        # last lap runs without evictions.
        for name, repo in repos.items():
            node.cli("gc", "--to", f"{of_model + 8}MiB", status=None)
            node.pull(name)
            harness.wait_until(lambda n=name: node.held_rows(n), "held")
        self.assertEqual([], harness.wrong_blobs(node.cache_dir))
        self.assertEqual(before, {p: p.read_bytes() for p in before}, "an adopted cache was touched")
        leftovers = [p.name for p in node.cache_dir.rglob("*") if ".shoal-" in p.name]
        self.assertLessEqual(len([n for n in leftovers if not n.endswith(".shoal-partial")]), 2, leftovers)
        self.say(f"{KILLS} kills, {done} pulls came to their end in between, integrity_check ok each time, no wrong file")

    @staticmethod
    def recorded_but_gone(node):
        def there(row):
            with contextlib.suppress(FileNotFoundError):
                return os.stat(row["path"]).st_size == row["size"]
            return False
        return [row["path"] for row in node.sql("SELECT path, size FROM holdings") if not there(row)]

    def test_a_kill_costs_no_more_than_what_was_in_flight(self):
        hub = self.hub()
        total = harness.size(48, 256) * MIB
        repo = hub.add_repo("acme/big", size=total, shards=3)
        node = self.node("one", hub).start()
        hub.rate(total // 8)
        rng = random.Random(7)
        kills = harness.size(6, 40)
        pull = node.pull_in_background("acme/big")
        for kill in range(kills):
            target = total * (kill + 1) // (kills + 2) + rng.randrange(MIB)
            harness.wait_until(lambda: hub.counters()["weight_bytes_unique"] >= target, "some more has arrived", 120)
            node.kill()
            node.start()
        hub.rate(0)
        self.assertEqual(0, pull.popen.wait(120), pull.tail())
        harness.check_snapshot(node.cache_dir, repo)
        repeated = hub.counters()["weight_bytes_repeated"]
        self.say(f"{kills} kills in one pull of {total / MIB:.0f} MiB: {repeated / MIB:.2f} MiB fetched again, "
                 f"{repeated / kills / MIB:.3f} MiB a kill")
        self.assertLess(repeated, kills * IN_FLIGHT)

    def test_a_damaged_database_is_set_aside_and_rebuilt_and_the_pull_goes_on(self):
        hub = self.hub()
        held = hub.add_repo("acme/held", size="8MiB", shards=1)
        coming = hub.add_repo("acme/coming", size="48MiB", shards=2)
        node = self.node("one", hub).start()
        node.pull("acme/held")
        node_id = node.api("node")["node"]
        hub.rate(8 * MIB)
        node.pull("acme/coming", "--detach")
        harness.wait_until(lambda: sum(r["bytes_done"] for r in node.status_rows("acme/coming").values()) > 16 * MIB, "a third is here", 60)
        node.stop()
        # Noise over the last half of the file.
        size = node.database.stat().st_size
        with open(node.database, "r+b") as f:
            f.seek(size // 2 // 4096 * 4096)
            f.write(random.Random(3).randbytes(size - f.tell()))
        hub.rate(0)
        node.start()
        harness.wait_until(lambda: node.sql("SELECT * FROM events WHERE kind = 'state_rebuilt'"), "an event tells", 20)
        self.assertEqual(1, len(list(node.state_dir.glob("shoal.db.damaged-*Z-????????"))))
        harness.wait_until(lambda: node.status_rows("acme/held") and
                           {r["state"] for r in node.status_rows("acme/held").values()} == {"held"}, "the cache is read again", 60)
        self.assertEqual("ok", integrity(node))
        node.pull("acme/coming")
        harness.check_snapshot(node.cache_dir, coming)
        harness.check_snapshot(node.cache_dir, held)
        self.say(f"node id {'kept' if node.api('node')['node'] == node_id else 'new'}, "
                 f"{hub.counters()['weight_bytes_repeated'] / MIB:.1f} MiB fetched again")

    def test_a_database_that_is_lost_or_damaged_in_use(self):
        hub = self.hub()
        held = hub.add_repo("acme/held", size="8MiB", shards=1)
        node = self.node("one", hub).start()
        node.pull("acme/held")
        node.stop()
        node.database.unlink()
        node.start()
        harness.wait_until(lambda: node.sql("SELECT * FROM holdings"), "the cache is read again", 30)
        harness.wait_until(lambda: node.sql("SELECT * FROM events WHERE kind = 'state_rebuilt'"), "an event tells")
        # In use: pages go bad below the running node; it rebuilds without being restarted by anybody.
        harness.wait_until(lambda: node.database.stat().st_size > 0, "")
        node.stop()
        node.start()
        with open(node.database, "r+b") as f:
            f.write(b"\0" * node.database.stat().st_size)
        node.cli("status", status=None)
        harness.wait_until(lambda: list(node.state_dir.glob("shoal.db.damaged-*")), "it is set aside", 60)
        node.wait_ready()
        harness.wait_until(lambda: "acme/held" in node.cli("ls", status=None).stdout, "the cache is read again", 30)
        node.pull("acme/held")
        harness.check_snapshot(node.cache_dir, held)

    def test_a_newer_database_is_refused_with_a_sentence_and_status_3(self):
        hub = self.hub()
        node = self.node("one", hub).start()
        node.stop()
        with contextlib.closing(sqlite3.connect(node.database)) as db:
            db.execute("PRAGMA user_version = 99")
        shutil.copy(node.database, self.work / "before.db")
        node.start(wait=False)
        self.assertEqual(3, node.process.popen.wait(20))
        self.assertIn("newer shoal", node.process.tail())
        self.assertEqual((self.work / "before.db").read_bytes(), node.database.read_bytes())


if __name__ == "__main__":
    harness.main()
