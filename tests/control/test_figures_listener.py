"""The listener for metrics, on a real port: it can only be read."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import anyio
import pytest
from anyio import to_thread
from lab import Lab, events_of, free_port
from msgspec.structs import replace
from prometheus import promtool
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from dynkv.control.reading import watching
from dynkv.metrics.own import OWN_FAMILIES, OwnFigures
from dynkv.plan.model import Role
from dynkv.plan.serving import Listener
from dynkv.probes.scrape import Figures, sources
from dynkv.supervisor.boundary import outliving
from dynkv.supervisor.life import Shared
from dynkv.supervisor.moments import utc_now
from dynkv.supervisor.stack import Stack


@asynccontextmanager
async def listening(
    tmp_path: Path, host: str = "127.0.0.1", port: int | None = None
) -> AsyncIterator[tuple[int, Shared]]:
    """The port of a listener for a deployment that has not started."""
    lab = Lab(tmp_path)
    port = port or free_port()
    plan = replace(lab.plan(lab.unit(role=Role.WORKER)), metrics=Listener(host, port))
    shared = lab.shared(plan)
    stack = Stack(plan, shared, os.getpid())
    async with anyio.create_task_group() as tasks:
        works = watching(plan, Figures(sources(plan)), OwnFigures(stack), shared.events, since=utc_now())
        for what, work in works.items():
            tasks.start_soon(outliving, what, work, shared.events)
        yield port, shared
        tasks.cancel_scope.cancel()


def _asked(port: int, method: str, path: str, headers: dict[str, str]) -> tuple[HTTPResponse, str]:
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(method, path, headers=headers)
    response = connection.getresponse()
    return response, response.read().decode()


async def ask(port: int, path: str, method: str = "GET", **headers: str) -> tuple[HTTPResponse, str]:
    with anyio.fail_after(20):
        while True:
            try:
                return await to_thread.run_sync(partial(_asked, port, method, path, headers))
            except ConnectionRefusedError:
                await anyio.sleep(0.02)  # no event announces that it listens


@pytest.mark.anyio
async def test_it_can_be_read_and_nothing_else(tmp_path: Path) -> None:
    async with listening(tmp_path) as (port, _):
        assert (await ask(port, "/metrics"))[1].startswith("# HELP dynkv_build_info")
        head, body = await ask(port, "/metrics", "HEAD")
        assert (head.status, body) == (200, "")
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            for path in ("/metrics", "/sd"):
                refused, _ = await ask(port, path, method)
                assert (refused.status, refused.headers["Allow"]) == (405, "GET, HEAD")
        for path in ("/", "/v1/status", "/v1/down", "/healthz", "/metrics/", "//metrics", "/%6detrics"):
            for method in ("GET", "POST"):
                assert (await ask(port, path, method))[0].status == 404, path


@pytest.mark.anyio
async def test_openmetrics_comes_to_who_asks_for_it(tmp_path: Path) -> None:
    async with listening(tmp_path) as (port, _):
        plain, _ = await ask(port, "/metrics", Accept="text/plain")
        assert plain.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        asked, text = await ask(port, "/metrics", Accept="application/openmetrics-text;version=1.0.0,*/*;q=0.1")
        assert asked.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
        names = {it.name for it in text_string_to_metric_families(text)}  # type: ignore[no-untyped-call]
        assert {"dynkv_unit_state", "dynkv_scrape_ok", "dynkv_unit_outages"} <= names


@pytest.mark.anyio
async def test_every_unit_is_found_by_its_own_address(tmp_path: Path) -> None:
    async with listening(tmp_path) as (port, shared):
        found, text = await ask(port, "/sd")
        assert found.headers["Content-Type"] == "application/json"
        (group,) = json.loads(text)
        assert group["targets"] == [f"127.0.0.1:{shared.board['worker-0'].ports['system']}"]
        assert group["labels"] == {
            "deployment": "lab",
            "unit": "worker-0",
            "role": "worker",
            "__metrics_path__": "/metrics",
        }


@pytest.mark.anyio
@pytest.mark.parametrize(("host", "status"), [("127.0.0.1", 403), ("0.0.0.0", 200)])
async def test_a_name_that_was_pointed_to_loopback_reads_nothing(tmp_path: Path, host: str, status: int) -> None:
    async with listening(tmp_path, host) as (port, _):
        assert (await ask(port, "/sd", Host="rebound.example:9810"))[0].status == status
        assert (await ask(port, "/sd", Host=f"localhost:{port}"))[0].status == 200


@pytest.mark.anyio
async def test_a_port_that_somebody_has_is_told_of_once_and_taken_when_it_is_free(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        async with listening(tmp_path, port=port) as (_, shared):
            async for event in shared.events.follow():
                assert event.kind == "port"
                assert f"cannot be served on 127.0.0.1, port {port}" in event.message
                break
            other.close()
            assert (await ask(port, "/metrics"))[0].status == 200
            assert len(await events_of(shared.events)) == 1


@pytest.mark.anyio
async def test_promtool_finds_nothing_to_say_of_our_own_families(tmp_path: Path) -> None:
    async with listening(tmp_path) as (port, _):
        _, text = await ask(port, "/metrics")
    assert {line.split(" ")[2] for line in text.splitlines() if line.startswith("# TYPE dynkv_")} <= {
        *OWN_FAMILIES,
        "dynkv_scrape_ok",
        "dynkv_scrape_duration_seconds",
    }
    done = await anyio.run_process([promtool(), "check", "metrics"], input=text.encode(), check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")
