"""The command line of tools/fake-hub."""

import argparse
import json
import os
import signal
import ssl
import sys
import threading

from .admin import Admin, add_repo
from .cdn import Cdn
from .counters import Counters
from .faults import KINDS, Faults
from .hub import Hub, Quotas, Signer
from .httpd import Pace, Server
from .repos import Store

_EPILOG = """\
A spec for --generate is an id and key=value pairs, separated by commas:
  org/model,size=1GiB,shards=4,seed=7,odd=1,phantom=20TiB,gated=auto,private=1,xet=0

Tokens: hf_member may read every gated and private repo, hf_stranger is valid and may read none of them, all
others are invalid. When ready it prints one line of JSON: {"hub": URL, "cdn": URL, "pid": N}.
Faults and counters while it runs: POST /_admin/faults, GET /_admin/counters (docs/testing.md).
Faults known: """ + ", ".join(KINDS)


def _spec(text):
    identity, *pairs = text.split(",")
    spec = {"id": identity}
    for pair in pairs:
        key, _, value = pair.partition("=")
        spec[key] = value not in ("", "0", "false") if key in ("odd", "private", "disabled", "xet") else value
    return spec


def _parse(argv):
    p = argparse.ArgumentParser(prog="fake-hub", description="A stand-in for the Hugging Face Hub and its CDN.",
                                epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--bind", default="127.0.0.1", help="address of both ports")
    p.add_argument("--port", type=int, default=0, help="the Hub's port; 0 picks a free one")
    p.add_argument("--cdn-port", type=int, default=0, help="the CDN's port; 0 picks a free one")
    p.add_argument("--repo", action="append", default=[], metavar="ID=DIR", help="serve a directory; datasets/ID for datasets")
    p.add_argument("--generate", action="append", default=[], metavar="SPEC", help="serve a model made on the fly")
    p.add_argument("--gated", action="append", default=[], metavar="ID", help="make a repo gated")
    p.add_argument("--private", action="append", default=[], metavar="ID", help="make a repo private")
    p.add_argument("--alias", action="append", default=[], metavar="OLD=NEW", help="a renamed repo: 307")
    p.add_argument("--url-lifetime", type=int, default=3600, metavar="S", help="seconds until a CDN URL expires")
    p.add_argument("--rate", type=int, default=0, metavar="BYTES_PER_S", help="one limit for all connections together")
    p.add_argument("--faults", metavar="FILE", help="JSON list of faults that are active from the start")
    p.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"), help="speak https on both ports")
    p.add_argument("--quota-api", type=int, default=500, help="API requests per 5 minutes and client")
    p.add_argument("--quota-resolvers", type=int, default=3000, help="/resolve/ requests per 5 minutes and client")
    return p.parse_args(argv)


def main(argv=None):
    args = _parse(sys.argv[1:] if argv is None else argv)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())

    store, counters, pace = Store(), Counters(), Pace(args.rate)
    faults, signer = Faults(counters), Signer(args.url_lifetime)
    try:
        if args.faults:
            with open(args.faults, encoding="utf-8") as f:
                faults.add(json.load(f))
        for text in args.repo:
            identity, _, directory = text.partition("=")
            add_repo(store, {"id": identity, "directory": directory})
        for text in args.generate:
            add_repo(store, _spec(text))
        for identity in args.gated:
            store.find(identity).gated = "auto"
        for identity in args.private:
            store.find(identity).private = True
        for text in args.alias:
            store.alias(*text.split("=", 1))
    except (ValueError, TypeError, OSError, AttributeError) as e:
        print(f"fake-hub: {e}", file=sys.stderr)
        return 2

    scheme, tls, cdn_port = "http", None, []
    if args.tls:
        scheme, tls = "https", ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*args.tls)

    def cdn_url(connection):
        address = connection.sock.getsockname()[0]
        return f"{scheme}://{f'[{address}]' if ':' in address else address}:{cdn_port[0]}"

    hub = Hub(store, counters, faults, signer, Quotas(args.quota_api, args.quota_resolvers),
              {"hf_member": {"*"}, "hf_stranger": set()}, cdn_url, Admin(store, counters, faults, pace))
    cdn = Cdn(store, counters, faults, signer)

    def handle(request, connection):
        """The Hub's port is also a forward proxy to the CDN, and to itself under any name."""
        if request.proxied_to is not None:
            counters.proxied()
            if request.proxied_to.endswith(f":{cdn_port[0]}"):
                cdn.handle(request, connection)
                return
        hub.handle(request, connection)

    try:
        servers = [Server(args.bind, args.port, handle, pace, stopping, tls),
                   Server(args.bind, args.cdn_port, cdn.handle, pace, stopping, tls)]
    except OSError as e:
        print(f"fake-hub: cannot listen on {args.bind}: {e}", file=sys.stderr)
        return 1
    cdn_port.append(servers[1].port)
    for server in servers:
        server.start()
    host = f"[{args.bind}]" if ":" in args.bind else args.bind
    print(json.dumps({"hub": f"{scheme}://{host}:{servers[0].port}", "cdn": f"{scheme}://{host}:{servers[1].port}",
                      "pid": os.getpid()}), flush=True)
    stopping.wait()
    for server in servers:
        server.stop()
    return 0
