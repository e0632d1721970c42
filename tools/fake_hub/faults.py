"""Faults on demand: which answers go wrong, how, and how often.

A fault is a JSON object:

    kind     what goes wrong, one of KINDS
    on       "cdn" (default) or "hub": which port
    match    regular expression searched in the repo's path of the file ("org/name/model-00001-…"), or on the
             Hub port in the URL's path; default: everything
    skip     leave the first N matching requests alone
    times    then hit N of them; default: all
    rate     hit each with this probability only (0 to 1, drawn from `seed`)

and the kind's own values, named in KINDS.
"""

import random
import re
import threading
import time

KINDS = {
    "corrupt": {"offset": 0, "length": 1},          # flips bits at this place of the file; negative: from its end
    "truncate": {"after": 0, "matching_length": False},  # body ends after N bytes; Content-Length told truly or not
    "wrong_length": {"delta": -1},                  # Content-Length off by delta, all bytes sent that fit
    "ignore_range": {},                             # 200 with the whole file
    "shift_range": {"by": 1, "lie": True},          # other bytes than asked; lie: Content-Range says what was asked
    "expired": {},                                  # 403 with the CDN's XML
    "status": {"code": 503, "retry_after": None},   # any status, no useful body
    "rate_limited": {"seconds": 20, "style": "ratelimit"},  # 429 from the first hit on; or "retry-after", "none"
    "stall": {"after": 0, "seconds": 3600},         # says nothing more after N bytes of body, keeps the connection
    "trickle": {"after": 0, "bytes_per_s": 100},    # goes on at this rate after N bytes of body
    "reset": {"after": 0},                          # RST after N bytes of body
    "close": {},                                    # closes without any answer
    "etag": {"value": "0" * 64},                    # another ETag (CDN) or X-Linked-ETag (Hub)
    "size": {"delta": 1},                           # another X-Linked-Size (Hub)
    "latency": {"ms": 200},                         # waits before the answer
}


class Fault:
    def __init__(self, spec, number):
        spec = dict(spec)
        self.kind = spec.pop("kind", None)
        if self.kind not in KINDS:
            raise ValueError(f"unknown fault {self.kind!r}; known: {', '.join(KINDS)}")
        self.name = spec.pop("name", f"{self.kind}-{number}")
        self.on = spec.pop("on", "cdn")
        if self.on not in ("cdn", "hub"):
            raise ValueError("'on' is 'cdn' or 'hub'")
        self._match = re.compile(spec.pop("match", ""))
        self._skip = int(spec.pop("skip", 0))
        self._times = spec.pop("times", None)
        self._rate = float(spec.pop("rate", 1.0))
        self._rng = random.Random(spec.pop("seed", number))
        unknown = set(spec) - set(KINDS[self.kind])
        if unknown:
            raise ValueError(f"{self.kind} has no {', '.join(sorted(unknown))}")
        self.values = KINDS[self.kind] | spec
        self._first_hit = None

    def __getitem__(self, key):
        return self.values[key]

    def hits(self, side, path, span):
        if side != self.on or not self._match.search(path):
            return False
        if self.kind == "corrupt" and span and not self.overlap(*span):
            return False
        if self.kind == "rate_limited" and self._first_hit and self.seconds_left() <= 0:
            return False
        if self._skip > 0:
            self._skip -= 1
            return False
        if self._times is not None and self._times <= 0:
            return False
        if self._rng.random() >= self._rate:
            return False
        if self._times is not None:
            self._times -= 1
        self._first_hit = self._first_hit or time.monotonic()
        return True

    def overlap(self, start, end, size):
        """What of a corruption falls into [start, end) of a file of this size: (first, end) or None."""
        first = self["offset"] if self["offset"] >= 0 else size + self["offset"]
        begin, stop = max(first, start), min(first + self["length"], end)
        return (begin, stop) if begin < stop else None

    def seconds_left(self):
        return self["seconds"] - (time.monotonic() - self._first_hit)


class Faults:
    """The active list. Any thread."""

    def __init__(self, counters):
        self._lock = threading.Lock()
        self._list = []
        self._number = 0
        self._counters = counters

    def add(self, specs):
        specs = specs if isinstance(specs, list) else [specs]
        with self._lock:
            made = []
            for spec in specs:
                self._number += 1
                made.append(Fault(spec, self._number))
            self._list += made
            return [fault.name for fault in made]

    def clear(self):
        with self._lock:
            self._list.clear()

    def for_request(self, side, path, span=None):
        """kind -> Fault of those that hit this request. `span`: (start, end, size) of the bytes asked for; a
        corruption elsewhere in the file is not used up by it."""
        with self._lock:
            hits = {fault.kind: fault for fault in self._list if fault.hits(side, path, span)}
        for fault in hits.values():
            self._counters.fault(fault.name)
        return hits
