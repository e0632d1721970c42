"""Repositories as git sees them: commits, trees and blobs with their real ids, and who may read them."""

import hashlib
import json
import os
import re
import threading

from .content import FileContent, PhantomContent
from .model import is_lfs, model_files, parse_size

MANIFEST = ".fake-hub.json"  # digests of a directory made by tools/make-model, so that serving it reads nothing twice
_DATE = "2026-09-25T08:49:23.000Z"
_UNIX = 1790326163


def _git(kind, body):
    return hashlib.sha1(b"%s %d\0" % (kind.encode(), len(body)) + body).hexdigest()


class File:
    """One file of one commit."""

    def __init__(self, path, content, digest=None, lfs=None):
        self.path = path
        self.content = content
        self.size = content.size
        self.lfs = is_lfs(path, self.size) if lfs is None else lfs
        if self.lfs:
            self.etag = digest or content.digest("sha256")
            self.pointer = (f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.etag}\n"
                            f"size {self.size}\n").encode()
            self.oid = _git("blob", self.pointer)
            # The CDN's own ETag: 64 hex digits that look like a sha256 and are not the file's.
            self.xet_hash = hashlib.sha256(b"xet " + self.etag.encode()).hexdigest()
        else:
            self.oid = digest or content.digest("sha1", b"blob %d\0" % self.size)
            self.etag = self.oid
            self.pointer = None
            self.xet_hash = None


class Commit:
    """A full tree. `files`: path -> File; `folders`: path -> git tree id ('' is the root)."""

    def __init__(self, files, parent=None):
        self.files = dict(sorted(files.items()))
        self.folders = {}
        root = self._tree("", self.files)
        text = f"tree {root}\n" + (f"parent {parent}\n" if parent else "")
        text += f"author publisher <publisher@example.org> {_UNIX} +0000\n"
        text += f"committer publisher <publisher@example.org> {_UNIX} +0000\n\nUpload\n"
        self.id = _git("commit", text.encode())

    def _tree(self, folder, files):
        entries, children = [], {}
        for path, file in files.items():
            rest = path[len(folder) + 1:] if folder else path
            name, slash, _ = rest.partition("/")
            if slash:
                children.setdefault(name, {})[path] = file
            else:
                entries.append((name, f"100644 {name}".encode(), file.oid))
        for name, below in children.items():
            path = f"{folder}/{name}" if folder else name
            entries.append((name + "/", f"40000 {name}".encode(), self._tree(path, below)))
        body = b"".join(mode + b"\0" + bytes.fromhex(oid) for _, mode, oid in sorted(entries))
        self.folders[folder] = _git("tree", body)
        return self.folders[folder]

    def listing(self, folder, recursive):
        """Tree entries below `folder` in the Hub's order (by path), or None if there is no such folder."""
        if folder not in self.folders:
            return None
        prefix = folder + "/" if folder else ""
        out = []
        for path, oid in self.folders.items():
            if path and path != folder and path.startswith(prefix):
                if recursive or "/" not in path[len(prefix):]:
                    out.append({"type": "directory", "oid": oid, "size": 0, "path": path})
        for path, file in self.files.items():
            if path.startswith(prefix) and (recursive or "/" not in path[len(prefix):]):
                out.append(file)
        return sorted(out, key=lambda e: e["path"] if isinstance(e, dict) else e.path)


class Repo:
    def __init__(self, kind, name, files, gated=False, private=False, disabled=False, xet=True):
        self.kind = kind  # "models", "datasets" or "spaces"
        self.name = name
        self.object_id = hashlib.sha256(f"{kind}/{name}".encode()).hexdigest()[:24]
        self.gated = gated  # False, "auto" or "manual"
        self.private = private
        self.disabled = disabled
        self.xet = xet
        self.date = _DATE
        first = Commit(files)
        self.commits = {first.id: first}
        self.refs = {"main": first.id}

    def add_commit(self, files, ref="main"):
        commit = Commit(files, parent=self.refs.get(ref))
        self.commits[commit.id] = commit
        self.refs[ref] = commit.id
        return commit

    def resolve(self, revision):
        if revision in ("HEAD", ""):
            revision = "main"
        if revision in self.refs:
            return self.commits[self.refs[revision]]
        if revision in self.commits:
            return self.commits[revision]
        if re.fullmatch(r"[0-9a-f]{7,39}", revision):
            hits = [c for c in self.commits if c.startswith(revision)]
            if len(hits) == 1:
                return self.commits[hits[0]]
        return None


def load_directory(folder):
    """path -> File of everything in the folder. Digests come from the manifest where size and mtime still agree."""
    known = {}
    try:
        with open(os.path.join(folder, MANIFEST), encoding="utf-8") as f:
            known = {entry["path"]: entry for entry in json.load(f)["files"]}
    except FileNotFoundError:
        pass
    files = {}
    for base, folders, names in os.walk(folder):
        folders[:] = sorted(d for d in folders if d != ".git")
        for name in sorted(names):
            full = os.path.join(base, name)
            path = os.path.relpath(full, folder)
            if path == MANIFEST:
                continue
            stat, entry = os.stat(full), known.get(path)
            fresh = entry and entry["size"] == stat.st_size and entry["mtime_ns"] == stat.st_mtime_ns
            files[path] = File(path, FileContent(full), entry["digest"] if fresh else None,
                               entry["lfs"] if fresh else None)
    if not files:
        raise ValueError(f"no files in {folder}")
    return files


def generate(name, size="64MiB", shards=2, seed=1, odd=False, phantom=None):
    """`phantom`: the size of one more LFS file that is listed and cannot be had."""
    contents = model_files(name, parse_size(size), int(shards), int(seed), odd)
    files = {path: File(path, content) for path, content in contents.items()}
    if phantom:
        digest = hashlib.sha256(f"phantom {phantom}".encode()).hexdigest()
        files["phantom.bin"] = File("phantom.bin", PhantomContent(parse_size(phantom)), digest, lfs=True)
    return files


class Store:
    """All repos, by type and id. Additions and lookups may come from any thread."""

    def __init__(self):
        self._lock = threading.Lock()
        self._repos = {}
        self._aliases = {}
        self._by_object_id = {}

    @staticmethod
    def split(identity):
        """'datasets/org/name' -> ('datasets', 'org/name'); no prefix means a model."""
        kind, _, rest = identity.partition("/")
        return (kind, rest) if kind in ("datasets", "spaces") and rest else ("models", identity)

    def add(self, identity, files, **attributes):
        kind, name = self.split(identity)
        repo = Repo(kind, name, files, **attributes)
        with self._lock:
            self._repos[kind, name] = repo
            self._by_object_id[repo.object_id] = repo
        return repo

    def alias(self, old, new):
        with self._lock:
            self._aliases[self.split(old)] = self.split(new)[1]

    def get(self, kind, name):
        with self._lock:
            return self._repos.get((kind, name))

    def find(self, identity):
        return self.get(*self.split(identity))

    def renamed(self, kind, name):
        with self._lock:
            return self._aliases.get((kind, name))

    def by_object_id(self, object_id):
        with self._lock:
            return self._by_object_id.get(object_id)

    def names(self):
        with self._lock:
            return sorted(f"{kind}/{name}" for kind, name in self._repos)
