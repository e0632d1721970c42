"""Installs the pinned JavaScript client of the Hub by its lock file into a directory of its own, and runs scripts with it."""

import json
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import harness

SOURCE = pathlib.Path(__file__).resolve().parent / "js"


class JsClient:
    """For setUpModule(). Skips the module where node or npm is missing or the registry cannot be reached."""

    def __init__(self, script):
        for program in ("node", "npm"):
            if not shutil.which(program):
                raise unittest.SkipTest(f"{program} is not installed, so the real JavaScript client cannot run")
        self.script = script
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="shoal-test-js-"))
        unittest.addModuleCleanup(shutil.rmtree, self.folder, True)
        for name in ("package.json", "package-lock.json", ".npmrc", script):
            shutil.copy(SOURCE / name, self.folder)
        out = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-progress"], cwd=self.folder, capture_output=True, text=True, timeout=150)
        if out.returncode != 0:
            raise unittest.SkipTest(f"npm ci failed: {out.stderr.strip().splitlines()[-1:]}")

    def __call__(self, *arguments):
        """The JSON of the last line that the script prints."""
        out = subprocess.run(["node", self.script, *map(str, arguments)], cwd=self.folder, capture_output=True, text=True, timeout=120,
                             env=harness.clean_environment(self.folder))
        if out.returncode != 0:
            raise AssertionError(f"{self.script} {arguments}: {out.stderr[-3000:]}")
        return json.loads(out.stdout.splitlines()[-1])
