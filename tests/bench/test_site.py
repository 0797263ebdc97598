"""Reading a deployment's counters from a listener that caches its readings for a while."""

from __future__ import annotations

import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from dynkv.bench.counters import HITS
from dynkv.bench.site import Site
from dynkv.metrics.whole import OLDEST_S
from dynkv.probes.text import total


@pytest.fixture
def stale() -> Iterator[str]:
    """The address of metrics that may be some seconds old: the load's last request appears only then."""
    began = time.monotonic()

    class Metrics(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            count = 7 if time.monotonic() - began > 0.9 * OLDEST_S else 3
            self.send_response(200)
            self.end_headers()
            self.wfile.write(f"{HITS} {count}\n".encode())

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Metrics)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/metrics"
    server.shutdown()
    server.server_close()


def test_counters_at_rest_are_not_of_the_time_of_the_load(stale: str, tmp_path: Path) -> None:
    site = Site("bench", tmp_path, None, {})
    assert total(site.counters(stale), HITS) == 3
    assert total(site.counters_at_rest(stale), HITS) == 7
