"""The Hub's own port: metadata API, file resolution, errors and rate limits."""

import base64
import gzip
import hashlib
import hmac
import json
import secrets
import threading
import time
import urllib.parse

from .httpd import Closed
from .repos import File

_JSON = "application/json; charset=utf-8"
_TEXT = "text/plain; charset=utf-8"
_API_WORDS = {"revision", "tree", "paths-info", "refs", "commits", "treesize", "auth-check", "xet-read-token"}
_WINDOW_S = 300


class HubError(Exception):
    def __init__(self, status, message, code=None, **headers):
        super().__init__(message)
        self.status = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if code:
            self.headers["X-Error-Code"] = code
        if code or status >= 401:
            self.headers["X-Error-Message"] = message
        if status == 401:
            self.headers["WWW-Authenticate"] = 'Bearer realm="Authentication required", charset="UTF-8"'


class Quotas:
    """Fixed windows per token or address. The defaults are the Hub's for anonymous clients, September 2025."""

    def __init__(self, api=500, resolvers=3000, pages=100):
        self._limits = {"api": api, "resolvers": resolvers, "pages": pages}
        self._lock = threading.Lock()
        self._used = {}

    def take(self, who, bucket):
        """(allowed, headers)"""
        now = time.time()
        window, left_s = int(now // _WINDOW_S), _WINDOW_S - int(now % _WINDOW_S)
        limit = self._limits[bucket]
        with self._lock:
            if len(self._used) > 1000:
                self._used = {key: n for key, n in self._used.items() if key[2] == window}
            used = self._used[who, bucket, window] = self._used.get((who, bucket, window), 0) + 1
        return used <= limit, rate_limit_headers(bucket, max(0, limit - used), left_s, limit)


def rate_limit_headers(bucket, left, left_s, limit):
    return {"RateLimit": f'"{bucket}";r={left};t={left_s}',
            "RateLimit-Policy": f'"fixed window";"{bucket}";q={limit};w={_WINDOW_S}'}


class Signer:
    """Makes and checks the CDN's signed URLs."""

    def __init__(self, lifetime_s):
        self.lifetime_s = lifetime_s
        self._key = secrets.token_bytes(32)

    def _signature(self, path, expires):
        return hmac.new(self._key, f"{path}?{expires}".encode(), hashlib.sha256).hexdigest()

    def sign(self, path, name):
        expires = int(time.time() + self.lifetime_s)
        disposition = urllib.parse.quote(f"inline; filename*=UTF-8''{urllib.parse.quote(name)}", safe="")
        policy = base64.urlsafe_b64encode(json.dumps({"Resource": path, "Expires": expires}).encode()).decode()
        return (f"{path}?response-content-disposition={disposition}&X-Amz-Expires={self.lifetime_s}"
                f"&Expires={expires}&Policy={policy}&Signature={self._signature(path, expires)}&Key-Pair-Id=K2L8F4GPSG1IFC")

    def check(self, path, query):
        """'ok', 'expired' or 'denied'"""
        expires, signature = query.get("Expires", [""])[0], query.get("Signature", [""])[0]
        if not expires.isdigit() or not hmac.compare_digest(signature, self._signature(path, int(expires))):
            return "denied"
        return "ok" if time.time() < int(expires) else "expired"


class Hub:
    """`tokens`: token -> set of repo ids its owner may read although gated or private ('*': all of them)."""

    def __init__(self, store, counters, faults, signer, quotas, tokens, cdn_url, admin):
        self._store = store
        self._counters = counters
        self._faults = faults
        self._signer = signer
        self._quotas = quotas
        self._tokens = tokens
        self._cdn_url = cdn_url  # callable(connection) -> base URL of the CDN
        self._admin = admin

    # One request

    def handle(self, request, connection):
        parts = [urllib.parse.unquote(part) for part in request.path.split("/")[1:]]
        if parts and parts[0] == "_admin":
            self._admin.handle(request, connection, parts[1:])
            return
        route = self._route(parts)
        faults = self._faults.for_request("hub", request.path)
        self._prepare(faults, connection)
        status, headers, body = self._outcome(request, connection, parts, route, faults)
        headers = {"X-Request-Id": f"Root=1-{secrets.token_hex(12)}", "X-Powered-By": "huggingface-moon",
                   "Access-Control-Allow-Origin": "*"} | headers
        if isinstance(body, File):
            self._send_file(request, connection, route, status, headers, body, faults)
            return
        self._counters.request("hub", request.method, route, status, connection.address)
        connection.answer(request, status, headers, body)
        if request.method != "HEAD":
            self._counters.metadata(connection.address, len(body))

    @staticmethod
    def _prepare(faults, connection):
        """Faults that need no knowledge of the answer."""
        if "latency" in faults:
            connection.server.stopping.wait(faults["latency"]["ms"] / 1000)
        if "close" in faults:
            raise Closed
        if "reset" in faults and faults["reset"]["after"] == 0:
            connection.reset()
        if "stall" in faults and faults["stall"]["after"] == 0:
            connection.hold(faults["stall"]["seconds"])
            raise Closed

    @staticmethod
    def _route(parts):
        if parts[:2] == ["api", "resolve-cache"]:
            return "resolve-cache"
        if parts[:1] == ["api"]:
            word = next((p for p in parts[3:5] if p in _API_WORDS), None)
            return word or ("info" if len(parts) > 2 and parts[1] in ("models", "datasets", "spaces") else "api")
        return next((p for p in parts if p in ("resolve", "raw")), "page")

    def _outcome(self, request, connection, parts, route, faults):
        bucket = "resolvers" if route in ("resolve", "resolve-cache") else "api" if parts[0] == "api" else "pages"
        who = request.headers.get("authorization") or connection.address
        allowed, limit_headers = self._quotas.take(who, bucket)
        try:
            if "rate_limited" in faults:
                fault = faults["rate_limited"]
                left = max(1, int(fault.seconds_left() + 0.999))
                limit_headers = (rate_limit_headers(bucket, 0, left, 3000) if fault["style"] == "ratelimit" else
                                 {"Retry-After": left} if fault["style"] == "retry-after" else {})
                raise HubError(429, "Too Many Requests")
            if not allowed:
                raise HubError(429, "Too Many Requests")
            if "status" in faults:
                fault = faults["status"]
                extra = {} if fault["retry_after"] is None else {"Retry_After": fault["retry_after"]}
                raise HubError(fault["code"], "Out of order", **extra)
            if request.method not in ("GET", "HEAD", "POST"):
                raise HubError(405, "Method not allowed")
            status, headers, body = self._dispatch(request, connection, parts, route, faults)
            return status, limit_headers | headers, body
        except HubError as e:
            api = parts[0] == "api"
            body = json.dumps({"error": str(e)}).encode() if api else str(e).encode()
            return e.status, limit_headers | {"Content-Type": _JSON if api else _TEXT} | e.headers, body

    def _dispatch(self, request, connection, parts, route, faults):
        if parts[0] != "api":
            if route not in ("resolve", "raw"):
                raise HubError(404, "Sorry, we can't find the page you are looking for.")
            kind = parts[0] if parts[0] in ("datasets", "spaces") else "models"
            at = parts.index(route)
            name = "/".join(parts[(kind != "models"):at])
            return self._resolve(request, connection, kind, name, parts[at + 1:], route, faults)
        if route == "resolve-cache":
            return self._resolve_cache(request, parts[2:])
        if len(parts) > 2 and parts[1] in ("models", "datasets", "spaces"):
            two = len(parts) > 3 and (parts[3] not in _API_WORDS or self._store.get(parts[1], "/".join(parts[2:4])))
            name, rest = ("/".join(parts[2:4]), parts[4:]) if two else (parts[2], parts[3:])
            return self._api(request, connection, parts[1], name, rest)
        if parts[1:] == ["whoami-v2"]:
            token = self._token(request)
            if token is None:
                raise HubError(401, "Invalid username or password.")
            return self._json({"type": "user", "name": token.removeprefix("hf_"), "orgs": []})
        if parts[1:2] == ["telemetry"] or parts[1:] == ["agent-harnesses"]:
            return self._json({})
        raise HubError(404, "Not Found")

    @staticmethod
    def _json(value, headers=None):
        body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        etag = f'W/"{len(body):x}-{hashlib.sha1(body).hexdigest()[:27]}"'
        return 200, {"Content-Type": _JSON, "ETag": etag} | (headers or {}), body

    # Who may see what

    def _token(self, request):
        """The valid token of the request, None without one; 401 for a bad one, also on public repos."""
        text = request.headers.get("authorization")
        if text is None:
            return None
        token = text.removeprefix("Bearer ").strip()
        if token not in self._tokens:
            raise HubError(401, "Invalid credentials in Authorization header")
        return token

    def _allowed(self, token, repo):
        grants = self._tokens.get(token, ()) if token else ()
        return "*" in grants or repo.name in grants

    def _repo(self, request, kind, name):
        """The repo if it exists for this client."""
        token = self._token(request)
        repo = self._store.get(kind, name)
        if repo is None:
            new_name = self._store.renamed(kind, name)
            if new_name:
                # Only the id changes; sub-path and query stay as the client wrote them.
                old, new = (urllib.parse.quote(n) for n in (name, new_name))
                raise HubError(307, f"Temporary Redirect. Redirecting to {new}",
                               Location=request.target.replace(f"/{old}", f"/{new}", 1))
        if repo is None or (repo.private and not self._allowed(token, repo)):
            if token is None:
                raise HubError(401, "Invalid username or password.")
            raise HubError(404, "Repository not found", "RepoNotFound")
        if repo.disabled:
            raise HubError(403, "Access to this resource is disabled.")
        return repo

    def _check_gate(self, request, repo):
        token = self._token(request)
        if repo.gated and not self._allowed(token, repo):
            what = f"Access to {repo.kind[:-1]} {repo.name} is restricted"
            if token is None:
                raise HubError(401, f"{what}. You must have access to it and be authenticated to access it. Please log in.",
                               "GatedRepo")
            raise HubError(403, f"{what} and you are not in the authorized list. "
                                f"Visit https://huggingface.co/{repo.name} to ask for access.", "GatedRepo")

    @staticmethod
    def _commit(repo, revision):
        commit = repo.resolve(revision)
        if commit is None:
            raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return commit

    # Metadata

    def _api(self, request, connection, kind, name, rest):
        repo = self._repo(request, kind, name)
        word = rest[0] if rest else ""
        if word in ("", "revision"):
            return self._info(request, repo, self._commit(repo, "/".join(rest[1:]) or "main"))
        if word == "tree":
            return self._tree(request, connection, repo, rest[1:])
        if word == "paths-info":
            return self._paths_info(request, repo, self._commit(repo, "/".join(rest[1:])))
        if word == "refs":
            branches = [{"name": ref, "ref": f"refs/heads/{ref}", "targetCommit": commit}
                        for ref, commit in repo.refs.items() if not ref.startswith("refs/")]
            return self._json({"branches": branches, "tags": [], "converts": []})
        if word == "commits":
            self._check_gate(request, repo)
            commit = self._commit(repo, "/".join(rest[1:]))
            return self._json([self._last_commit(repo, commit) | {"authors": []}], {"X-Total-Count": "1"})
        if word == "treesize":
            commit = self._commit(repo, rest[1] if len(rest) > 1 else "main")
            folder = "/".join(rest[2:])
            size = sum(f.size for p, f in commit.files.items() if not folder or p.startswith(folder + "/"))
            return self._json({"path": "/" + folder, "size": size})
        if word == "auth-check":
            self._check_gate(request, repo)
            return self._json({})
        if word == "xet-read-token":
            self._counters.xet_call()
            raise HubError(404, "Not Found")
        raise HubError(404, "Not Found")

    def _info(self, request, repo, commit):
        siblings = []
        for path, file in commit.files.items():
            entry = {"rfilename": path}
            if request.flag("blobs"):
                entry |= {"size": file.size, "blobId": file.oid}
                if file.lfs:
                    entry["lfs"] = {"sha256": file.etag, "size": file.size, "pointerSize": len(file.pointer)}
            siblings.append(entry)
        info = {"_id": repo.object_id, "id": repo.name, "author": repo.name.split("/")[0], "sha": commit.id,
                "private": repo.private, "gated": repo.gated, "disabled": repo.disabled,
                "lastModified": repo.date, "createdAt": repo.date, "tags": [], "downloads": 0, "likes": 0,
                "usedStorage": sum(f.size for f in commit.files.values()), "siblings": siblings}
        if repo.kind == "models":
            info |= {"modelId": repo.name, "pipeline_tag": "text-generation", "library_name": "transformers"}
        wanted = request.query.get("expand", []) + request.query.get("expand[]", [])
        if wanted:
            info = {key: value for key, value in info.items() if key in ("_id", "id", *wanted)}
        return self._json(info)

    def _entry(self, repo, commit, item, expand):
        if isinstance(item, File):
            entry = {"type": "file", "oid": item.oid, "size": item.size, "path": item.path}
            if item.lfs:
                entry["lfs"] = {"oid": item.etag, "size": item.size, "pointerSize": len(item.pointer)}
                if repo.xet:
                    entry["xetHash"] = item.xet_hash
        else:
            entry = dict(item)
        if expand:
            last = self._last_commit(repo, commit)
            entry["lastCommit"] = {key: last[key] for key in ("id", "title", "date")}
        return entry

    @staticmethod
    def _last_commit(repo, commit):
        return {"id": commit.id, "title": "Upload", "message": "", "date": repo.date}

    def _tree(self, request, connection, repo, rest):
        # JS leaves the slashes of a revision alone, so the revision may take several parts: the longest one wins.
        for n in range(len(rest), 0, -1):
            commit = repo.resolve("/".join(rest[:n]))
            if commit:
                break
        else:
            raise HubError(404, f"Invalid rev id: {rest[0] if rest else ''}", "RevisionNotFound")
        folder = "/".join(rest[n:]).strip("/")
        listing = commit.listing(folder, request.flag("recursive"))
        if listing is None:
            raise HubError(404, f'{folder} does not exist on "{rest[0]}"', "EntryNotFound", X_Repo_Commit=commit.id)
        expand = request.flag("expand")
        page = 100 if expand else 1000
        try:
            page = max(1, min(page, int(request.query.get("limit", [page])[0])))
            at = int(base64.urlsafe_b64decode(request.query.get("cursor", ["MA=="])[0]))
        except ValueError:
            raise HubError(400, "Invalid cursor or limit") from None
        headers = {}
        if at + page < len(listing):
            query = {key: values[0] for key, values in request.query.items()}
            query["cursor"] = base64.urlsafe_b64encode(str(at + page).encode()).decode()
            headers["Link"] = f'<{self._base(request, connection)}{request.path}?{urllib.parse.urlencode(query)}>; rel="next"'
        return self._json([self._entry(repo, commit, item, expand) for item in listing[at:at + page]], headers)

    def _paths_info(self, request, repo, commit):
        if request.method != "POST":
            raise HubError(405, "Method not allowed")
        try:
            if "json" in request.headers.get("content-type", ""):
                form = json.loads(request.body)
                paths, expand = form.get("paths", []), form.get("expand", False) in (True, "true")
            else:
                form = urllib.parse.parse_qs(request.body.decode())
                paths, expand = form.get("paths", []), form.get("expand", ["false"])[0].lower() in ("true", "1")
        except (ValueError, AttributeError):
            raise HubError(400, "Invalid body") from None
        paths = [paths] if isinstance(paths, str) else paths
        if len(paths) > 2000:
            raise HubError(400, "Too many paths")
        out = []
        for path in paths:
            if path in commit.files:
                out.append(self._entry(repo, commit, commit.files[path], expand))
            elif path and path in commit.folders:
                folder = {"type": "directory", "oid": commit.folders[path], "size": 0, "path": path}
                out.append(self._entry(repo, commit, folder, expand))
        return self._json(out)

    # Files

    @staticmethod
    def _base(request, connection):
        """The address by which this client reached the Hub."""
        host = request.headers.get("host") or "%s:%d" % connection.sock.getsockname()[:2]
        return f"{'https' if connection.server.tls else 'http'}://{host}"

    @staticmethod
    def _disposition(path):
        name = path.rsplit("/", 1)[-1]
        plain = "".join(c if " " <= c <= "~" and c not in '"\\' else "_" for c in name)
        return f"inline; filename*=UTF-8''{urllib.parse.quote(name)}; filename=\"{plain}\";"

    def _resolve(self, request, connection, kind, name, rest, route, faults):
        if request.method not in ("GET", "HEAD"):
            raise HubError(405, "Method not allowed")
        repo = self._repo(request, kind, name)
        # A slash inside a revision arrives escaped, so the revision is one part of the path.
        if len(rest) < 2 or any(part in ("", ".", "..") for part in rest[1:]):
            raise HubError(400, "Bad request")
        self._check_gate(request, repo)
        commit, path = self._commit(repo, rest[0]), "/".join(rest[1:])
        file = commit.files.get(path)
        if file is None:
            raise HubError(404, "Entry not found", "EntryNotFound", X_Repo_Commit=commit.id)
        headers = {"X-Repo-Commit": commit.id, "Accept-Ranges": "bytes", "Vary": "Origin, Accept"}
        if route == "raw":
            body = file.pointer if file.lfs else file.content.read()
            return 200, headers | {"Content-Type": _TEXT, "ETag": f'"{file.oid}"'}, body
        if request.headers.get("if-none-match", "").removeprefix("W/").strip('"') == file.etag:
            return 304, headers | {"ETag": f'"{file.etag}"'}, b""
        if file.lfs:
            return self._to_cdn(request, connection, repo, commit, file, headers, faults)
        if repo.private or repo.gated:
            return 200, headers | {"Content-Disposition": self._disposition(path)}, file
        cached = f"/api/resolve-cache/{kind}/{name}/{commit.id}/{urllib.parse.quote(path)}"
        key = urllib.parse.quote(urllib.parse.unquote(request.path), safe="")
        location = f"{cached}?{key}=&etag={urllib.parse.quote(chr(34) + file.oid + chr(34), safe='')}"
        headers |= {"Location": location, "Content-Disposition": self._disposition(path), "Content-Type": _TEXT}
        return 307, headers, f"Temporary Redirect. Redirecting to {location}".encode()

    def _to_cdn(self, request, connection, repo, commit, file, headers, faults):
        size = file.size + (faults["size"]["delta"] if "size" in faults else 0)
        etag = faults["etag"]["value"] if "etag" in faults else file.etag
        headers |= {"X-Linked-Size": size, "X-Linked-ETag": f'"{etag}"', "Cache-Control": "no-store",
                    "Content-Type": _TEXT}
        if repo.xet:
            base = self._base(request, connection)
            headers["X-Xet-Hash"] = file.xet_hash
            headers["Link"] = (f'<{base}/api/{repo.kind}/{repo.name}/xet-read-token/{commit.id}>; rel="xet-auth", '
                               f'<{base}/v1/reconstructions/{file.xet_hash}>; rel="xet-reconstruction-info"')
            if "application/vnd.xet-fileinfo+json" in request.headers.get("accept", ""):
                body = json.dumps({"hash": file.xet_hash, "etag": etag, "size": size}).encode()
                return 200, headers | {"Content-Type": "application/vnd.xet-fileinfo+json"}, body
        folder = "xet-bridge-us" if repo.xet else "repos"
        path = f"/{folder}/{repo.object_id}/{file.xet_hash}"
        location = self._cdn_url(connection) + self._signer.sign(path, file.path.rsplit("/", 1)[-1])
        return 302, headers | {"Location": location}, f"Found. Redirecting to {location}".encode()

    def _resolve_cache(self, request, rest):
        """/{models|datasets|spaces}/{id}/{full commit}/{path}; the id has one part or two."""
        for parts in (1, 2):
            name = "/".join(rest[1:1 + parts])
            repo = self._store.get(rest[0], name) if rest else None
            revision, path = rest[1 + parts:2 + parts], "/".join(rest[2 + parts:])
            if repo and revision and revision[0] in repo.commits and not (repo.private or repo.gated):
                file = repo.commits[revision[0]].files.get(path)
                if file is None or file.lfs:
                    raise HubError(404, "Entry not found", "EntryNotFound", X_Repo_Commit=revision[0])
                return 200, {"X-Repo-Commit": revision[0], "Content-Disposition": self._disposition(path)}, file
        raise HubError(404, "Not Found")

    def _send_file(self, request, connection, route, status, headers, file, faults):
        """An ordinary file from the Hub itself: ranges, and gzip where the client takes it and asks for no range."""
        headers |= {"ETag": f'"{file.etag}"', "Accept-Ranges": "bytes", "Content-Type": _TEXT}
        record = self._counters.request
        wanted = request.range(file.size) if "range" in request.headers else None
        if wanted == "unsatisfiable" and file.size == 0:
            headers["Content-Range"] = "bytes */0"  # with 200: what the JavaScript client needs for an empty file
            wanted = None
        if wanted == "unsatisfiable":
            record("hub", request.method, route, 416, connection.address)
            connection.answer(request, 416, headers | {"Content-Range": f"bytes */{file.size}"})
            return
        if wanted is None and file.size >= 1024 and "range" not in request.headers \
                and "gzip" in request.headers.get("accept-encoding", ""):
            headers |= {"Content-Encoding": "gzip", "ETag": f'W/"{file.etag}"', "Transfer-Encoding": "chunked"}
            record("hub", request.method, route, 200, connection.address)
            connection.head(200, headers)
            if request.method != "HEAD":
                body = gzip.compress(file.content.read(), 1)
                connection.sock.sendall(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
                self._counters.metadata(connection.address, len(body))
            return
        start, end = wanted or (0, file.size)
        if wanted:
            status = 206
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{file.size}"
        length = told = end - start
        if "wrong_length" in faults:
            told += faults["wrong_length"]["delta"]
            length = min(length, told)
            connection.keep = False
        if "truncate" in faults and faults["truncate"]["matching_length"]:
            told = min(told, faults["truncate"]["after"])
        record("hub", request.method, route, status, connection.address)
        connection.head(status, headers | {"Content-Length": told})
        if request.method != "HEAD":
            connection.stream(file.content, start, length, faults, lambda at, n: self._counters.metadata(connection.address, n))
