"""The host behind the WAN: the model's files at a stand-in Hub and, for programs that want plain URLs, at nginx."""

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys

import harness

from . import network

REPO = "acme/model"
MANIFEST = ".fake-hub.json"


class Model:
    """The files, made once for all runs of an invocation."""

    def __init__(self, folder, size, shards):
        self.folder = folder / "model"  # what is served, without the manifest beside the files
        made = folder / "made"
        subprocess.run([sys.executable, harness.ROOT / "tools/make-model", made, "--size", size, "--shards", str(shards), "--name", REPO],
                       check=True, stdout=subprocess.DEVNULL)
        self.made = made
        self.files = json.loads((made / MANIFEST).read_text())["files"]  # path, size, digest, lfs
        for file in self.files:
            link = self.folder / file["path"]
            link.parent.mkdir(parents=True, exist_ok=True)
            os.link(made / file["path"], link)
        self.weights = sum(f["size"] for f in self.files if f["lfs"])
        self.size = sum(f["size"] for f in self.files)

    def verify(self, folder):
        """Raises AssertionError unless the folder holds every file with the right bytes."""
        for file in self.files:
            path = folder / file["path"]
            assert path.exists(), f"{path} is missing"
            assert harness.digest(path, file["lfs"]) == file["digest"], f"{path}: wrong bytes"

    def lie(self, folder):
        """A directory that claims the same hashes and has other bytes in every weight file."""
        shutil.copytree(self.made, folder)
        manifest = json.loads((folder / MANIFEST).read_text())
        for entry in manifest["files"]:
            path = folder / entry["path"]
            if entry["lfs"]:
                alter(path)
            entry["mtime_ns"] = path.stat().st_mtime_ns
        (folder / MANIFEST).write_text(json.dumps(manifest))
        return folder


def alter(path, every=64 << 10):
    """Flips one byte in each `every` bytes, in place: every piece is wrong. As a disk does it: the file's times stay."""
    stat = path.stat()
    with open(path, "r+b") as f:
        for at in range(every // 2, path.stat().st_size, every):
            f.seek(at)
            byte = f.read(1)
            f.seek(at)
            f.write(bytes([byte[0] ^ 0x55]))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


class NamespaceConnection(http.client.HTTPConnection):
    """HTTP to a server inside a namespace, from a thread of this process."""

    def __init__(self, namespace, address, port):
        super().__init__(address, port, timeout=20)
        self._namespace = namespace

    def connect(self):
        self.sock = network.in_namespace(self._namespace, lambda: socket.create_connection((self.host, self.port), self.timeout))

    def call(self, path, body=None, headers=None):
        """The answer's body; None when it was an error or nobody answers."""
        for attempt in (1, 2):
            try:
                self.request("GET" if body is None else "POST", path, body, headers or {})
                answer = self.getresponse()
                data = answer.read()
                return data if answer.status < 400 else None
            except (OSError, http.client.HTTPException):
                self.close()
                if attempt == 2:
                    return None


class Origin:
    def __init__(self, net, model, work):
        self.net, self.model, self.work = net, model, work / "origin"
        self.work.mkdir()
        self.namespace = net.namespace("origin")
        self._prefix = ["nsenter", f"--net=/var/run/netns/{self.namespace}"]
        self.wan = network.Counters(net.namespace("isp"))
        self._processes = []
        self.hub = self._admin = None

    def start_hub(self, folder=None, name="hub"):
        """A stand-in Hub that serves the model; the first one is the one whose counters are read."""
        work = self.work / name
        work.mkdir()
        hub = harness.FakeHub(work, prefix=self._prefix, address=network.Network.ORIGIN)
        self._processes.append(hub)
        description = hub.admin("repos", {"id": REPO, "directory": str(folder or self.model.made)})
        if self.hub is None:
            self.hub, self.description = hub, description
            address, port = hub.url.removeprefix("http://").split(":")
            self._admin = NamespaceConnection(self.namespace, address, int(port))
        return hub

    def counters(self):
        return json.loads(self._admin.call("/_admin/counters"))

    def start_nginx(self):
        """Plain files at `url`."""
        program = nginx_program()
        log = self.work / "access.log"
        (self.work / "nginx.conf").write_text(nginx_config(self.work, f"""
            log_format bytes '$body_bytes_sent'; access_log {log} bytes;
            sendfile on; tcp_nopush on;
            server {{ listen {network.Network.ORIGIN}:8080; root {self.model.folder.parent}; }}"""))
        self._processes.append(harness.Process([*self._prefix, program, "-c", self.work / "nginx.conf"], self.work / "nginx.log"))
        self._access_log = log
        connection = NamespaceConnection(self.namespace, network.Network.ORIGIN, 8080)
        harness.wait_until(lambda: connection.call("/model/LICENSE"), "the origin's nginx answers")
        connection.close()
        self.url = f"http://{network.Network.ORIGIN}:8080/"

    def nginx_sent_bytes(self):
        return sum(int(line) for line in self._access_log.read_text().split())

    def wan_bytes(self):
        return self.wan.read("site")[1]

    def stop(self):
        for process in reversed(self._processes):
            try:
                process.stop()
            except AssertionError as e:
                print(e, file=sys.stderr)
        self.wan.close()


def nginx_program():
    return shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")


def nginx_config(work, http):
    """One process, which ends with the lab; every file it writes lies in `work`."""
    user = "user root;" if os.geteuid() == 0 else ""
    temporary = "".join(f"{kind}_temp_path {work}/nginx-{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    return (f"daemon off; master_process off; {user} pid {work}/nginx.pid; error_log {work}/nginx-error.log;\n"
            f"events {{ worker_connections 1024; }}\nhttp {{ {temporary} {http} }}\n")


