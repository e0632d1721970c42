#!/usr/bin/python3
"""Each way to fail has its exit status and one line that helps."""

import os
import subprocess

import harness


class ExitStatus(harness.FunctionalTest):
    def setUp(self):
        super().setUp()
        self.hub_ = self.hub()
        self.hub_.add_repo("acme/tiny", size="4MiB", shards=1)
        self.hub_.add_repo("acme/gated", size="4MiB", shards=1, gated="auto")
        self.hub_.add_repo("acme/private", size="4MiB", shards=1, private=True)
        self.hub_.add_repo("acme/huge", size="4MiB", shards=1, phantom="40TiB")
        self.node_ = self.node("one", self.hub_)

    def expect(self, status, *arguments, says=()):
        out = self.node_.cli(*arguments, status=status)
        # Progress may have been told before; the last line is the program's own word.
        lines = [line for line in out.stderr.splitlines() if line.startswith("shoal: ")]
        self.say(f"shoal {' '.join(arguments)}: {status}: {' | '.join(lines)}")
        self.assertEqual(lines, out.stderr.splitlines()[-1:], "one line at the end that says what happened")
        for word in says:
            self.assertIn(word, lines[0])

    def test_pulls_that_cannot_work(self):
        self.node_.start()
        self.expect(4, "pull", "acme/missing", says=["acme/missing"])
        self.expect(4, "pull", "acme/private", says=["acme/private"])  # without a token the Hub does not tell them apart
        self.expect(4, "pull", "acme/tiny@no-such-branch", says=["no-such-branch"])
        self.expect(5, "pull", "acme/gated", says=["acme/gated", "token"])
        self.expect(7, "pull", "acme/huge", says=["free"])
        # Empty ones are removed a moment after the pull has failed.
        harness.wait_until(lambda: not list(self.node_.cache_dir.glob("*/blobs/*.shoal-partial")), "hopeless pulls leave no file", 10)
        self.assertEqual(0, self.hub_.counters()["weight_bytes"])

    def test_a_token_that_is_not_on_the_list(self):
        node = self.node_ = self.node("stranger", self.hub_, env={"HF_TOKEN": "hf_stranger"}).start()
        self.expect(5, "pull", "acme/gated", says=["acme/gated"])
        self.expect(4, "pull", "acme/missing")
        self.assertNotIn("hf_stranger", node.log.read_text())

    def test_a_bad_token(self):
        self.node_ = self.node("bad", self.hub_, env={"HF_TOKEN": "hf_bad"}).start()
        self.expect(5, "pull", "acme/tiny", says=["token"])

    def small_disk(self, mib):
        """A node whose cache is a file system of its own, of this size."""
        if os.geteuid() != 0:
            self.skipTest("a small file system needs root (mount -t tmpfs)")
        node = self.node_ = self.node("small", self.hub_, arguments=["--free-space-floor", "0"])
        node.cache_dir.mkdir()
        out = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m", "shoal-test", node.cache_dir], capture_output=True, text=True)
        if out.returncode != 0:
            self.skipTest(f"cannot mount a tmpfs here: {out.stderr.strip()}")
        # Lazy, so that it works while the node that is stopped later still has files open there.
        self.addCleanup(subprocess.run, ["umount", "-l", node.cache_dir], check=True)
        return node.start()

    def test_a_file_over_the_free_space(self):
        self.hub_.add_repo("acme/large", size="64MiB", shards=1)
        self.small_disk(40)
        self.expect(7, "pull", "acme/large", says=["free"])
        self.assertEqual(0, self.hub_.counters()["weight_bytes"], "it could be known before the first byte")

    def test_a_disk_that_fills_up_during_the_pull(self):
        self.hub_.add_repo("acme/large", size="64MiB", shards=2)
        node = self.small_disk(80)
        self.hub_.rate(16 * harness.MIB)
        pull = node.pull_in_background("acme/large")
        harness.wait_until(lambda: self.hub_.counters()["weight_bytes"] > 8 * harness.MIB, "some bytes have arrived")
        with open(node.cache_dir / "somebody-elses.bin", "wb") as f, self.assertRaises(OSError):
            while True:
                f.write(bytes(harness.MIB))
                f.flush()
        self.assertEqual(7, pull.popen.wait(60), pull.tail())
        self.assertIn("space", pull.tail())
        self.assertEqual([], harness.wrong_blobs(node.cache_dir))
        # Room again: the pull goes on where it was.
        (node.cache_dir / "somebody-elses.bin").unlink()
        self.hub_.rate(0)
        node.pull("acme/large")
        self.assertEqual([], harness.wrong_blobs(node.cache_dir))

    def test_no_daemon(self):
        for command in (["pull", "acme/tiny"], ["status"], ["peers"], ["ls"]):
            self.expect(3, *command, says=["shoald"])

    def test_wrong_usage(self):
        self.node_.start()
        for command in (["pull"], ["pull", "not a repo"], ["pull", "../../etc"], ["fetch", "acme/tiny"], ["pull", "acme/tiny", "--source", "moon"]):
            out = self.node_.cli(*command, status=2)
            self.assertTrue(out.stderr.strip(), command)

    def test_things_that_are_not_there(self):
        self.node_.start()
        self.expect(4, "rm", "acme/never", says=["acme/never"])
        self.expect(4, "cancel", "999999")

    def test_a_hub_that_does_not_answer(self):
        (port,) = harness.free_ports(1)
        self.node_ = self.node("lonely", f"http://127.0.0.1:{port}").start()
        out = self.node_.cli("pull", "acme/tiny", status=1, timeout=200)
        self.assertIn(str(port), out.stderr)


if __name__ == "__main__":
    harness.main()
