"""The bytes of files: on disk, in memory, or computed from a seed at any offset."""

import abc
import hashlib
import mmap
import os
import random

MIB = 1 << 20
_PATTERN = 16 * MIB
_BLOCK = 1 * MIB
# Odd and no multiple of 3 or 5, so that it has no factor in common with _PATTERN - _BLOCK: the first fifteen
# million blocks of a file all begin at different places of the pattern, and no two of them are equal.
_STRIDE = 7_368_787

_patterns = {}


def _pattern(seed):
    """A memfd with 16 MiB of noise for this seed, and a map of it. One per seed and process."""
    if seed not in _patterns:
        fd = os.memfd_create(f"pattern-{seed}")
        os.write(fd, random.Random(f"shoal-{seed}").randbytes(_PATTERN))
        _patterns[seed] = (fd, memoryview(mmap.mmap(fd, _PATTERN, prot=mmap.PROT_READ)))
    return _patterns[seed]


class Content(abc.ABC):
    """`size` bytes that can be read and sent from any offset, by several threads at once."""

    size = 0

    @abc.abstractmethod
    def views(self, start, length):
        """Yields bytes-like objects that make up [start, start + length)."""

    def send(self, sock, start, length):
        """Sends at least one and at most `length` bytes; returns how many."""
        for view in self.views(start, length):
            return sock.send(view)
        return 0

    def read(self, start=0, length=None):
        length = self.size - start if length is None else length
        return b"".join(self.views(start, length))

    def digest(self, algorithm, prefix=b""):
        h = hashlib.new(algorithm, prefix)
        for view in self.views(0, self.size):
            h.update(view)
        return h.hexdigest()


class BytesContent(Content):
    def __init__(self, data):
        self._data = bytes(data)
        self.size = len(self._data)

    def views(self, start, length):
        if length:
            yield memoryview(self._data)[start : start + length]


class PhantomContent(Content):
    """A size without bytes, for files that nobody can or should fetch."""

    def __init__(self, size):
        self.size = size

    def views(self, start, length):
        raise OSError("a phantom has no bytes")


class FileContent(Content):
    """A file on disk, sent by sendfile(2)."""

    def __init__(self, path):
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.size = os.fstat(self._fd).st_size

    def views(self, start, length):
        while length > 0:
            data = os.pread(self._fd, min(length, _BLOCK), start)
            if not data:
                raise OSError("file became shorter while it was served")
            yield data
            start += len(data)
            length -= len(data)

    def send(self, sock, start, length):
        return os.sendfile(sock.fileno(), self._fd, start, length)


class PatternContent(Content):
    """`head` followed by noise that depends on `seed` and `name` only; costs no disk and no memory of its own."""

    def __init__(self, seed, name, body_size, head=b""):
        self._head = bytes(head)
        self.size = len(self._head) + body_size
        self._fd, self._map = _pattern(seed)
        self._salt = int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:6], "big")

    def _place(self, start, length):
        """Where the bytes from body offset `start` on stand in the pattern, at most to the end of their block."""
        block, inside = divmod(start, _BLOCK)
        at = (block * _STRIDE + self._salt) % (_PATTERN - _BLOCK) + inside
        return at, min(length, _BLOCK - inside)

    def views(self, start, length):
        while length > 0:
            if start < len(self._head):
                n = min(length, len(self._head) - start)
                yield memoryview(self._head)[start : start + n]
            else:
                at, n = self._place(start - len(self._head), length)
                yield self._map[at : at + n]
            start += n
            length -= n

    def send(self, sock, start, length):
        if start < len(self._head):
            return sock.send(self._head[start : start + min(length, len(self._head) - start)])
        at, n = self._place(start - len(self._head), length)
        return os.sendfile(sock.fileno(), self._fd, at, n)
