#!/usr/bin/python3
"""The real JavaScript client of the Hub goes through a node: cold, warm, and without noticing anything."""

import harness
from js_client import JsClient


def setUpModule():
    global client
    client = JsClient("endpoint.mjs")


class JavaScriptThroughTheEndpoint(harness.FunctionalTest):
    def test_the_client_lists_looks_and_downloads(self):
        hub = self.hub()
        # xet on, as on the real Hub: the client would take that way wherever it saw it.
        repo = hub.add_repo("acme/tiny", size="24MiB", shards=2, odd=True)
        files = {f["path"]: f for f in repo["files"]}
        many = {f"many/{i:04d}.txt": f"{i}\n" for i in range(2345)}
        hub.admin("commit", {"id": "acme/tiny", "ref": "refs/pr/1", "files": many})
        node = self.node("one", hub).start()
        weights = "model-00001-of-00002.safetensors"

        listed = client("list", node.api_url, "acme/tiny")["files"]
        self.assertEqual({p: f["size"] for p, f in files.items()}, {f["path"]: f["size"] for f in listed if f["type"] == "file"})
        self.assertFalse([f for f in listed if f["xet"]])
        self.assertEqual(2345 + len(files), sum(f["type"] == "file" for f in client("list", node.api_url, "acme/tiny", "refs/pr/1")["files"]))

        for path in (weights, "config.json", "a b+c.txt", "empty.txt", "one-byte.bin"):
            info = client("info", node.api_url, "acme/tiny", path)
            self.assertEqual((files[path]["size"], True, repo["commit"]), (info["size"], info["exists"], info["sha"]), path)
            self.assertEqual(files[path]["etag"], info["etag"].strip('"'))
            self.assertFalse(info["xet"])
            self.assertTrue(info["url"].startswith(node.api_url), "nothing leads past the node")
        self.assertEqual({"info": None, "exists": False}, client("missing", node.api_url, "acme/tiny", "nope.bin"))

        for temperature in ("cold", "warm"):
            got = client("download", node.api_url, "acme/tiny", weights)
            self.assertEqual((files[weights]["size"], files[weights]["etag"]), (got["size"], got["sha256"]), temperature)
            blob = node.repo_dir("acme/tiny") / "blobs" / files[weights]["etag"]
            harness.wait_until(blob.exists, "the file is held")
            self.assertEqual(blob.read_bytes()[1000:1500].hex(), got["slice"])
            hub.reset() if temperature == "cold" else self.assertEqual(0, hub.counters()["weight_bytes"])
        self.assert_clean_hub(hub)

    def test_a_snapshot_cold_then_warm(self):
        hub = self.hub()
        repo = hub.add_repo("acme/snap", size="16MiB", shards=2)
        node = self.node("one", hub).start()
        for temperature in ("cold", "warm"):
            cache = self.work / temperature
            client("snapshot", node.api_url, "acme/snap", cache)
            for file in repo["files"]:
                blob = cache / "models--acme--snap" / "snapshots" / repo["commit"] / file["path"]
                self.assertEqual(file["etag"], harness.digest(blob, file["lfs"]), (temperature, file["path"]))
        files = hub.counters()["files"]
        weights = [f for f in files.values() if f["weight"]]
        # A slow connection's last pieces may be asked for twice (decision 0007).
        self.assertLess(sum(f["repeated"] for f in weights), sum(f["unique"] for f in weights) / 20)
        harness.wait_until(lambda: not [p for p in node.api("pulls")["pulls"] if p["state"] == "running"], "all files are linked")
        # No ref: the client asked by commit.
        snapshot = node.repo_dir("acme/snap") / "snapshots" / repo["commit"]
        self.assertEqual({f["path"] for f in repo["files"]}, {str(p.relative_to(snapshot)) for p in snapshot.rglob("*") if p.is_symlink()})
        self.assertEqual([], harness.wrong_blobs(node.cache_dir))
        self.assert_clean_hub(hub)


if __name__ == "__main__":
    harness.main()
