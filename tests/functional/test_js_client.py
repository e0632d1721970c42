#!/usr/bin/python3
"""The real JavaScript client of the Hub reads what shoal wrote, and shoal adopts what that client downloaded."""

import pathlib

import harness
from js_client import JsClient


def setUpModule():
    global client
    client = JsClient("client.mjs")


class JavaScriptClient(harness.FunctionalTest):
    def test_scan_cache_dir_reads_what_shoal_wrote(self):
        hub = self.hub()
        repo = hub.add_repo("acme/tiny", size="32MiB", odd=True)
        data = hub.add_repo("datasets/acme/words", size="4MiB", shards=1)
        node = self.node("one", hub).start()
        node.pull("acme/tiny")
        node.pull("acme/words", "--type", "dataset")
        scan = client("scan", node.cache_dir)
        self.assertEqual([], scan["warnings"])
        self.assertEqual({("acme/tiny", "model"), ("acme/words", "dataset")}, {(r["id"]["name"], r["id"]["type"]) for r in scan["repos"]})
        for description in (repo, data):
            found = next(r for r in scan["repos"] if r["id"]["name"] == description["id"])
            (revision,) = found["revisions"]
            self.assertEqual((description["commit"], ["main"]), (revision["commit"], revision["refs"]))
            snapshot = node.repo_dir(description["id"], description["type"]) / "snapshots" / description["commit"]
            listed = {str(pathlib.Path(f["path"]).relative_to(snapshot)): f["size"] for f in revision["files"]}
            # This version of the client does not descend into folders of a snapshot.
            self.assertEqual({f["path"]: f["size"] for f in description["files"] if "/" not in f["path"]}, listed)

    def test_what_the_client_downloaded_is_adopted(self):
        hub = self.hub()
        # xet off: the client insists on the Xet storage wherever the Hub offers it.
        repo = hub.add_repo("acme/tiny", size="32MiB", xet=False)
        node = self.node("one", hub)
        client("snapshot", hub.url, "acme/tiny", node.cache_dir)
        blobs = {p.name: p.stat().st_ino for p in (node.repo_dir("acme/tiny") / "blobs").iterdir()}
        node.start()
        node.cli("seed", node.cache_dir)
        hub.reset()
        node.pull("acme/tiny")
        self.assertEqual(0, hub.counters()["weight_bytes"])
        harness.check_snapshot(node.cache_dir, repo)
        self.assertEqual(blobs, {p.name: p.stat().st_ino for p in (node.repo_dir("acme/tiny") / "blobs").iterdir()})

    def test_a_single_blob_of_the_client_saves_that_part_of_a_pull(self):
        hub = self.hub()
        repo = hub.add_repo("acme/tiny", size="32MiB", shards=2, xet=False)
        shards = [f for f in repo["files"] if f["lfs"]]
        node = self.node("one", hub)
        client("file", hub.url, "acme/tiny", shards[0]["path"], node.cache_dir)
        inode = (node.repo_dir("acme/tiny") / "blobs" / shards[0]["etag"]).stat().st_ino
        hub.reset()
        node.start()
        node.pull("acme/tiny")
        self.assertEqual(shards[1]["size"], hub.counters()["weight_bytes"])
        self.assertEqual(inode, (node.repo_dir("acme/tiny") / "blobs" / shards[0]["etag"]).stat().st_ino)


if __name__ == "__main__":
    harness.main()
