#!/usr/bin/python3
"""What stands between a node and the Hub: certificates and proxies."""

import shutil
import subprocess
import urllib.parse

import harness


class Network(harness.FunctionalTest):
    def certificate(self):
        if not shutil.which("openssl"):
            self.skipTest("the program openssl is not installed")
        cert, key = self.work / "cert.pem", self.work / "key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=stand-in",
                        "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert], check=True, capture_output=True)
        return cert, key

    def test_a_certificate_that_nobody_vouches_for_is_refused(self):
        hub = self.hub("--tls", *self.certificate())
        hub.add_repo("acme/tiny", size="1MiB", shards=1)
        node = self.node("one", hub, env={"HF_TOKEN": "hf_member"}).start()
        out = node.pull("acme/tiny", status=1, timeout=120)
        self.say(out.stderr.strip())
        self.assertIn("certificate", out.stderr)
        self.assertEqual({}, hub.counters()["requests"], "not even a request may leave")

    def test_https_end_to_end_with_a_trusted_certificate(self):
        cert, key = self.certificate()
        hub = self.hub("--tls", cert, key)
        repo = hub.add_repo("acme/tiny", size="16MiB", shards=2)
        node = self.node("one", hub, env={"SSL_CERT_FILE": str(cert)}).start()
        node.pull("acme/tiny")
        harness.check_snapshot(node.cache_dir, repo)
        self.assert_clean_hub(hub)

    def test_the_proxy_of_the_environment_is_used_for_the_hub_and_the_cdn(self):
        hub = self.hub()
        repo = hub.add_repo("acme/tiny", size="16MiB", shards=2)
        # The name resolves nowhere: only the proxy can know it.
        node = self.node("one", "http://hub.invalid", env={"http_proxy": hub.url}).start()
        node.pull("acme/tiny")
        harness.check_snapshot(node.cache_dir, repo)
        counters = hub.counters()
        direct = sum(counters["requests"].values()) - counters["proxied_requests"]
        self.assertEqual(0, direct, "every request goes through the proxy")

    def test_no_proxy_is_honoured(self):
        hub = self.hub()
        repo = hub.add_repo("acme/tiny", size="4MiB", shards=1)
        (dead,) = harness.free_ports(1)
        host = urllib.parse.urlsplit(hub.url).hostname
        node = self.node("one", hub, env={"http_proxy": f"http://127.0.0.1:{dead}", "no_proxy": host}).start()
        node.pull("acme/tiny")
        harness.check_snapshot(node.cache_dir, repo)
        self.assertEqual(0, hub.counters()["proxied_requests"])


if __name__ == "__main__":
    harness.main()
