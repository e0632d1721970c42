#!/usr/bin/python3
"""tools/check-docs finds documents that say what is not so, and is content with those that agree."""
import pathlib
import stat
import subprocess
import tempfile
import unittest

CHECKER = pathlib.Path(__file__).resolve().parents[2] / "tools" / "check-docs"

GOOD = {
    "README.md": "See [operations](docs/operations.md) and `tools/test`, `node/core/{ids,load}.h`, `docs/*.md`.\n\n"
                 "    tools/test --unit\n    $ sudo -u shoal shoald --cache-dir /srv/hub\n\n"
                 "```toml\ncache_dir = \"/srv\"\n```\n\n```sh\nshoal pull org/name --json   # a comment --odd\n```\n",
    "docs/operations.md": "Back to [the start](../README.md), [a site](https://example.org/x).\n",
    "docs/configuration.md": "| `cache_dir` |\n",
    "docs/status-table.md": "## View `held`\n\n| column | unit |\n|---|---|\n| `path` | |\n| `size` | bytes |\n",
    "tools/test": "", "node/core/ids.h": "", "node/core/load.h": "",
    "storage/sql/migrations/01-tables.sql": "CREATE TABLE blob (path TEXT, bytes INTEGER);\n",
    "storage/sql/schema/views.sql": "CREATE VIEW held AS SELECT path, bytes AS size FROM blob;\n",
}
SHOALD = """#!/bin/sh
case "$1" in
  --print-config-docs) echo '| `cache_dir` |' ;;
  --help) echo '  --cache-dir DIR   where' ;;
esac
"""
SHOAL = """#!/bin/sh
case "$1" in
  --help) printf 'Commands:\\n  pull   get a repo\\n  --api URL\\n' ;;
  pull) echo '  --json' ;;
esac
"""


def run_on(extra, *options, programs=True):
    with tempfile.TemporaryDirectory(prefix="shoal-docs-") as root:
        for name, text in {**GOOD, "bin/shoald": SHOALD, "bin/shoal": SHOAL, **extra}.items():
            path = pathlib.Path(root, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            path.chmod(path.stat().st_mode | stat.S_IXUSR)
        command = [CHECKER, "--root", root, *options]
        if programs:
            command += ["--shoald", f"{root}/bin/shoald", "--shoal", f"{root}/bin/shoal"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout + done.stderr


class CheckDocs(unittest.TestCase):
    def test_documents_that_agree_pass(self):
        status, out = run_on({})
        self.assertEqual(status, 0, out)

    def test_each_kind_of_wrong_statement_is_found_at_its_line(self):
        views = GOOD["docs/status-table.md"]
        cases = [
            ("docs/a.md", "\n[gone](gone.md)\n", "docs/a.md:2: the link gone.md leads nowhere"),
            ("docs/a.md", "`tools/gone`\n", "docs/a.md:1: tools/gone does not exist"),
            ("docs/a.md", "`node/core/{ids,gone}.h`\n", "docs/a.md:1: node/core/gone.h does not exist"),
            ("docs/a.md", "`node/*.txt`\n", "docs/a.md:1: node/*.txt does not exist"),
            ("docs/a.md", "x\n\n    tools/gone --now\n", "docs/a.md:3: tools/gone does not exist"),
            ("docs/a.md", "```\ncat docs/gone.md\n```\n", "docs/a.md:2: docs/gone.md does not exist"),
            ("docs/a.md", "```toml\ncash_dir = \"/srv\"\n```\n", "docs/a.md:2: cash_dir is no key"),
            ("docs/a.md", "```sh\nsudo shoald --cash-dir /srv\n```\n", "docs/a.md:2: shoald has no option --cash-dir"),
            ("docs/a.md", "```sh\nshoal pull x --jsn\n```\n", "docs/a.md:2: shoal has no option --jsn"),
            ("docs/a.md", "```sh\nshoal pul x\n```\n", "docs/a.md:2: shoal has no command pul"),
            ("docs/configuration.md", "| `cash_dir` |\n", "docs/configuration.md:1: is not what"),
            ("docs/status-table.md", views.replace("| `path` | |\n", ""), "not described ['path']"),
            ("docs/status-table.md", views + "| `gone` | |\n", "not there ['gone']"),
            ("docs/status-table.md", views.replace("`held`", "`hold`"), "there is no view hold"),
        ]
        for name, text, finding in cases:
            with self.subTest(finding=finding):
                status, out = run_on({name: text})
                self.assertEqual(status, 1, out)
                self.assertIn(finding, out)

    def test_a_program_that_is_not_built_is_said_loudly_and_passes_nothing(self):
        status, out = run_on({}, "--shoald", "/nonexistent/shoald", programs=False)
        self.assertEqual(status, 77, out)
        self.assertIn("SKIPPED", out)

    def test_update_writes_the_page_of_the_configuration(self):
        status, out = run_on({"docs/configuration.md": "old\n"}, "--update")
        self.assertEqual(status, 0, out)


if __name__ == "__main__":
    unittest.main()
