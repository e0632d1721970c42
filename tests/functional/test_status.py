#!/usr/bin/python3
"""The truth in SQL: readable at any moment of a pull, never falling back, and the same as `shoal status --json`."""

import contextlib
import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import termios

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


class Watch(harness.FunctionalTest):
    """`shoal status --watch` on a terminal of its own."""

    def setUp(self):
        super().setUp()
        self.node_ = self.node("one", "http://127.0.0.1:9").start()
        command = self.node_.cli_command("status", "--watch")
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm"
            os.execv(command[0], command)
        self.addCleanup(self.end)
        self.shown = b""
        self.resize(100, 30)

    def end(self):
        with contextlib.suppress(OSError, ChildProcessError):
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.terminal)

    def resize(self, columns, rows):
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read_until(self, condition, what):
        """Reads until condition(everything shown so far) holds."""
        def met():
            if select.select([self.terminal], [], [], 0.1)[0]:
                with contextlib.suppress(OSError):  # EIO: the program is gone
                    self.shown += os.read(self.terminal, 65536)
            return condition(self.shown)
        harness.wait_until(met, what, 20, pause=0)

    def read_text(self, text):
        self.read_until(lambda shown: text in shown, f"{text} is shown")

    def test_it_fills_the_terminal_follows_its_size_and_gives_it_back(self):
        self.read_text(b"\x1b[?1049h")
        self.read_text(b"q quits")
        self.assertIn(b"nothing is being fetched", self.shown)
        self.shown = b""
        self.resize(40, 5)
        # A whole screen of five lines: from the top to the end, four line ends between.
        self.read_until(lambda shown: any(screen.count(b"\r\n") == 4 and screen.endswith(b"\x1b[J")
                                          for screen in shown.split(b"\x1b[H")), "five lines are drawn")
        os.write(self.terminal, b"q")
        self.read_text(b"\x1b[?1049l")
        _, status = os.waitpid(self.pid, 0)
        self.assertEqual(0, os.waitstatus_to_exitcode(status))

    def test_a_node_that_goes_away_ends_it_with_its_exit_status(self):
        self.read_text(b"q quits")
        self.node_.stop()
        self.read_text(b"\x1b[?1049l")
        _, status = os.waitpid(self.pid, 0)
        self.assertEqual(3, os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    harness.main()
