"""Raw HTTP to a node's Hub-compatible endpoint, for the tests of it."""

import hashlib
import http.client
import json
import socket
import threading
import urllib.parse


class Answer:
    def __init__(self, response, body):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = body

    def json(self):
        return json.loads(self.body)

    def __getitem__(self, name):
        return self.headers.get(name.lower())


class Client:
    """One connection that is kept alive, as the real clients keep theirs."""

    def __init__(self, node, timeout=30):
        self.connection = http.client.HTTPConnection("127.0.0.1", node.api_port, timeout=timeout)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def ask(self, method, path, headers=None, body=None):
        self.connection.putrequest(method, path, skip_accept_encoding=True)
        headers = dict(headers or {})
        if body is not None:
            headers.setdefault("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.connection.putheader(name, value)
        self.connection.endheaders(body)
        response = self.connection.getresponse()
        return Answer(response, response.read())

    def get(self, path, **headers):
        return self.ask("GET", path, {name.replace("_", "-"): value for name, value in headers.items()})

    def head(self, path, **headers):
        return self.ask("HEAD", path, {name.replace("_", "-"): value for name, value in headers.items()})


def ask(node, method, path, headers=None, body=None, timeout=30):
    with Client(node, timeout) as client:
        return client.ask(method, path, headers, body)


def get(node, path, **headers):
    with Client(node) as client:
        return client.get(path, **headers)


def file_path(repo, revision, path, prefix=""):
    return f"{prefix}/{repo}/resolve/{urllib.parse.quote(revision, safe='')}/{urllib.parse.quote(path)}"


class Download(threading.Thread):
    """GETs a file in the background. `body_bytes` of it came; `whole` when that is all of Content-Length."""

    def __init__(self, node, path, headers=None, pause=None):
        super().__init__(daemon=True)
        self.node, self.path, self.request_headers = node, path, headers or {}
        self.pause = pause  # an Event: read only after it is set
        self.status, self.length, self.body_bytes, self.error = None, None, 0, None
        self.hash = hashlib.sha256()
        self.started = threading.Event()  # headers are here
        self.start()

    def run(self):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.node.api_port, timeout=60)
            connection.request("GET", self.path, headers=self.request_headers)
            response = connection.getresponse()
            self.status, self.length = response.status, int(response.getheader("Content-Length"))
            self.started.set()
            if self.pause:
                self.pause.wait(60)
            while True:
                block = response.read1(1 << 18)
                if not block:
                    break
                self.body_bytes += len(block)
                self.hash.update(block)
            connection.close()
        except (OSError, http.client.HTTPException) as e:
            self.error = e
        finally:
            self.started.set()

    @property
    def whole(self):
        return self.length is not None and self.body_bytes == self.length


def raw(node, data, timeout=5, half_close=False):
    """Sends bytes as they are; returns what came until the other side closed or the time was up."""
    with socket.create_connection(("127.0.0.1", node.api_port), timeout=timeout) as s:
        s.sendall(data)
        if half_close:
            s.shutdown(socket.SHUT_WR)
        out = b""
        try:
            while block := s.recv(65536):
                out += block
        except OSError:
            pass
        return out
