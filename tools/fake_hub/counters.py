"""What was asked for and what was sent: by route, by client, by file. Repeated bytes are found by interval accounting."""

import bisect
import threading


class Intervals:
    """A set of disjoint [start, end) ranges, kept as one sorted list of ends and starts."""

    def __init__(self):
        self._starts, self._ends = [], []

    def add(self, start, end):
        """Adds the range; returns how many of its bytes were there already."""
        if start >= end:
            return 0
        lo = bisect.bisect_left(self._ends, start)
        hi = bisect.bisect_right(self._starts, end)
        repeated = sum(max(0, min(end, self._ends[i]) - max(start, self._starts[i])) for i in range(lo, hi))
        if lo < hi:
            start, end = min(start, self._starts[lo]), max(end, self._ends[hi - 1])
        self._starts[lo:hi], self._ends[lo:hi] = [start], [end]
        return repeated

    def total(self):
        return sum(self._ends) - sum(self._starts)


class Counters:
    """Body bytes count when the kernel took them, so at most the socket's send buffer was never received."""

    def __init__(self):
        self._lock = threading.Lock()
        self.reset()

    def reset(self):
        with self._lock:
            self._requests = {}
            self._clients = {}
            self._files = {}
            self._weight_bytes = 0
            self._metadata_bytes = 0
            self._authorization_at_cdn = 0
            self._xet_calls = 0
            self._proxied = 0
            self._faults = {}
            self._cdn_now = 0
            self._cdn_most = 0

    def _client(self, address):
        return self._clients.setdefault(address, {"requests": 0, "weight_bytes": 0, "metadata_bytes": 0})

    def request(self, side, method, route, status, address):
        with self._lock:
            key = f"{side} {method} {route} {status}"
            self._requests[key] = self._requests.get(key, 0) + 1
            self._client(address)["requests"] += 1

    def metadata(self, address, n):
        with self._lock:
            self._metadata_bytes += n
            self._client(address)["metadata_bytes"] += n

    def file(self, key, size, address, start, n, weight):
        """`n` bytes of the file from `start` on left for this client. `weight`: an LFS file, so it counts as weights."""
        with self._lock:
            entry = self._files.get(key)
            if entry is None:
                entry = self._files[key] = {"size": size, "sent": 0, "repeated": 0, "weight": weight, "ranges": Intervals()}
            entry["sent"] += n
            entry["repeated"] += entry["ranges"].add(start, start + n)
            kind = "weight_bytes" if weight else "metadata_bytes"
            self._client(address)[kind] += n
            if weight:
                self._weight_bytes += n
            else:
                self._metadata_bytes += n

    def authorization_at_cdn(self):
        with self._lock:
            self._authorization_at_cdn += 1

    def xet_call(self):
        with self._lock:
            self._xet_calls += 1

    def proxied(self):
        with self._lock:
            self._proxied += 1

    def fault(self, name):
        with self._lock:
            self._faults[name] = self._faults.get(name, 0) + 1

    def cdn_transfer(self, change):
        with self._lock:
            self._cdn_now = max(0, self._cdn_now + change)
            self._cdn_most = max(self._cdn_most, self._cdn_now)

    def snapshot(self):
        with self._lock:
            files = {key: {"size": e["size"], "sent": e["sent"], "unique": e["ranges"].total(),
                           "repeated": e["repeated"], "weight": e["weight"]} for key, e in sorted(self._files.items())}
            weights = [e for e in files.values() if e["weight"]]
            return {
                "requests": dict(sorted(self._requests.items())),
                "clients": {a: dict(c) for a, c in sorted(self._clients.items())},
                "files": files,
                "weight_bytes": self._weight_bytes,
                "weight_bytes_unique": sum(e["unique"] for e in weights),
                "weight_bytes_repeated": sum(e["repeated"] for e in weights),
                "metadata_bytes": self._metadata_bytes,
                "authorization_at_cdn": self._authorization_at_cdn,
                "xet_calls": self._xet_calls,
                "proxied_requests": self._proxied,
                "faults": dict(self._faults),
                "cdn_transfers": self._cdn_now,
                "cdn_transfers_most": self._cdn_most,
            }
