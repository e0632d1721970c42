#!/usr/bin/python3
"""Closed clusters: who is let in, what they share, and that everybody else gets no byte and no word."""

import json
import pathlib
import re
import shutil
import socket
import subprocess
import unittest

import harness

# Bytes per second of the Hub, so that no part comes from it since a neighbour is slow (decision 0017).
SLOWER_THAN_ANY_NEIGHBOUR = 4 * harness.MIB
WATCHED_S = 4  # how long somebody is watched who must get nothing; members meet within a second


def weights(repo):
    return sum(file["size"] for file in repo["files"] if file["lfs"])


class ClosedCluster(harness.FunctionalTest):
    def member(self, name, hub, peers=(), **options):
        port, = harness.free_ports(1)
        arguments = [*options.pop("arguments", ()), "--join-listen", f"127.0.0.1:{port}"]
        node = self.node(name, hub, peers=peers, arguments=arguments, **options)
        node.join_at = f"127.0.0.1:{port}"
        return node

    def found(self, hub, name="head", **options):
        head = self.member(name, hub, **options).start()
        head.cli("cluster", "init")
        return head

    @staticmethod
    def invite(head, *arguments):
        return head.cli("cluster", "invite", *arguments).stdout.strip()

    def join(self, head, name, hub, peers=(), **options):
        node = self.member(name, hub, peers=[head, *peers], **options).start()
        node.cli("cluster", "join", self.invite(head), head.join_at)
        return node

    @staticmethod
    def alive(node):
        return {row["name"] for row in node.sql("SELECT * FROM peers WHERE alive")}

    def wait_for_neighbours(self, node, *names):
        harness.wait_until(lambda: self.alive(node) == set(names), f"{node.name} sees {names}, not {self.alive(node)}", 20)

    def nothing_for(self, seconds, condition, what):
        """The condition stays false for so long."""
        try:
            harness.wait_until(condition, what, seconds)
        except AssertionError:
            return
        self.fail(what)

    @staticmethod
    def events(node, kind):
        return [row["text"] for row in node.sql("SELECT * FROM events WHERE kind = ?", kind)]

    # Joining

    def test_three_machines_join_and_share_each_byte_once(self):
        hub = self.hub()
        repo = hub.add_repo("acme/open", size=harness.size("48MiB", "1GiB"), shards=3)
        head = self.found(hub)
        two = self.join(head, "two", hub)
        three = self.join(head, "three", hub)
        for node, others in ((head, ("two", "three")), (two, ("head", "three")), (three, ("head", "two"))):
            self.wait_for_neighbours(node, *others)
        for node in (head, two, three):
            node.pull("acme/open")
            harness.check_snapshot(node.cache_dir, repo)
            hub.rate(SLOWER_THAN_ANY_NEIGHBOUR)
        counters = hub.counters()
        self.assertEqual(weights(repo), counters["weight_bytes"])
        self.assertGreater(sum(row["bytes_lan"] for row in three.held_rows("acme/open").values()), 0)

        state = json.loads(head.cli("cluster", "status", "--json").stdout)
        self.assertTrue(state["closed"] and state["is_authority"])
        self.assertEqual({"head", "two", "three"}, {row["name"] for row in state["members"]})
        self.assertEqual(0, state["open_invites"])
        self.assertIn("closed cluster", two.cli("cluster", "status").stdout)

        # Private keys are where they were made, for their owner only, and the authority's on one machine.
        for node in (head, two, three):
            trust = node.state_dir / "trust"
            self.assertEqual(0o700, trust.stat().st_mode & 0o777)
            self.assertEqual(0o600, (trust / "node.key").stat().st_mode & 0o777)
            self.assertEqual(node is head, (trust / "ca.key").exists())
        self.assertEqual(0o600, (head.state_dir / "trust/ca.key").stat().st_mode & 0o777)
        # The first line has the secret number; the last ones the public key, which stands in certificates, too.
        keys = [(node.state_dir / "trust/node.key").read_text().splitlines()[1] for node in (head, two, three)]
        for node in (head, two, three):
            for path in [*node.state_dir.rglob("*"), node.log]:
                if path.is_file() and path.name not in ("node.key", "ca.key"):
                    text = path.read_bytes()
                    self.assertFalse([key for key in keys if key.encode() in text], f"a private key in {path}")

        # A restart is a member again.
        three.stop()
        three.start()
        self.wait_for_neighbours(three, "head", "two")

    def test_a_token_is_good_once_and_not_for_ever(self):
        head = self.found(None)
        token = self.invite(head)
        two = self.member("two", None, peers=[head]).start()
        three = self.member("three", None, peers=[head]).start()
        two.cli("cluster", "join", token, head.join_at)
        out = three.cli("cluster", "join", token, head.join_at, status=5)
        self.assertIn("used already", out.stderr)
        self.assertEqual(1, len(out.stderr.strip().splitlines()), out.stderr)
        short = self.invite(head, "--for", "10s")
        harness.wait_until(lambda: json.loads(head.cli("cluster", "status", "--json").stdout)["open_invites"] == 0, "the token runs out", 20)
        three.cli("cluster", "join", short, head.join_at, status=5)
        self.assertIn("used already", " ".join(self.events(head, "join_refused")))

        # The token's secret is written down nowhere.
        secret = token[len("shoal1-"):][:32].encode()
        for node in (head, two, three):
            for path in [*node.state_dir.rglob("*"), node.log]:
                if path.is_file():
                    self.assertNotIn(secret, path.read_bytes(), path)

        # Nobody waits at the port any more.
        def closed():
            host, port = head.join_at.split(":")
            try:
                socket.create_connection((host, int(port)), timeout=1).close()
                return False
            except OSError:
                return True
        harness.wait_until(closed, "the port for joining is closed", 40)

    def test_what_is_wrong_is_said(self):
        head = self.found(None)
        two = self.member("two", None, cluster="other").start()
        token = self.invite(head)
        self.assertIn("--cluster " + self.cluster, two.cli("cluster", "join", token, head.join_at, status=5).stderr)
        self.assertIn("mistyped", two.cli("cluster", "join", token[:-1] + ("0" if token[-1] != "0" else "1"), head.join_at, status=2).stderr)
        free, = harness.free_ports(1)
        two.cli("cluster", "join", token, f"127.0.0.1:{free}", status=1)
        two.cli("cluster", "invite", status=2)
        head.cli("cluster", "init", status=1)
        head.cli("cluster", "revoke", "nobody", status=4)
        self.assertIn("cannot put itself out", head.cli("cluster", "revoke", "head", status=2).stderr)
        # The authority of another cluster is not told the token.
        other = self.found(None, "other", cluster="other")
        self.invite(other)
        self.assertIn("not the authority", two.cli("cluster", "join", token, other.join_at, status=5).stderr)
        self.assertEqual([], self.events(other, "join_refused"))

    # Gated content

    def test_gated_content_goes_to_machines_that_were_let_in(self):
        hub = self.hub()
        repo = hub.add_repo("acme/gated", size="32MiB", shards=2, gated="auto")
        head = self.found(hub, env={"HF_TOKEN": "hf_member"})
        two = self.join(head, "two", hub, env={"HF_TOKEN": "hf_member"})
        self.wait_for_neighbours(two, "head")
        head.pull("acme/gated")
        hub.reset()
        hub.rate(SLOWER_THAN_ANY_NEIGHBOUR)
        two.pull("acme/gated")
        harness.check_snapshot(two.cache_dir, repo)
        self.assertEqual(0, hub.counters()["weight_bytes"], "the neighbour had all of it")
        rows = two.held_rows("acme/gated").values()
        self.assertEqual(sum(file["size"] for file in repo["files"]), sum(row["bytes_lan"] for row in rows))
        # A machine that was let in gets it also without a token of its own: letting it in decided that.
        three = self.join(head, "three", hub)
        self.wait_for_neighbours(three, "head", "two")
        three.pull("acme/gated")
        harness.check_snapshot(three.cache_dir, repo)
        self.assertEqual(0, hub.counters()["weight_bytes"])

        # The endpoint asks the Hub with the program's own token, although the bytes are on disk.
        path = next(file for file in repo["files"] if file["lfs"])
        url = f"{two.api_url}/acme/gated/resolve/{repo['commit']}/{path['path']}"

        def get(*headers):
            return subprocess.run(["curl", "-s", "--noproxy", "*", "-o", self.work / "got", "-w", "%{http_code}", *headers, url],
                                  capture_output=True, text=True, timeout=60).stdout
        self.assertEqual("401", get())
        self.assertEqual("403", get("-H", "Authorization: Bearer hf_stranger"))
        self.assertEqual("200", get("-H", "Authorization: Bearer hf_member"))
        self.assertEqual(path["etag"], harness.digest(self.work / "got", True))
        self.assertEqual(0, hub.counters()["weight_bytes"], "served from the disk")

    # Everybody else

    def outsider_gets_nothing(self, head, outsider, repo, hub):
        """The outsider knows where the member is, and asks for what the member has."""
        hub.reset()
        pull = outsider.pull_in_background(repo["id"], "--source", "lan")
        self.addCleanup(pull.kill)
        self.nothing_for(WATCHED_S, lambda: self.alive(outsider) or outsider.name in self.alive(head), f"{outsider.name} was let in")
        pull.kill()
        reached = [p for p in outsider.cache_dir.glob("*/blobs/*") if p.stat().st_blocks or harness.is_blob_name(p.name)]
        self.assertEqual([], reached, "bytes reached an outsider")
        self.assertEqual([], outsider.sql("SELECT * FROM peers WHERE name = ?", head.name), "an outsider heard a name")
        self.assertEqual(0, sum(row["bytes_sent"] for row in head.sql("SELECT bytes_sent FROM peers WHERE name = ?", outsider.name)))

    def seeding_head(self, hub):
        repo = hub.add_repo("acme/secret", size="32MiB", shards=2)
        head = self.found(hub)
        head.pull("acme/secret")
        return head, repo

    def test_a_node_without_a_certificate_gets_nothing(self):
        hub = self.hub()
        head, repo = self.seeding_head(hub)
        outsider = self.member("outsider", hub, peers=[head]).start()
        self.outsider_gets_nothing(head, outsider, repo, hub)

    def test_a_node_of_another_authority_gets_nothing(self):
        hub = self.hub()
        head, repo = self.seeding_head(hub)
        outsider = self.found(hub, "outsider", peers=[head])
        self.outsider_gets_nothing(head, outsider, repo, hub)
        # The same with the right authority's certificate in its torrents, so that the info-hashes are right.
        outsider.stop()
        shutil.copy(head.state_dir / "trust/ca.pem", outsider.state_dir / "trust/ca.pem")
        outsider.start(wait=False)
        self.assertNotEqual(0, outsider.process.popen.wait(20), "shoald does not start with a certificate that does not fit")
        self.assertIn("certificate", outsider.process.tail())

    def test_a_revoked_machine_is_out_at_once_and_stays_out(self):
        hub = self.hub()
        head, repo = self.seeding_head(hub)
        two = self.join(head, "two", hub)
        three = self.join(head, "three", hub, peers=[two])
        self.wait_for_neighbours(two, "head", "three")
        self.wait_for_neighbours(three, "head", "two")
        head.cli("cluster", "revoke", "three")
        # Head told two, so that three is out there, too.
        self.wait_for_neighbours(head, "two")
        self.wait_for_neighbours(two, "head")
        for node in (head, two, three):
            node.stop()
        # Two kept the list: it does not let three in although the authority is away.
        two.start()
        three.start()
        three.cli("pull", "acme/secret", "--source", "lan", "--detach", status=None)
        self.nothing_for(WATCHED_S, lambda: self.alive(two) or self.alive(three), "a revoked machine was let in")
        self.assertIn("its certificate was revoked", two.log.read_text(), "it tried")
        self.assertTrue(json.loads(two.cli("cluster", "status", "--json").stdout)["revocations"]["number"])
        reached = [p for p in three.cache_dir.glob("*/blobs/*") if p.stat().st_blocks]
        self.assertEqual([], reached)
        # Another invitation lets it in again.
        head.start()
        shutil.rmtree(three.state_dir / "trust")
        three.stop()
        three.start()
        three.cli("cluster", "join", self.invite(head), head.join_at)
        self.wait_for_neighbours(three, "head", "two")

    def test_a_plain_client_with_the_right_info_hash_gets_nothing(self):
        client = pathlib.Path(__file__).with_name("plain_client.py")
        if subprocess.run(["/usr/bin/python3", "-c", "import libtorrent"], capture_output=True).returncode != 0:
            raise unittest.SkipTest("needs the package python3-libtorrent")
        hub = self.hub()
        head, repo = self.seeding_head(hub)
        two = self.join(head, "two", hub)
        self.wait_for_neighbours(two, "head")
        two.pull("acme/secret")  # so that segments are loaded at head
        shard = max(repo["files"], key=lambda file: file["size"])
        blob = head.repo_dir("acme/secret") / "blobs" / shard["etag"]
        for mode, arguments in (("no certificate", []),
                                ("a certificate of its own", ["--own-certificate"]),
                                ("clear text", ["--clear-text"])):
            out = subprocess.run(["/usr/bin/python3", client, "--blob", blob, "--authority", head.state_dir / "trust/ca.pem",
                                  "--cluster", self.cluster, "--peer", head.swarm, "--work", self.work / "client",
                                  "--seconds", str(WATCHED_S), *arguments], capture_output=True, text=True, timeout=60)
            self.assertEqual(0, out.returncode, out.stderr)
            seen = json.loads(out.stdout)
            self.say(f"plain client with {mode}: {seen}")
            self.assertEqual(0, seen["payload"], mode)
            self.assertEqual(0, seen["protocol"], f"{mode}: a handshake came through")
            self.assertGreater(seen["attempts"], 0, f"{mode}: it never came through to the node, which proves nothing")
        # The same client with a member's certificate, to see that it would have got it.
        out = subprocess.run(["/usr/bin/python3", client, "--blob", blob, "--authority", head.state_dir / "trust/ca.pem",
                              "--cluster", self.cluster, "--peer", head.swarm, "--work", self.work / "client", "--seconds", "20",
                              "--member", two.state_dir / "trust"], capture_output=True, text=True, timeout=60)
        self.assertEqual(0, out.returncode, out.stderr)
        seen = json.loads(out.stdout)
        self.say(f"plain client with a member's certificate: {seen}")
        self.assertGreater(seen["payload"], 0, "the test's client gets nothing from anybody, so that it proves nothing")

    def test_an_open_cluster_never_announces_gated_content(self):
        hub = self.hub()
        repo = hub.add_repo("acme/gated", size="16MiB", shards=1, gated="auto")
        one = self.node("one", hub, env={"HF_TOKEN": "hf_member"}).start()
        two = self.node("two", hub, peers=[one], env={"HF_TOKEN": "hf_member"}).start()
        self.wait_for_neighbours(two, "one")
        one.pull("acme/gated")
        two.pull("acme/gated")
        self.assertEqual(0, sum(row["bytes_lan"] for row in two.held_rows("acme/gated").values()))
        self.assertEqual(2 * weights(repo), hub.counters()["weight_bytes"], "each fetched it from the Hub")


if __name__ == "__main__":
    harness.main()
