"""A standard BitTorrent v2 torrent (BEP 52) of one file, for programs that shoal is compared with."""

import hashlib

BLOCK = 16 << 10


def bencode(value):
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return b"%d:%b" % (len(value), value)
    items = sorted((k.encode() if isinstance(k, str) else k, v) for k, v in value.items())
    return b"d" + b"".join(bencode(k) + bencode(v) for k, v in items) + b"e"


def _root(hashes, width, pad):
    hashes = hashes + [pad] * (width - len(hashes))
    while len(hashes) > 1:
        hashes = [hashlib.sha256(hashes[i] + hashes[i + 1]).digest() for i in range(0, len(hashes), 2)]
    return hashes[0]


def make(path, name, piece_size=1 << 20):
    """The bytes of the .torrent file. REQUIRES: the file is larger than one piece."""
    leaves_per_piece, pieces, size = piece_size // BLOCK, [], 0
    zero = bytes(32)
    with open(path, "rb") as f:
        while data := f.read(piece_size):
            size += len(data)
            leaves = [hashlib.sha256(data[i:i + BLOCK]).digest() for i in range(0, len(data), BLOCK)]
            pieces.append(_root(leaves, leaves_per_piece, zero))
    width = 1
    while width < len(pieces):
        width *= 2
    root = _root(pieces, width, _root([], leaves_per_piece, zero))
    info = {"name": name, "piece length": piece_size, "meta version": 2,
            "file tree": {name: {"": {"length": size, "pieces root": root}}}}
    return bencode({"info": info, "piece layers": {root: b"".join(pieces)}})
