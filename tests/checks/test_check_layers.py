#!/usr/bin/python3
"""tools/check-layers finds each kind of broken arrow, with its reason, and is content with a tree that keeps them.

A checker that cannot fail checks nothing, so each case plants one bad line in a small good tree.
"""
import pathlib
import unittest

from small_tree import run_on_tree

CHECKER = pathlib.Path(__file__).resolve().parents[2] / "tools" / "check-layers"

GOOD = {
    "node/core/ids.h": "#pragma once\n#include <cstdint>\n#include <chrono>\n",
    "node/core/scheduler.cc": '#include "node/core/ids.h"\n// steady_clock::now() is not called here\n',
    "node/api/api_server.h": '#pragma once\n#include "node/core/ids.h"\n#include <nlohmann/json_fwd.hpp>\n',
    "node/cli/client.cc": '#include <boost/asio.hpp>\n#include "node/config/units.h"\n',
    "node/config/units.h": "#pragma once\n#include <string>\n",
    "node/daemon/daemon.cc": '#include "storage/blob_store.h"\n#include "transport/swarm/swarm_session.h"\n'
                             '#include <spdlog/spdlog.h>\n#include <sys/stat.h>\n',
    "node/shoald_main.cc": '#include "node/daemon/daemon.h"\n',
    "node/daemon/daemon.h": '#pragma once\n#include "node/api/api_server.h"\n',
    "storage/blob_store.h": '#pragma once\n#include "node/core/ids.h"\n#include <mutex>\n',
    "storage/sqlite_connection.h": "#pragma once\n#include <sqlite3.h>\n",
    "storage/state_db.cc": '#include "storage/sqlite_connection.h"\n#include <unistd.h>\n',
    "transport/origin/hub_client.cc": "#include <curl/curl.h>\n#include <thread>\n",
    "transport/swarm/swarm_session.h": '#pragma once\n#include "node/core/ids.h"\n',
    "transport/swarm/swarm_session.cc": '#include "transport/swarm/libtorrent_all.h"\n',
    "transport/swarm/libtorrent_all.h": "#pragma once\n#include <libtorrent/session.hpp>\n",
}


def run_on(extra):
    return run_on_tree(CHECKER, {**GOOD, **extra})


class CheckLayers(unittest.TestCase):
    def test_a_tree_that_keeps_the_arrows_passes(self):
        status, out = run_on({})
        self.assertEqual(status, 0, out)

    def test_each_broken_arrow_is_found_with_its_place_and_its_reason(self):
        cases = [
            # file, text, line of the finding, words of its reason
            ("node/core/a.h", "#include <boost/optional.hpp>\n", 1, "bottom floor"),
            ("node/core/a.h", "\n#include <unistd.h>\n", 2, "bottom floor"),
            ("node/core/a.cc", '#include "storage/blob_store.h"\n', 1, "bottom floor"),
            ("node/core/a.cc", '#include "node/api/api_server.h"\n', 1, "bottom floor"),
            ("node/core/a.cc", "#include <mutex>\n", 1, "no locks"),
            ("node/core/a.cc", "#include <thread>\n", 1, "no threads"),
            ("node/core/a.cc", "#include <fstream>\n", 1, "no I/O"),
            ("node/core/a.cc", "#include  <filesystem>\n", 1, "no I/O"),
            ("node/core/a.cc", "# include <future>\n", 1, "never waits"),
            ("node/core/a.cc", "auto t = std::chrono::steady_clock::now();\n", 1, "reads no clock"),
            ("storage/a.cc", '#include "transport/origin/hub_client.h"\n', 1, "without a network"),
            ("storage/a.cc", '#include "node/config/units.h"\n', 1, "without a network"),
            ("storage/a.cc", "#include <storage/../node/config/units.h>\n", 1, "path from the root"),
            ("storage/a.cc", "#include <node/config/units.h>\n", 1, "without a network"),
            ("storage/a.cc", "#include WHATEVER\n", 1, "nobody can see"),
            ("storage/a.cc", "#include <spdlog/spdlog.h>\n", 1, "the daemon writes the log"),
            ("storage/a.cc", "#include <zstd.h>\n", 1, "each library has its room"),
            ("transport/swarm/a.cc", '#include "transport/origin/url.h"\n', 1, "do not know of each other"),
            ("transport/origin/a.cc", '#include "transport/swarm/block_pool.h"\n', 1, "do not know of each other"),
            ("transport/origin/a.cc", '#include "storage/blob_store.h"\n', 1, "SliceSink"),
            ("transport/origin/a.cc", "#include <libtorrent/session.hpp>\n", 1, "one room talks to libtorrent"),
            ("node/cli/a.cc", '#include "storage/state_db.h"\n', 1, "client of the HTTP API"),
            ("node/cli/a.cc", '#include "node/daemon/daemon.h"\n', 1, "client of the HTTP API"),
            ("node/api/a.cc", '#include "node/daemon/daemon.h"\n', 1, "api_backend.h"),
            ("node/api/a.cc", "#include <sqlite3.h>\n", 1, "one writer"),
            ("node/page/a.cc", "#include <string>\n", 1, "has its place"),
            ("node/daemon/a.cc", '#include "transport/swarm/libtorrent_all.h"\n', 1, "leaves its folder"),
            ("node/daemon/a.cc", '#include "storage/sqlite_connection.h"\n', 1, "leaves its folder"),
        ]
        for name, text, line, reason in cases:
            with self.subTest(file=name, text=text):
                status, out = run_on({name: text})
                self.assertEqual(status, 1, out)
                self.assertIn(f"{name}:{line}: ", out)
                self.assertIn(reason, " ".join(out.split()))

    def test_a_library_that_comes_through_two_headers_is_found(self):
        status, out = run_on({
            "transport/swarm/swarm_session.h": '#include "transport/swarm/plugin.h"\n',
            "transport/swarm/plugin.h": "#include <libtorrent/extensions.hpp>\n",
        })
        self.assertEqual(status, 1, out)
        self.assertIn("transport/swarm/swarm_session.h -> transport/swarm/plugin.h", out)

    def test_a_folder_that_is_no_tree_of_ours_is_wrong_usage(self):
        status, out = run_on_tree(CHECKER, {})
        self.assertEqual(status, 2, out)
        self.assertIn("has no node/", out)


if __name__ == "__main__":
    unittest.main()
