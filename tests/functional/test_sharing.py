#!/usr/bin/python3
"""Who takes which bytes from where: the Hub once, neighbours for the rest, this disk before both."""

import harness


def weights(repo):
    return sum(file["size"] for file in repo["files"] if file["lfs"])


class Sharing(harness.FunctionalTest):
    def two_nodes(self, hub):
        one = self.node("one", hub).start()
        two = self.node("two", hub, peers=[one]).start()
        self.wait_for_neighbours(two, 1)
        return one, two

    @staticmethod
    def wait_for_neighbours(node, count):
        harness.wait_until(lambda: len(node.sql("SELECT * FROM peers WHERE alive")) == count, f"{node.name} sees {count} neighbours")

    def test_three_nodes_fetch_each_weight_byte_from_the_hub_once(self):
        hub = self.hub()
        repo = hub.add_repo("acme/three", size=harness.size("96MiB", "1GiB"), shards=4, odd=True)
        one = self.node("one", hub).start()
        two = self.node("two", hub, peers=[one]).start()
        three = self.node("three", hub, peers=[one, two]).start()
        self.wait_for_neighbours(three, 2)
        for node in (one, two, three):
            node.pull("acme/three")
            harness.check_snapshot(node.cache_dir, repo)
        counters = hub.counters()
        self.assertEqual(weights(repo), counters["weight_bytes"])
        self.assertEqual(0, counters["weight_bytes_repeated"])
        self.assert_memory(one.peak_rss_mib())
        self.assert_clean_hub(hub)

    def test_two_nodes_pull_from_one_at_the_same_time(self):
        hub = self.hub()
        repo = hub.add_repo("acme/both", size=harness.size("96MiB", "1GiB"), shards=3)
        one, two = self.two_nodes(hub)
        three = self.node("three", hub, peers=[one]).start()
        self.wait_for_neighbours(three, 2)
        one.pull("acme/both")
        hub.reset()
        pulls = [node.pull_in_background("acme/both") for node in (two, three)]
        for pull in pulls:
            self.assertEqual(0, pull.popen.wait(120), pull.tail())
        for node in (two, three):
            harness.check_snapshot(node.cache_dir, repo)
        self.assertEqual(0, hub.counters()["weight_bytes"])

    def test_a_second_pull_of_the_same_commit_moves_nothing(self):
        hub = self.hub()
        repo = hub.add_repo("acme/again", size="32MiB")
        node = self.node("one", hub).start()
        node.pull("acme/again")
        inodes = {p.name: p.stat().st_ino for p in (node.repo_dir("acme/again") / "blobs").iterdir()}
        hub.reset()
        node.pull("acme/again")
        self.assertEqual(0, hub.counters()["weight_bytes"])
        self.assertEqual(inodes, {p.name: p.stat().st_ino for p in (node.repo_dir("acme/again") / "blobs").iterdir()})
        harness.check_snapshot(node.cache_dir, repo)

    def test_a_moved_branch_costs_the_changed_file_only(self):
        hub = self.hub()
        repo = hub.add_repo("acme/moves", size="32MiB")
        node = self.node("one", hub).start()
        node.pull("acme/moves")
        commit = hub.admin("commit", {"id": "acme/moves", "files": {"config.json": "{\"new\": true}\n"}})["commit"]
        hub.reset()
        node.pull("acme/moves")
        self.assertEqual(0, hub.counters()["weight_bytes"])
        folder = node.repo_dir("acme/moves")
        self.assertEqual(commit.encode(), (folder / "refs/main").read_bytes())
        self.assertEqual(b"{\"new\": true}\n", (folder / "snapshots" / commit / "config.json").read_bytes())
        self.assertNotEqual(b"{\"new\": true}\n", (folder / "snapshots" / repo["commit"] / "config.json").read_bytes())

    def test_filters_choose_the_files(self):
        hub = self.hub()
        repo = hub.add_repo("acme/some", size="32MiB", shards=2)
        node = self.node("one", hub).start()
        node.pull("acme/some", "--include", "*.json", "--exclude", "tokenizer*")
        harness.check_snapshot(node.cache_dir, repo, only=lambda p: p.endswith(".json") and not p.startswith("tokenizer"))
        self.assertEqual(0, hub.counters()["weight_bytes"])

    def test_a_dataset_and_a_commit_are_pulled_like_anything_else(self):
        hub = self.hub()
        repo = hub.add_repo("datasets/acme/words", size="8MiB", shards=1)
        node = self.node("one", hub).start()
        node.pull("acme/words@" + repo["commit"], "--type", "dataset")
        folder = node.repo_dir("acme/words", "dataset")
        for file in repo["files"]:
            self.assertEqual(file["etag"], harness.digest(folder / "snapshots" / repo["commit"] / file["path"], file["lfs"]))

    def test_without_neighbours_that_have_it_lan_only_does_not_ask_the_cdn(self):
        hub = self.hub()
        repo = hub.add_repo("acme/lan", size="32MiB")
        one, two = self.two_nodes(hub)
        one.pull("acme/lan")
        hub.reset()
        two.pull("acme/lan", "--source", "lan")
        harness.check_snapshot(two.cache_dir, repo)
        self.assertEqual(0, hub.counters()["weight_bytes"])

    def test_origin_only_leaves_the_neighbours_alone(self):
        hub = self.hub()
        repo = hub.add_repo("acme/origin", size="32MiB")
        one, two = self.two_nodes(hub)
        one.pull("acme/origin")
        hub.reset()
        two.pull("acme/origin", "--source", "origin")
        harness.check_snapshot(two.cache_dir, repo)
        self.assertEqual(weights(repo), hub.counters()["weight_bytes"])
        self.assertEqual(0, sum(row["bytes_lan"] for row in two.held_rows("acme/origin").values()))

    def test_a_gated_repo_is_fetched_with_the_token_and_never_served(self):
        hub = self.hub()
        repo = hub.add_repo("acme/gated", size="16MiB", shards=1, gated="auto")
        one = self.node("one", hub, env={"HF_TOKEN": "hf_member"}).start()
        two = self.node("two", hub, peers=[one]).start()
        self.wait_for_neighbours(two, 1)
        one.pull("acme/gated")
        harness.check_snapshot(one.cache_dir, repo)
        two.pull("acme/gated", status=5)
        reached = [p for p in two.cache_dir.glob("*/blobs/*") if p.stat().st_blocks or harness.is_blob_name(p.name)]
        self.assertEqual([], reached, "bytes of a gated blob reached a node without a token")
        self.assert_clean_hub(hub)
        # The token is in no file the node wrote.
        for path in [*one.state_dir.rglob("*"), one.log]:
            if path.is_file():
                self.assertNotIn(b"hf_member", path.read_bytes(), path)


if __name__ == "__main__":
    harness.main()
