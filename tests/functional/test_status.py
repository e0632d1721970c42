#!/usr/bin/python3
"""The truth in SQL: readable at any moment of a pull, never falling back, and the same as `shoal status --json`."""

import json
import subprocess

import harness

SAME = ("repo", "revision", "commit_id", "path", "blob_id", "size", "bytes_done", "bytes_lan", "bytes_origin",
        "bytes_local", "state")


class Status(harness.FunctionalTest):
    def setUp(self):
        super().setUp()
        self.hub_ = self.hub()
        self.repo = self.hub_.add_repo("acme/big", size=harness.size("256MiB", "1GiB"), shards=4)

    def read_once(self, node, last):
        """One run of the sqlite3 program, as an operator types it. Checks each row against the one before."""
        out = subprocess.run(["sqlite3", "-json", node.database, "SELECT * FROM status"], capture_output=True, text=True, timeout=30)
        self.assertNotIn("locked", out.stderr)
        self.assertEqual((0, ""), (out.returncode, out.stderr))
        for row in json.loads(out.stdout or "[]"):
            what = f"{row['path']}: {row}"
            self.assertGreaterEqual(row["percent"], last.get(row["path"], 0), what)
            self.assertLessEqual(row["percent"], 100, what)
            self.assertLessEqual(row["bytes_done"], row["size"], what)
            self.assertEqual(row["bytes_done"], row["bytes_lan"] + row["bytes_origin"] + row["bytes_local"], what)
            last[row["path"]] = row["percent"]

    def read_during(self, node, pull):
        reads, last = 0, {}
        while pull.running():
            self.read_once(node, last)
            reads += 1
        self.assertEqual(0, pull.popen.wait(), pull.tail())
        node.held_rows("acme/big")
        self.read_once(node, last)
        self.assertEqual({f["path"] for f in self.repo["files"]}, set(last))
        self.assertEqual({100}, set(last.values()))
        self.say(f"{node.name}: {reads} reads during the pull, none locked")
        return reads

    def test_sqlite3_reads_in_a_loop_during_pulls_at_full_speed(self):
        one = self.node("one", self.hub_).start()
        two = self.node("two", self.hub_, peers=[one]).start()
        harness.wait_until(lambda: two.sql("SELECT * FROM peers WHERE alive"), "two sees one")
        self.assertGreater(self.read_during(one, one.pull_in_background("acme/big")), 5)
        self.assertGreater(self.read_during(two, two.pull_in_background("acme/big")), 5)

    def test_rows_agree_with_shoal_status(self):
        node = self.node("one", self.hub_).start()
        node.pull("acme/big")
        node.held_rows("acme/big")
        self.assertEqual(self.from_sql(node), self.from_cli(node))

    def test_rows_agree_with_shoal_status_during_a_pull(self):
        self.hub_.rate(16 * harness.MIB)
        node = self.node("one", self.hub_).start()
        node.pull("acme/big", "--detach")
        harness.wait_until(lambda: any(r["bytes_done"] for r in node.status_rows("acme/big").values()), "bytes are arriving")

        # The API is asked between two reads of the database; what did not change between them has to agree.
        def agree():
            before, cli, after = self.from_sql(node), self.from_cli(node), self.from_sql(node)
            for path, row in cli.items():
                self.assertIn(path, after)
                self.assertLessEqual(before[path]["bytes_done"] if path in before else 0, after[path]["bytes_done"])
            return cli == before or cli == after
        harness.wait_until(agree, "the database and the API show the same rows", 30)
        node.cli("cancel", node.sql("SELECT * FROM pulls")[0]["id"])

    def from_sql(self, node):
        return {path: {key: row[key] for key in SAME} for path, row in node.status_rows("acme/big").items()}

    def from_cli(self, node):
        rows = json.loads(node.cli("status", "acme/big", "--json").stdout)["status"]
        return {row["path"]: {key: row[key] for key in SAME} for row in rows}

    def test_the_documented_views_are_there(self):
        node = self.node("one", self.hub_).start()
        node.pull("acme/big")
        for view in ("status", "pulls", "peers", "holdings", "events"):
            node.sqlite3(f"SELECT * FROM {view}")
        columns = list(node.sql("SELECT * FROM status LIMIT 1")[0])
        for name in ("repo", "revision", "commit_id", "path", "blob_id", "size", "bytes_done", "bytes_lan", "bytes_origin",
                     "bytes_local", "percent", "bytes_per_s", "eta_s", "state", "waiting_for", "error", "updated_at"):
            self.assertIn(name, columns)


if __name__ == "__main__":
    harness.main()
