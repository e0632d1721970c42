#!/usr/bin/python3
"""node/api/openapi.json is held against real answers, and the monitoring files against the real metrics."""

import datetime
import json
import re
import time
import urllib.error
import urllib.request

import harness
from harness import MIB, ROOT

SPEC = json.loads((ROOT / "node/api/openapi.json").read_text())
METRIC = re.compile(r"\bshoal_[a-z_]+\b")


def resolve(schema):
    while "$ref" in schema:
        schema = SPEC["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return schema


def mismatches(value, schema, where="answer"):
    """What of `value` is not as `schema` says: unknown and missing fields, types, values."""
    schema = resolve(schema)
    if value is None:
        return [] if schema.get("nullable") else [f"{where} is null"]
    kinds = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float)}
    kind = schema["type"]
    if not isinstance(value, kinds[kind]) or (kind in ("integer", "number") and isinstance(value, bool)):
        return [f"{where} is {value!r}, not of type {kind}"]
    out = []
    if "enum" in schema and value not in schema["enum"]:
        out.append(f"{where} is {value!r}, not one of {schema['enum']}")
    if "minimum" in schema and value < schema["minimum"]:
        out.append(f"{where} is {value}")
    if "pattern" in schema and not re.search(schema["pattern"], value):
        out.append(f"{where} is {value!r}, not {schema['pattern']}")
    if schema.get("format") == "date-time" and not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", value):
        out.append(f"{where} is {value!r}, not a time")
    if kind == "array":
        for i, item in enumerate(value):
            out += mismatches(item, schema["items"], f"{where}[{i}]")
    if kind == "object" and "properties" in schema:
        out += [f"{where}.{name} is not documented" for name in value if name not in schema["properties"]]
        out += [f"{where}.{name} is missing" for name in schema.get("required", ()) if name not in value]
        for name, inner in schema["properties"].items():
            if name in value:
                out += mismatches(value[name], inner, f"{where}.{name}")
    return out


class OpenApi(harness.FunctionalTest):
    def call(self, node, method, path, body=None, accept="application/json"):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(node.api_url + path, data, {"Content-Type": "application/json", "Accept": accept}, method=method)
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as e:
            return e.code, e.read()

    def ask(self, node, method, pattern, path=None, body=None):
        """Calls a documented operation and compares status and body with the description."""
        operation = SPEC["paths"][pattern][method.lower()]
        self.called.add((method, pattern))
        if body is not None:
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            self.assertEqual([], mismatches(body, schema, "request"))
        status, raw = self.call(node, method, path or pattern, body)
        answer = json.loads(raw)
        described = operation["responses"].get(str(status), operation["responses"]["default"])
        self.assertEqual([], mismatches(answer, described["content"]["application/json"]["schema"], f"{method} {path or pattern} -> {status}"))
        return status, answer

    def test_every_documented_route_answers_as_described(self):
        self.called = set()
        hub = self.hub()
        hub.add_repo("acme/tiny", size="48MiB", shards=2)
        hub.add_repo("acme/other", size="1MiB", shards=1)
        one = self.node("one", hub, arguments=("--join-listen", f"127.0.0.1:{harness.free_ports(1)[0]}")).start()
        two = self.node("two", hub, peers=[one]).start()
        two.pull("acme/other")
        hub.rate(16 * MIB)
        status, started = self.ask(one, "POST", "/shoal/v1/pulls", body={"repo": "acme/tiny", "type": "model", "revision": "main", "include": ["*"],
                                                                         "exclude": ["*.gguf"], "source": "auto", "priority": "high"})
        self.assertEqual(202, status)
        pull = f"/shoal/v1/pulls/{started['id']}"
        # While it runs the piece map has runs; the snapshot hears of a pull within a second.
        harness.wait_until(lambda: any(row["runs"] for row in self.ask(one, "GET", "/shoal/v1/pulls/{id}/pieces", pull + "/pieces")[1].get("files", ())),
                           "a piece map with runs")
        self.assertTrue(self.ask(one, "GET", "/shoal/v1/progress")[1]["pulls"])
        for choice in ("all", "active", "none"):
            self.ask(one, "GET", "/shoal/v1/pulls/{id}", f"{pull}?files={choice}&limit=3")
        harness.wait_until(lambda: self.ask(one, "GET", "/shoal/v1/pulls/{id}", pull)[1]["state"] == "done", "the pull ends", 60)
        self.assertTrue(self.ask(one, "GET", "/shoal/v1/pulls", "/shoal/v1/pulls?limit=5")[1]["pulls"])
        self.ask(one, "DELETE", "/shoal/v1/pulls/{id}", pull)
        harness.wait_until(lambda: self.ask(one, "GET", "/shoal/v1/peers")[1]["peers"], "a neighbour")
        self.assertTrue(self.ask(one, "GET", "/shoal/v1/status", "/shoal/v1/status?repo=acme/tiny&type=model&limit=50")[1]["status"])
        self.assertTrue(self.ask(one, "GET", "/shoal/v1/repos")[1]["repos"])
        self.assertTrue(self.ask(one, "GET", "/shoal/v1/blobs", "/shoal/v1/blobs?repo=acme/tiny")[1]["blobs"])
        self.assertTrue(self.ask(one, "GET", "/shoal/v1/events", "/shoal/v1/events?limit=50")[1]["events"])
        self.assertTrue(self.ask(one, "GET", "/shoal/v1/rates", "/shoal/v1/rates?series=seconds")[1]["rates"])
        self.ask(one, "POST", "/shoal/v1/load", body={"busy": True, "for_s": 60})
        for path in ("/healthz", "/shoal/v1/doctor", "/shoal/v1/node", "/shoal/v1/load", "/shoal/v1/openapi.json"):
            self.ask(one, "GET", path)
        job = self.ask(one, "POST", "/shoal/v1/verify", body={"repo": "acme/tiny"})[1]["id"]
        self.ask(one, "POST", "/shoal/v1/seed", body={"repo": "acme/tiny"})
        harness.wait_until(lambda: self.ask(one, "GET", "/shoal/v1/jobs/{id}", f"/shoal/v1/jobs/{job}")[1]["state"] == "done", "the verification ends")
        self.assertTrue(self.ask(one, "GET", "/shoal/v1/jobs")[1]["jobs"])
        self.ask(one, "DELETE", "/shoal/v1/jobs/{id}", f"/shoal/v1/jobs/{job}")
        self.ask(one, "POST", "/shoal/v1/pins", body={"repo": "acme/tiny"})
        self.assertTrue(self.ask(one, "GET", "/shoal/v1/pins")[1]["pins"])
        self.assertEqual(200, self.ask(one, "DELETE", "/shoal/v1/pins/{type}/{repo}", "/shoal/v1/pins/model/acme/tiny")[0])
        self.assertTrue(self.ask(one, "POST", "/shoal/v1/gc", body={"to": 0, "dry_run": True})[1]["choices"])
        file = self.ask(one, "GET", "/shoal/v1/blobs")[1]["blobs"][0]
        status, exported = self.ask(one, "POST", "/shoal/v1/exports", body={"repo": file["repo"], "path": file["path"]})
        self.assertEqual(200, status)
        self.assertTrue(self.ask(one, "GET", "/shoal/v1/exports")[1]["exports"])
        self.assertEqual(200, self.ask(one, "DELETE", "/shoal/v1/exports/{info_hash}", "/shoal/v1/exports/" + exported["info_hash"])[0])
        self.assertEqual(200, self.ask(one, "DELETE", "/shoal/v1/repos/{type}/{repo}", "/shoal/v1/repos/model/acme/tiny")[0])
        self.assertFalse(self.ask(one, "GET", "/shoal/v1/cluster")[1]["closed"])
        self.assertEqual(400, self.ask(one, "POST", "/shoal/v1/cluster/invite", body={})[0], "no authority yet")
        self.ask(one, "POST", "/shoal/v1/cluster/join", body={"token": "none", "at": "127.0.0.1:1"})
        # The doctor merges what it sees itself with what the daemon sees.
        checks = {c["check"]: c for c in json.loads(one.cli("--json", "doctor").stdout)["checks"]}
        self.assertEqual("ok", checks["hub answers"]["result"])
        self.assertEqual("ok", checks["swarm port"]["result"], checks["swarm port"])
        self.assertLessEqual({"daemon", "disk", "cache", "hub answers", "swarm port", "multicast", "clock", "open files"}, set(checks))
        # Failures have the one form.
        self.assertEqual(404, self.ask(one, "GET", "/shoal/v1/pulls/{id}", "/shoal/v1/pulls/9999")[0])
        self.assertEqual(400, self.ask(one, "GET", "/shoal/v1/status", "/shoal/v1/status?colour=red")[0])
        status, text = self.call(one, "GET", "/metrics")
        self.called.add(("GET", "/metrics"))
        self.assertEqual(200, status)
        self.check_monitoring_files(text.decode())

        # Last, since the node starts over.
        self.assertEqual(200, self.ask(one, "POST", "/shoal/v1/cluster/init", body={})[0])
        harness.wait_until(lambda: '"closed":true' in (one.http("/shoal/v1/cluster") or ""), "the node is back as a member", 30)
        self.assertTrue(self.ask(one, "GET", "/shoal/v1/cluster")[1]["members"])
        self.assertEqual(200, self.ask(one, "POST", "/shoal/v1/cluster/invite", body={"for_s": 60})[0])
        self.assertEqual(404, self.ask(one, "POST", "/shoal/v1/cluster/revoke", body={"node": "nobody"})[0])

        documented = {(method.upper(), path) for path, methods in SPEC["paths"].items() for method in methods}
        self.assertEqual(documented, self.called, "every documented route is called")
        # And the other way round: every route of the program is documented.
        routes = set()
        for source in (ROOT / "node/api").glob("*.cc"):
            for method, path in re.findall(r'router\.add\(\s*"([A-Z]+)",\s*"([^"]+)"', source.read_text()):
                if path.startswith(("/shoal/", "/healthz", "/metrics")):
                    routes.add((method, path.replace("...}", "}")))
        self.assertEqual(routes, documented - {("GET", "/shoal/v1/openapi.json")})

    def test_a_client_hears_of_the_end_of_a_pull_at_once(self):
        hub = self.hub()
        hub.add_repo("acme/tiny", size="12MiB", shards=1)
        hub.rate(4 * MIB)
        node = self.node("one", hub).start()
        pull = f"/shoal/v1/pulls/{json.loads(self.call(node, 'POST', '/shoal/v1/pulls', {'repo': 'acme/tiny'})[1])['id']}"
        begin = time.monotonic()
        state = json.loads(self.call(node, "GET", f"{pull}?files=none&wait_ms=300")[1])["state"]
        self.assertIn(state, ("resolving", "running"))
        self.assertGreaterEqual(time.monotonic() - begin, 0.3)
        # From now on without a gap: whoever waits is answered when it ends, not when the time is over.
        ended = json.loads(self.call(node, "GET", f"{pull}?files=none&wait_ms=30000")[1])
        answered = time.time()
        self.assertEqual("done", ended["state"])
        finished = datetime.datetime.fromisoformat(ended["finished_at"].replace("Z", "+00:00")).timestamp()
        self.assertLess(answered - finished, 0.4)
        # An ended one has nothing to wait for.
        begin = time.monotonic()
        self.call(node, "GET", f"{pull}?wait_ms=30000")
        self.assertLess(time.monotonic() - begin, 5)

    def check_monitoring_files(self, text):
        """Every metric that the dashboard and the alert rules name is there."""
        there = set(re.findall(r"^# TYPE (\S+)", text, re.M))
        self.assertGreater(len(there), 20)
        for name in ("grafana-dashboard.json", "prometheus-alerts.yaml"):
            content = (ROOT / "tools/monitoring" / name).read_text()
            named = set(METRIC.findall(content))
            self.assertTrue(named, f"{name} names metrics")
            self.assertEqual(set(), named - there, f"{name} names metrics that do not exist")
        panels = json.loads((ROOT / "tools/monitoring/grafana-dashboard.json").read_text())["panels"]
        self.assertTrue(all(panel["targets"] for panel in panels if panel["type"] != "row"))
        # The documentation lists exactly these.
        operations = (ROOT / "docs/operations.md").read_text()
        self.assertEqual(there, set(re.findall(r"^\| `(shoal_[a-z_]+)", operations, re.M)))


if __name__ == "__main__":
    harness.main()
