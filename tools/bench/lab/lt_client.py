#!/usr/bin/python3
"""A libtorrent client for the lab: a torrent with a web seed, tuned; or each host fetches its stripe by HTTP and all swap.

Started on a host by `alternatives.py`. Writes the file `done` when it has everything, and seeds until SIGTERM.
"""

import argparse
import http.client
import pathlib
import signal
import sys
import threading
import urllib.parse

import libtorrent as lt

# What the libtorrent manual's tuning chapter and a fast LAN ask for: many requests in flight, everybody unchoked at once, no uTP.
SETTINGS = {
    "enable_dht": False, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False, "enable_incoming_utp": False,
    "enable_outgoing_utp": False, "allow_multiple_connections_per_ip": True, "connections_limit": 500, "connection_speed": 200,
    "unchoke_slots_limit": -1, "max_out_request_queue": 1500, "max_allowed_in_request_queue": 3000, "request_queue_time": 3,
    "send_buffer_watermark": 3 << 20, "send_buffer_low_watermark": 512 << 10, "send_buffer_watermark_factor": 150,
    "max_queued_disk_bytes": 64 << 20, "urlseed_pipeline_size": 5, "urlseed_max_request_bytes": 1 << 20, "out_enc_policy": 2,
    "in_enc_policy": 2, "aio_threads": 2, "hashing_threads": 1, "mixed_mode_algorithm": 0, "prioritize_partial_pieces": False,
    "no_connect_privileged_ports": False, "smooth_connects": False, "user_agent": "lab", "alert_mask": 0,
    "torrent_connect_boost": 50, "choking_algorithm": 0, "seed_choking_algorithm": 1, "close_redundant_connections": False,
}


def stripe_ranges(storage, first, last):
    """Byte ranges of the files that pieces [first, last) cover: (path, begin, length)."""
    at, end = first * storage.piece_length(), min(last * storage.piece_length(), storage.total_size())
    for index in range(storage.num_files()):
        begin, size = storage.file_offset(index), storage.file_size(index)
        lo, hi = max(at, begin), min(end, begin + size)
        if lo < hi:
            yield storage.file_path(index), lo - begin, hi - lo


def fetch_stripe(handle, info, base, index, count):
    """This host's 1/count of all pieces: one Range request per file, each piece given to the swarm as it completes."""
    storage, pieces = info.files(), info.num_pieces()
    first, last = pieces * index // count, pieces * (index + 1) // count
    url = urllib.parse.urlsplit(base)
    connection, piece, held = http.client.HTTPConnection(url.hostname, url.port, timeout=60), first, bytearray()
    for path, begin, length in stripe_ranges(storage, first, last):
        connection.request("GET", url.path + urllib.parse.quote(path), headers={"Range": f"bytes={begin}-{begin + length - 1}"})
        answer = connection.getresponse()
        if answer.status != 206:
            sys.exit(f"{path}: {answer.status}")
        while data := answer.read(64 << 10):
            held += data
            while piece < last and len(held) >= info.piece_size(piece):
                size = info.piece_size(piece)
                handle.add_piece(piece, bytes(held[:size]), 0)
                del held[:size]
                piece += 1


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--torrent", required=True)
    p.add_argument("--listen", required=True)
    p.add_argument("--folder", required=True)
    p.add_argument("--done", required=True)
    p.add_argument("--peer", action="append", default=[])
    p.add_argument("--stripe", nargs=3, metavar=("BASE_URL", "INDEX", "COUNT"), help="fetch this stripe by HTTP; no web seed")
    args = p.parse_args()
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())

    session = lt.session({"listen_interfaces": f"{args.listen}:6881", **SETTINGS})
    params = lt.add_torrent_params()
    params.ti = lt.torrent_info(args.torrent)
    params.save_path = args.folder
    params.max_uploads = -1
    params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
    if args.stripe:
        params.flags |= lt.torrent_flags.override_web_seeds
    handle = session.add_torrent(params)
    for peer in args.peer:
        handle.connect_peer((peer, 6881))
    if args.stripe:
        threading.Thread(target=fetch_stripe, args=(handle, params.ti, args.stripe[0], int(args.stripe[1]), int(args.stripe[2])),
                         daemon=True).start()
    while not stopping.wait(0.05):
        if handle.status(0).is_seeding:
            pathlib.Path(args.done).touch()
            stopping.wait()
    session.pause()


if __name__ == "__main__":
    main()
