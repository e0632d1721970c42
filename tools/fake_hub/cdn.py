"""The CDN's port: signed URLs, ranges, an ETag that is no sha256, and no word about the repo."""

import re
import threading

from .httpd import Closed

_XML = "application/xml"


def _xml(code, message):
    return f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'.encode()


class Cdn:
    def __init__(self, store, counters, faults, signer):
        self._store = store
        self._counters = counters
        self._faults = faults
        self._signer = signer
        self._lock = threading.Lock()
        self._index = {}

    def _find(self, path):
        """(repo, File) of a URL path, or None. Contents never change behind a hash, so hits are kept."""
        with self._lock:
            if path in self._index:
                return self._index[path]
        match = re.fullmatch(r"/(?:xet-bridge-us|repos)/([0-9a-f]{24})/([0-9a-f]{64})", path)
        repo = self._store.by_object_id(match[1]) if match else None
        for commit in repo.commits.values() if repo else ():
            for file in commit.files.values():
                if file.lfs and file.xet_hash == match[2]:
                    with self._lock:
                        self._index[path] = repo, file
                    return repo, file
        return None

    def handle(self, request, connection):
        address = connection.address
        if "authorization" in request.headers:
            # The signed URL is the credential. A token that arrives here went to a host it was not meant for.
            self._counters.authorization_at_cdn()
            self._refuse(request, connection, 400, "InvalidArgument", "Only one auth mechanism allowed")
            return
        if request.method not in ("GET", "HEAD"):
            self._refuse(request, connection, 405, "MethodNotAllowed", "GET and HEAD only")
            return
        found = self._find(request.path)
        verdict = self._signer.check(request.path, request.query)
        if found is None or verdict == "denied":
            self._refuse(request, connection, 403, "AccessDenied", "Access denied")
            return
        repo, file = found
        key = f"{repo.name}/{file.path}"
        wanted = request.range(file.size)
        span = (*(wanted if isinstance(wanted, tuple) else (0, file.size)), file.size)
        faults = self._faults.for_request("cdn", key, span)
        if "latency" in faults:
            connection.server.stopping.wait(faults["latency"]["ms"] / 1000)
        if "close" in faults:
            raise Closed
        if verdict == "expired" or "expired" in faults:
            self._refuse(request, connection, 403, "AccessDenied", "Request has expired")
            return
        if "status" in faults:
            fault = faults["status"]
            extra = {} if fault["retry_after"] is None else {"Retry-After": fault["retry_after"]}
            self._refuse(request, connection, fault["code"], "InternalError", "Out of order", extra)
            return
        if "rate_limited" in faults:
            left = max(1, int(faults["rate_limited"].seconds_left() + 0.999))
            extra = {"Retry-After": left} if faults["rate_limited"]["style"] != "none" else {}
            self._refuse(request, connection, 429, "SlowDown", "Please reduce your request rate", extra)
            return
        self._send(request, connection, key, file, faults, address)

    def _refuse(self, request, connection, status, code, message, extra=None):
        self._counters.request("cdn", request.method, "file", status, connection.address)
        connection.answer(request, status, {"Content-Type": _XML} | (extra or {}), _xml(code, message))

    def _send(self, request, connection, key, file, faults, address):
        size = file.size
        etag = faults["etag"]["value"] if "etag" in faults else file.xet_hash
        headers = {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes", "ETag": f'"{etag}"',
                   "Content-Disposition": request.query.get("response-content-disposition", ["inline"])[0],
                   "Cache-Control": "public, max-age=31536000", "x-hf-cdn-pop": "aws-us-east-1",
                   "Access-Control-Allow-Origin": "*"}
        wanted = request.range(size) if "range" in request.headers and "ignore_range" not in faults else None
        if request.headers.get("if-range", f'"{etag}"') != f'"{etag}"':
            wanted = None
        if wanted == "unsatisfiable":
            self._counters.request("cdn", request.method, "file", 416, address)
            connection.answer(request, 416, headers | {"Content-Range": f"bytes */{size}"})
            return
        status = 206 if wanted else 200
        start, end = wanted or (0, size)
        if wanted:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
            if "shift_range" in faults:
                length, by = end - start, faults["shift_range"]["by"]
                start = max(0, min(start + by, size - length))
                if not faults["shift_range"]["lie"]:
                    headers["Content-Range"] = f"bytes {start}-{start + length - 1}/{size}"
                end = start + length
        length = told = end - start
        if "wrong_length" in faults:
            told = max(0, told + faults["wrong_length"]["delta"])
            length = min(length, told)
            connection.keep = False
        if "truncate" in faults and faults["truncate"]["matching_length"]:
            told = length = min(told, faults["truncate"]["after"])
        self._counters.request("cdn", request.method, "file", status, address)
        connection.head(status, headers | {"Content-Length": told})
        if request.method == "HEAD":
            return
        self._counters.cdn_transfer(+1)
        try:
            connection.stream(file.content, start, length, faults,
                              lambda at, n: self._counters.file(key, size, address, at, n, weight=True))
            if length < told:
                raise Closed
        finally:
            self._counters.cdn_transfer(-1)
