#!/usr/bin/python3
"""Headless Chromium clicks through the status page of real nodes."""

import contextlib
import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import tempfile
import unittest
import urllib.parse

import harness
from harness import MIB

SOURCE = pathlib.Path(__file__).resolve().parent / "page_js"
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")


def setUpModule():
    """Installs the pinned driver by its lock file into a directory of its own; the browser is Debian's."""
    global folder
    for program in ("node", "npm"):
        if not shutil.which(program):
            raise unittest.SkipTest(f"{program} is not installed, so no browser can be driven")
    if not os.access(CHROMIUM, os.X_OK):
        raise unittest.SkipTest(f"{CHROMIUM} is not there (package chromium), so the page cannot be opened")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="shoal-test-page-"))
    unittest.addModuleCleanup(shutil.rmtree, folder, True)
    for name in ("package.json", "package-lock.json", ".npmrc", "page.mjs"):
        shutil.copy(SOURCE / name, folder)
    out = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-progress"], cwd=folder, capture_output=True, text=True, timeout=150)
    if out.returncode != 0:
        raise unittest.SkipTest(f"npm ci failed: {out.stderr.strip().splitlines()[-1:]}")


class Page(harness.FunctionalTest):
    def browse(self, scenario, node, *arguments, at=None):
        """What the scenario saw. `at`: word that it says -> what is done then."""
        page = subprocess.Popen(["node", "page.mjs", scenario, node.api_url + "/", *map(str, arguments)], cwd=folder, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, env=harness.clean_environment(folder) | {"TMPDIR": str(self.work), "CHROMIUM": CHROMIUM})
        self.addCleanup(page.kill)
        said = ""
        for word, action in (at or {}).items():
            line = page.stderr.readline()
            while line and line.strip() != word:
                said += line
                line = page.stderr.readline()
            if line:
                action()
        out, err = page.communicate(timeout=150)
        if page.returncode != 0:
            raise AssertionError(f"page.mjs {scenario}: {(said + err)[-3000:]}")
        seen = json.loads(out.splitlines()[-1])
        # Whatever the scenario: no request to another host, nothing that the page's policy refused, no error.
        self.assertEqual([urllib.parse.urlsplit(node.api_url).netloc], seen["hosts"])
        self.assertEqual([], seen["errors"])
        return seen

    def test_a_click_through_during_a_pull(self):
        hub = self.hub()
        hub.add_repo("acme/tiny", size="96MiB", shards=3)
        one = self.node("one", hub).start()
        two = self.node("two", hub, peers=[one]).start()
        hub.rate(3 * MIB)

        def pull():
            # Two nodes pull together, so that bytes come from both sides.
            two.cli("pull", "acme/tiny", "--detach")
            one.cli("pull", "acme/tiny", "--detach")

        seen = self.browse("click", one, at={"open": pull, "finish": lambda: hub.rate(0)})
        self.assertEqual([], seen["console"])

        self.assertEqual("acme/tiny", seen["repo"])
        self.assertGreater(seen["map_before"]["--origin"], 0)
        self.assertGreater(seen["map_before"]["--none"], 0)
        here = ("--lan", "--origin")
        self.assertGreater(sum(seen["map_after"][c] for c in here), sum(seen["map_before"][c] for c in here), "the map fills")
        self.assertIn("% from the Hub", seen["map_label"])
        self.assertGreaterEqual(seen["files"], 4)
        self.assertEqual(("true", "false"), (seen["expanded"], seen["collapsed"]))
        self.assertIn("from the Hub", seen["rates_label"])
        self.assertEqual("true", seen["minutes_pressed"])
        self.assertEqual(2, seen["machines"])
        self.assertEqual("2", seen["machines_up"])
        self.assertGreater(seen["events"], seen["trouble"])
        self.assertEqual(["Theme: light", "Theme: dark", "Theme: auto"], [name for name, _ in seen["themes"]])
        self.assertNotEqual(seen["themes"][0][1], seen["themes"][1][1], "dark is another background")
        self.assertEqual("Skip to the pulls", seen["first_stop"])
        self.assertEqual([], seen["unnamed"])
        self.assertEqual([], seen["landmarks"])
        self.assertLessEqual(seen["phone_overflow"], 0)
        self.assertGreater(seen["phone_names"], 120, "a repo's name has room on a phone")
        self.assertIn("acme/tiny is done", seen["announced"])
        self.assertEqual(16, seen["model_files"])
        self.assertEqual((0, 1), (seen["found_none"], seen["found"]))

    def test_300_repos_with_10000_files_open_at_once(self):
        empty = self.browse("empty", self.node("empty", "http://127.0.0.1:9").start())
        node = self.node("one", "http://127.0.0.1:9").start()
        node.stop()
        with contextlib.closing(sqlite3.connect(node.database)) as db, db:
            db.executemany(
                "INSERT INTO file (type, repo, revision, commit_id, path, blob_id, size, bytes_done, bytes_lan, bytes_origin, bytes_local, "
                "bytes_per_s, eta_s, state, waiting_for, error, updated_at) VALUES ('model', ?, 'main', ?, ?, ?, ?, ?, ?, 0, 0, 0, NULL, 'held', '', '', 1)",
                ((f"org-{r % 9}/model-{r:03}", f"{r:040x}", f"part-{f:05}.safetensors", f"sha256:{r * 1000 + f:064x}", 1 << 30, 1 << 30, 1 << 30)
                 for r in range(300) for f in range(34)))
        node.start()
        seen = self.browse("big", node, "org-8/model-296")
        self.assertEqual("300 repos, 10,200 files", seen["count"])
        self.assertLess(seen["rows"], 60, "rows that nobody sees are not in the document")
        self.assertLess(seen["rows_scrolled"], 60)
        frames = seen["frames"]
        frame, least_frame = (f[len(f) // 2] for f in (frames, empty["frames"]))
        self.say(f"300 repos, 10,200 files: open in {seen['ms']} ms (an empty node: {empty['ms']}); {len(frames)} frames while scrolling: "
                 f"median {frame:.0f} ms (of an empty page that stands: {least_frame:.0f}), worst {frames[-1]:.0f} ms")
        self.assertGreater(len(frames), 50)
        # Promised are a second and 30 frames a second. A machine whose browser is slow with an empty page is held against that.
        self.assertLess(min(seen["ms"]), max(1000, 2.5 * min(empty["ms"])), "opens in under a second")
        self.assertLess(frame, max(34, 2 * least_frame), "scrolls at 30 frames a second or more")

    def test_a_page_that_stays_open_over_a_restart_shows_what_is_new(self):
        hub = self.hub()
        hub.add_repo("acme/late", size="1MiB", shards=1)
        node = self.node("one", hub).start()

        def restart():
            node.stop()
            node.start()
            node.pull("acme/late")

        self.assertIn("trying again", self.browse("restart", node, "acme/late", at={"open": restart})["lost"])

    def test_a_node_with_a_token_asks_for_it(self):
        token = self.work / "token"
        token.write_text("s3cret\n")
        node = self.node("one", "http://127.0.0.1:9", arguments=["--api-token-file", token])
        node.start(wait=False)
        harness.wait_until(lambda: node.http("/healthz"), "the node answers")
        seen = self.browse("token", node, "s3cret")
        self.assertEqual(("one", False), (seen["name"], seen["form"]))


if __name__ == "__main__":
    harness.main()
