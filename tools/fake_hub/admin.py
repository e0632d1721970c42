"""What tests and scripts change while the Hub runs: faults, counters, repos, the thin pipe."""

import json

from .content import BytesContent
from .repos import File, generate, load_directory


class Admin:
    """GET  /_admin/counters   everything that was counted
    POST /_admin/reset      counters to zero
    POST /_admin/faults     a fault or a list of them (faults.py), added to the active ones
    POST /_admin/clear      no more faults
    POST /_admin/rate       {"bytes_per_s": N}; 0: unlimited
    POST /_admin/repos      {"id": ..., "size": ..., "shards": ..., "seed": ..., "odd": ...,
                            "phantom": ..., "directory": ..., "gated": ..., "private": ..., "xet": ...}
    POST /_admin/commit     {"id": ..., "ref": "main", "files": {"path": "text"}, "remove": ["path"]}: a new commit on the ref
    GET  /_admin/repos      ids and their refs
    """

    def __init__(self, store, counters, faults, pace):
        self._store = store
        self._counters = counters
        self._faults = faults
        self._pace = pace

    def handle(self, request, connection, parts):
        try:
            value = json.loads(request.body) if request.body else {}
            answer, status = self._do(request.method, parts[0] if parts else "", value), 200
        except (ValueError, KeyError, TypeError, OSError) as e:
            answer, status = {"error": f"{type(e).__name__}: {e}"}, 400
        connection.answer(request, status, {"Content-Type": "application/json"}, json.dumps(answer, indent=1).encode() + b"\n")

    def _do(self, method, what, value):
        if (method, what) == ("GET", "counters"):
            return self._counters.snapshot()
        if (method, what) == ("POST", "reset"):
            self._counters.reset()
            return {}
        if (method, what) == ("POST", "faults"):
            return {"added": self._faults.add(value)}
        if (method, what) == ("POST", "clear"):
            self._faults.clear()
            return {}
        if (method, what) == ("POST", "rate"):
            self._pace.bytes_per_s = int(value["bytes_per_s"])
            return {}
        if (method, what) == ("GET", "repos"):
            return {name: self._store.find(name.removeprefix("models/")).refs for name in self._store.names()}
        if (method, what) == ("POST", "repos"):
            return describe(add_repo(self._store, value))
        if (method, what) == ("POST", "commit"):
            repo = self._store.find(value["id"])
            ref = value.get("ref", "main")
            files = dict(repo.resolve(ref).files) if ref in repo.refs else dict(repo.resolve("main").files)
            for path in value.get("remove", []):
                del files[path]
            for path, text in value.get("files", {}).items():
                files[path] = File(path, BytesContent(text.encode()))
            return {"commit": repo.add_commit(files, ref).id}
        raise ValueError(f"no {method} {what} here")


def add_repo(store, spec):
    """Adds a repo from a description, as in POST /_admin/repos."""
    spec = dict(spec)
    identity = spec.pop("id")
    directory = spec.pop("directory", None)
    attributes = {key: spec.pop(key) for key in ("gated", "private", "disabled", "xet") if key in spec}
    files = load_directory(directory) if directory else generate(identity, **spec)
    return store.add(identity, files, **attributes)


def describe(repo):
    commit = repo.resolve("main")
    return {"id": repo.name, "type": repo.kind[:-1], "commit": commit.id, "files": [
        {"path": f.path, "size": f.size, "lfs": f.lfs, "etag": f.etag} for f in commit.files.values()]}
