#!/usr/bin/python3
"""An example to copy: one node takes a model from the Hub, a second one takes it from the first.

Run it by hand with the programs of a build directory:

    SHOALD=build/dev/node/shoald SHOAL=build/dev/node/cli/shoal tests/functional/test_example.py

or through ctest, with everything else that is labelled functional: ctest --preset dev -L functional
"""

import harness


# A test file has one class or a few, and the harness's FunctionalTest gives each test its own work directory in
# self.work. Nothing that a test starts survives it, whether it passes, fails or raises.
class Example(harness.FunctionalTest):
    # Test names are sentences; ctest shows the file's name, and unittest the method's.
    def test_a_second_node_takes_the_weights_from_the_first(self):
        # The stand-in Hub behaves as docs/testing.md says. A repo is made on the fly from a few numbers: no file is
        # written, and the same seed gives the same bytes in every run. `tiny` describes what was made: the commit and,
        # for each file, its size, whether it is an LFS file, and the etag, which is the publisher's hash.
        hub = self.hub()
        tiny = hub.add_repo("acme/tiny", size="64MiB", shards=2, seed=7)
        weights = sum(file["size"] for file in tiny["files"] if file["lfs"])

        # Each node has its own state directory, cache and ports. start() returns when the API answers.
        one = self.node("one", hub).start()
        two = self.node("two", hub, peers=[one]).start()

        # cli() runs the real `shoal` and fails the test if the exit status is another than 0, or than the status=
        # given. No test sleeps: whatever takes time is waited for with wait_until(condition, what, deadline).
        one.pull("acme/tiny")
        harness.wait_until(lambda: two.sql("SELECT * FROM peers WHERE alive"), "the second node sees the first")

        # check_snapshot() compares the cache with what the Hub's own clients would have left: relative links, refs
        # without newline, nothing left over, and every byte against the publisher's hash.
        harness.check_snapshot(one.cache_dir, tiny)

        # The Hub counts requests and bytes. The first pull fetched every byte of the weights exactly once.
        counters = hub.counters()
        self.assertEqual(weights, counters["weight_bytes"])
        self.assertEqual(0, counters["weight_bytes_repeated"])

        # The second pull asks the Hub for names and hashes only; the weights come from the neighbour.
        hub.reset()
        two.pull("acme/tiny")
        harness.check_snapshot(two.cache_dir, tiny)
        self.assertEqual(0, hub.counters()["weight_bytes"])

        # The same is in the database, readable at any moment by whoever knows SQL.
        rows = two.held_rows("acme/tiny")
        self.assertEqual({100}, {row["percent"] for row in rows.values()})
        self.assertEqual(weights, sum(row["bytes_lan"] for path, row in rows.items() if path.endswith(".safetensors")))

        # Never a token at the CDN, never a call of the Xet endpoints.
        self.assert_clean_hub(hub)


if __name__ == "__main__":
    harness.main()
