"""A stand-in for the Hugging Face Hub and its CDN, for tests, the quickstart and benchmarks.

`tools/fake-hub --help` lists what it can do; docs/testing.md teaches its faults and counters.
Nothing in here is part of the shipped program.
"""
