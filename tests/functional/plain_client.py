#!/usr/bin/python3
"""A BitTorrent client that is no shoal (python3-libtorrent), for tests: knows what a node seeds, and tries to get it.

Makes the torrents of a closed cluster as a member would (the first segment of a blob, and the cluster's meeting place), so
that its info-hashes are right, and connects to a node. Prints what came of it, as JSON:
  payload   bytes of content
  protocol  bytes received inside BitTorrent, content included: 0 when no handshake came through
  attempts  connections that were made or refused
"""

import argparse
import hashlib
import json
import pathlib
import socket
import subprocess
import time

import libtorrent as lt

BLOCK = 16 * 1024
ZERO = bytes(32)


def sha256(data):
    return hashlib.sha256(data).digest()


def tree(leaves, width, missing=ZERO):
    level = leaves + [missing] * (width - len(leaves))
    while len(level) > 1:
        level = [sha256(level[i] + level[i + 1]) for i in range(0, len(level), 2)]
    return level[0]


def power_of_two(n):
    return 1 << (n - 1).bit_length()


def bencode(value):
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, bytes):
        return b"%d:%s" % (len(value), value)
    if isinstance(value, str):
        return bencode(value.encode())
    pairs = sorted((k if isinstance(k, bytes) else k.encode(), v) for k, v in value.items())
    return b"d" + b"".join(bencode(k) + bencode(v) for k, v in pairs) + b"e"


def single_file(name, length, piece_size, root, layer, authority):
    info = {"file tree": {name: {"": {"length": length, "pieces root": root}}}, "meta version": 2, "name": name,
            "piece length": piece_size, "ssl-cert": authority}
    return {"info": info, "piece layers": {root: layer} if layer else {}}


def first_segment(blob, authority):
    """As node/core/geometry.h cuts a blob of at most 2 GiB."""
    size = blob.stat().st_size
    assert size <= 128 * (16 << 20)
    length, piece_size = min(size, 16 << 20), 256 * 1024
    with open(blob, "rb") as f:
        data = f.read(length)
    leaves = [sha256(data[i:i + BLOCK]) for i in range(0, length, BLOCK)]
    per_piece = piece_size // BLOCK
    if length <= piece_size:
        root, layer = tree(leaves, power_of_two(len(leaves))), b""
    else:
        pieces = [tree(leaves[i:i + per_piece], per_piece) for i in range(0, len(leaves), per_piece)]
        root, layer = tree(pieces, power_of_two(len(pieces)), tree([], per_piece)), b"".join(pieces)
    return single_file(root.hex(), length, piece_size, root, layer, authority)


def cluster_torrent(name, authority):
    return single_file("shoal-cluster", BLOCK, BLOCK, sha256(f"shoal cluster: {name}".encode()), b"", authority)


def in_clear_text(torrent, peer, seconds):
    """What a node answers to a handshake with the right info-hash on its port, without TLS."""
    info_hash = sha256(bencode(torrent["info"]))[:20]
    got = b""
    with socket.create_connection(peer, timeout=seconds) as s:
        s.sendall(b"\x13BitTorrent protocol" + bytes(8) + info_hash + b"-XX0000-stranger....")
        try:
            while more := s.recv(4096):
                got += more
        except OSError:
            pass
    # A TLS alert (record type 21) says only that this is no TLS.
    return {"payload": 0, "protocol": 0 if got[:1] in (b"", b"\x15") and len(got) <= 7 else len(got), "attempts": 1}


def own_certificate(work):
    key, cert = work / "own.key", work / "own.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
                    "-out", cert, "-days", "2", "-subj", "/CN=" + "2" * 32, "-addext", "subjectAltName=DNS:*"],
                   check=True, capture_output=True)
    return cert, key


def with_libtorrent(torrents, certificate, peer, seconds, work):
    session = lt.session({"listen_interfaces": "127.0.0.1:0", "enable_dht": False, "enable_lsd": False, "enable_upnp": False,
                          "enable_natpmp": False, "out_enc_policy": 2, "in_enc_policy": 2, "enable_outgoing_utp": False,
                          "min_reconnect_time": 1, "max_failcount": 100, "alert_mask": lt.alert.category_t.all_categories})
    dh = work / "dh.pem"
    dh.write_bytes(subprocess.run(["openssl", "genpkey", "-genparam", "-algorithm", "DH", "-pkeyopt", "group:ffdhe2048"],
                                  check=True, capture_output=True).stdout)
    handles = []
    for i, torrent in enumerate(torrents):
        path = work / f"{i}.torrent"
        path.write_bytes(bencode(torrent))
        params = lt.add_torrent_params()
        params.ti = lt.torrent_info(str(path))
        params.save_path = str(work / "download")
        params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
        handle = session.add_torrent(params)
        if certificate:
            handle.set_ssl_certificate(*map(str, certificate), str(dh))
        handles.append(handle)
    attempts = 0
    end = time.monotonic() + seconds
    seen = {}
    while time.monotonic() < end:
        for handle in handles:
            handle.connect_peer(peer)
        session.wait_for_alert(500)
        attempts += sum(isinstance(a, (lt.peer_error_alert, lt.peer_disconnected_alert, lt.peer_connect_alert)) for a in session.pop_alerts())
        status = [handle.status() for handle in handles]
        seen = {"payload": sum(s.total_payload_download for s in status), "protocol": sum(s.total_download for s in status),
                "attempts": attempts}
        if seen["payload"] and certificate and status[0].is_seeding:
            break
    return seen


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--blob", type=pathlib.Path, required=True)
    parser.add_argument("--authority", type=pathlib.Path, required=True)
    parser.add_argument("--cluster", required=True)
    parser.add_argument("--peer", required=True)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--own-certificate", action="store_true")
    parser.add_argument("--clear-text", action="store_true")
    parser.add_argument("--member", type=pathlib.Path, help="folder with node.pem and node.key")
    a = parser.parse_args()
    a.work.mkdir(exist_ok=True)
    host, port = a.peer.rsplit(":", 1)
    peer = (host, int(port))
    authority = a.authority.read_bytes()
    torrents = [first_segment(a.blob, authority), cluster_torrent(a.cluster, authority)]
    if a.clear_text:
        seen = in_clear_text(torrents[0], peer, a.seconds)
    else:
        certificate = own_certificate(a.work) if a.own_certificate else (a.member / "node.pem", a.member / "node.key") if a.member else None
        seen = with_libtorrent(torrents, certificate, peer, a.seconds, a.work)
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
