"""A small HTTP/1.1 server: one thread per connection, sendfile for bodies, and full control of what goes wrong."""

import select
import socket
import struct
import threading
import time
import urllib.parse

_HEAD_MAX = 64 << 10  # bytes of request line and headers
_BODY_MAX = 8 << 20  # bytes of a request's body; the largest sent by a client is a paths-info form
_IDLE_S = 75  # keep-alive connections without a request are closed after this, as the Hub's edge does
_CHUNK = 1 << 20  # bytes per sendfile call: large enough to be cheap, small enough to keep counters current
_PACED_CHUNK = 32 << 10  # the same while a rate limit is on, so that connections share it evenly
# Bounds what is counted as sent and yet never arrives when a client is killed. Four of these still fill loopback.
_SEND_BUFFER = 256 << 10

REASONS = {200: "OK", 206: "Partial Content", 302: "Found", 304: "Not Modified", 307: "Temporary Redirect",
           400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
           416: "Range Not Satisfiable", 429: "Too Many Requests", 500: "Internal Server Error", 502: "Bad Gateway",
           503: "Service Unavailable", 504: "Gateway Timeout"}


class Closed(Exception):
    """The connection ended, by either side; its thread unwinds."""


class Pace:
    """One budget of bytes per second for all connections: the site's thin pipe."""

    def __init__(self, bytes_per_s=0):
        self._lock = threading.Lock()
        self._next = 0.0
        self.bytes_per_s = bytes_per_s

    def wait_turn(self, n, stopping):
        with self._lock:
            if not self.bytes_per_s:
                return
            now = time.monotonic()
            begin = max(self._next, now)
            self._next = begin + n / self.bytes_per_s
        if begin > now:
            stopping.wait(begin - now)


class Request:
    def __init__(self, method, target, headers, body):
        self.method = method
        # A client that takes this server for its proxy sends whole URLs.
        self.proxied_to = None
        if target.startswith("http://"):
            self.proxied_to, slash, rest = target[7:].partition("/")
            target = slash + rest or "/"
        self.target = target
        self.path, _, query = target.partition("?")
        self.query = urllib.parse.parse_qs(query, keep_blank_values=True)
        self.headers = headers
        self.body = body

    def flag(self, name):
        """Booleans come as True, true and 1; the parameter is present even when false."""
        return self.query.get(name, ["false"])[0].lower() in ("true", "1")

    def range(self, size):
        """(start, end) half open; None: no usable single range; 'unsatisfiable'."""
        text = self.headers.get("range", "")
        if not text.startswith("bytes=") or "," in text:
            return None
        first, dash, last = text[6:].strip().partition("-")
        if not dash or not (first + last).isdigit():
            return None
        if not first:
            return (max(0, size - int(last)), size) if size and int(last) else "unsatisfiable"
        if last and int(last) < int(first):
            return None
        if int(first) >= size:
            return "unsatisfiable"
        return int(first), min(size, int(last) + 1) if last else size


class Connection:
    def __init__(self, server, sock, address):
        self.server = server
        self.sock = sock
        self.address = address
        self.keep = True
        self._buffer = b""

    # Reading

    def next_request(self):
        while b"\r\n\r\n" not in self._buffer:
            if len(self._buffer) > _HEAD_MAX:
                self.keep = False
                self.answer(None, 400, {}, b"headers too long\n")
                raise Closed
            self._receive()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        try:
            method, target, version = lines[0].split(" ")
            headers = {}
            for line in lines[1:]:
                name, colon, value = line.partition(":")
                if not colon:
                    raise ValueError
                headers[name.strip().lower()] = value.strip()
            length = int(headers.get("content-length", "0"))
            if not 0 <= length <= _BODY_MAX or "transfer-encoding" in headers:
                raise ValueError
        except ValueError:
            self.keep = False
            self.answer(None, 400, {}, b"bad request\n")
            raise Closed from None
        if headers.get("expect", "").lower() == "100-continue":
            self.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        while len(self._buffer) < length:
            self._receive()
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        connection = headers.get("connection", "").lower()
        self.keep = "close" not in connection if version == "HTTP/1.1" else "keep-alive" in connection
        return Request(method, target, headers, body)

    def _receive(self):
        data = self.sock.recv(65536)
        if not data:
            raise Closed
        self._buffer += data

    # Writing

    def head(self, status, headers):
        lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines += [f"Date: {time.strftime('%a, %d %b %Y %H:%M:%S GMT', time.gmtime())}",
                  f"Connection: {'keep-alive' if self.keep else 'close'}"]
        self.sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace"))

    def answer(self, request, status, headers, body=b""):
        """A whole answer from memory. A HEAD's gets the headers only."""
        if status != 304:
            headers = headers | {"Content-Length": len(body)}
        self.head(status, headers)
        if body and (request is None or request.method != "HEAD") and status != 304:
            self.sock.sendall(body)

    def stream(self, content, start, length, faults, sent):
        """Sends a body. `sent(offset, n)` hears of every bit that left. Raises Closed if a fault ends it early."""
        at, end = start, start + length
        stop = next((faults[k] for k in ("truncate", "stall", "reset") if k in faults), None)
        corrupt, trickle = faults.get("corrupt"), faults.get("trickle")
        while at < end:
            n = min(end - at, _PACED_CHUNK if self.server.pace.bytes_per_s else _CHUNK)
            if stop is not None:
                left = stop["after"] - (at - start)
                if left <= 0:
                    self._stop(stop)
                n = min(n, left)
            if trickle is not None:
                left = trickle["after"] - (at - start)
                n = min(n, left if left > 0 else max(1, trickle["bytes_per_s"] // 10))
                if left <= 0 and self.server.stopping.wait(0.1):
                    raise Closed
            self.server.pace.wait_turn(n, self.server.stopping)
            bad = corrupt is not None and corrupt.overlap(at, at + n, content.size)
            if bad or self.server.tls:  # sendfile is for clear bytes as they are
                data = bytearray(content.read(at, n))
                for i in range(*(bad or (0, 0))):
                    data[i - at] ^= 0x55
                self.sock.sendall(data)
            else:
                n = content.send(self.sock, at, n)
                if n == 0:
                    raise Closed
            sent(at, n)
            at += n

    def _stop(self, fault):
        if fault.kind == "reset":
            self.reset()
        if fault.kind == "stall":
            self.hold(fault["seconds"])
        raise Closed

    def hold(self, seconds):
        """Keeps the connection open and silent until the time is over, the client leaves or the server stops."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self.server.stopping.wait(0.1):
            readable, _, _ = select.select([self.sock], [], [], 0)
            if readable and not self.sock.recv(65536):
                return

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise Closed


class Server:
    """Listens on one port and gives every request to `handle(request, connection)`. `tls`: an ssl.SSLContext or None."""

    def __init__(self, address, port, handle, pace, stopping, tls=None):
        self.tls = tls
        self.pace = pace
        self.stopping = stopping
        self._handle = handle
        self._lock = threading.Lock()
        self._open = set()
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._listener = socket.create_server((address, port), family=family, backlog=512)
        self.port = self._listener.getsockname()[1]

    def start(self):
        threading.Thread(target=self._accept, name=f"accept-{self.port}", daemon=True).start()

    def stop(self):
        with self._lock:
            sockets = list(self._open)
        for sock in [self._listener, *sockets]:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _accept(self):
        while not self.stopping.is_set():
            try:
                sock, address = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock, address[0]), daemon=True).start()

    def _serve(self, sock, address):
        plain = sock
        with self._lock:
            self._open.add(plain)
        try:
            # Kernel timeouts instead of settimeout(): that would make the descriptor non-blocking for sendfile.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", _IDLE_S, 0))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 3600, 0))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
            if self.tls:
                sock = self.tls.wrap_socket(sock, server_side=True)
            connection = Connection(self, sock, address)
            while connection.keep and not self.stopping.is_set():
                self._handle(connection.next_request(), connection)
        except (Closed, OSError):
            pass
        finally:
            with self._lock:
                self._open.discard(plain)
            sock.close()
