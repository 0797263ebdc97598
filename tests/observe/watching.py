"""A Prometheus with the configuration of `dynkv observe`, but more frequent scrapes, and with queries like
Grafana's."""

from __future__ import annotations

import json
import math
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus import prometheus

from dynkv.observe.panels import DASHBOARDS

_RATE = "20s"
_START_S = 30.0


@dataclass(frozen=True)
class Prometheus:
    port: int

    def ask(self, expr: str) -> list[dict[str, Any]]:
        """The samples of an instant query that are numbers."""
        query = urllib.parse.urlencode({"query": expr})
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/query?{query}", timeout=20) as response:
            found: list[dict[str, Any]] = json.load(response)["data"]["result"]
        return [it for it in found if not math.isnan(float(it["value"][1]))]

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=20) as response:
            return json.load(response)["data"]

    def until(self, what: Callable[[], object], deadline_s: float = 60.0) -> None:
        deadline = time.monotonic() + deadline_s
        while not what():
            assert time.monotonic() < deadline, "it never came to be"
            time.sleep(0.5)

    def unanswered(self, deployment: str, units: Iterable[str]) -> set[str]:
        """Queries of the dashboards without a result; a query about a unit only if it has none for any of `units`."""
        found = set()
        for dashboard in DASHBOARDS:
            queries = [query for row in dashboard.rows for panel in row.panels for query in panel.queries]
            for query in queries:
                asked = query.expr.replace("$deployment", deployment).replace("$__rate_interval", _RATE)
                if not any(self.ask(asked.replace("$unit", unit)) for unit in units):
                    found.add(query.expr)
        return found


@contextmanager
def watched(written: Path) -> Iterator[Prometheus]:
    """`written` is the output of `observe`; metrics are scraped every second."""
    config = written / "prometheus.yml"
    config.write_text(config.read_text().replace("interval: 15s", "interval: 1s"))
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    words = [
        f"--config.file={config}",
        f"--storage.tsdb.path={written / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (
        (written / "prometheus.log").open("wb") as log,
        subprocess.Popen([prometheus(), *words], stdout=log, stderr=log) as process,
    ):
        try:
            _wait(port, written / "prometheus.log")
            yield Prometheus(port)
        finally:
            process.terminate()


def _wait(port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=5):
                return
        except OSError:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
