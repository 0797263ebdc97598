"""Samples of a real process, with metrics from a real server."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import anyio
import pytest
from answering import Server, http, serving
from lab import Lab
from msgspec.structs import replace

from dynkv.children.child import Child
from dynkv.children.stop import kill_tree
from dynkv.metrics.gather import gather
from dynkv.metrics.traffic import traffic
from dynkv.plan.model import HttpGet, Liveness, Plan, Probe, Probes, Role
from dynkv.probes.scrape import Figures, sources
from dynkv.probes.worker import Phase, probing
from dynkv.supervisor.liveness import is_idle, until_hung

pytestmark = pytest.mark.anyio

FIGURES = """\
vllm:num_requests_running 0
vllm:generation_tokens_total 5
vllm:nixl_bytes_transferred_sum 4096
"""
CANARY_FAILS = "its canary fails: HTTP answers, its engine does not"


@pytest.fixture
async def child(tmp_path: Path) -> AsyncIterator[Child]:
    child = Child.spawn([sys.executable, "-S", "-c", "import signal; signal.pause()"], {}, tmp_path / "log")
    yield child
    await kill_tree(child.tree)
    child.reap()


def liveness_of(server: Server) -> Liveness:
    """A liveness that is over after one sample, because its canary always fails."""
    figures, canary = HttpGet(server.port, "/metrics"), HttpGet(server.port, "/canary")
    return Liveness(figures, timeout_seconds=20, failure_threshold=1, canary=canary)


def says(figures: bytes | str, path: str) -> bytes:
    body = figures.encode() if isinstance(figures, str) else figures
    return http(500) if path == "/canary" else http(200, body)


async def until_ready(probes: Probes, figures: Figures, ready: anyio.Event) -> None:
    async with aclosing(probing(probes, figures=figures)) as results:
        async for news in results:
            if news.phase is Phase.READINESS and news.attempt.ok:
                ready.set()
                return


def requests_for_figures(server: Server) -> int:
    return [path for path, _ in server.asked].count("/metrics")


@pytest.mark.parametrize(
    ("said", "idle"),
    [
        ("vllm:num_requests_running 0\nvllm:num_requests_waiting 0\n", True),
        ("vllm:num_requests_running 0\nvllm:num_requests_waiting 1\n", False),
        ("vllm:num_requests_running 1\n", False),
        ("", False),
    ],
)
async def test_a_worker_is_idle_when_it_says_so(tmp_path: Path, said: str, idle: bool) -> None:
    async with serving(lambda path: http(200, said.encode())) as server:
        lab = Lab(tmp_path)
        plan = lab.plan(replace(lab.unit("decode-0", role=Role.DECODE), ports={"system": server.port}))
        assert await is_idle("decode-0", Figures(sources(plan)), 20.0) is idle


async def test_readiness_liveness_caches_and_traffic_share_one_request(tmp_path: Path, child: Child) -> None:
    async with serving(lambda path: says(FIGURES, path)) as server:
        lab = Lab(tmp_path)
        decode = replace(lab.unit("decode-0", role=Role.DECODE), ports={"system": server.port})
        plan: Plan = lab.plan(decode)
        figures, ready = Figures(sources(plan)), anyio.Event()
        checks = tuple(HttpGet(server.port, path) for path in ("/health", "/metrics"))
        probe = Probe(checks, timeout_seconds=20)
        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(until_ready, Probes(replace(probe, checks=checks[:1]), probe), figures, ready)
                reason = await until_hung(child, liveness_of(server), ready, lambda: True, figures=figures)
        assert reason == CANARY_FAILS
        assert (await gather(plan, figures))["nixl_bytes_transferred"] == 4096
        assert 'vllm:generation_tokens_total{deployment="lab",unit="decode-0"' in await traffic(plan, figures)
        assert requests_for_figures(server) == 1


async def test_figures_of_an_incarnation_before_are_not_taken(child: Child) -> None:
    async with serving(lambda path: says(FIGURES, path)) as server:
        figures, ready = Figures(), anyio.Event()
        ready.set()
        liveness = liveness_of(server)
        assert liveness.check is not None
        await figures.get(liveness.check, max_age_s=0, timeout_s=20)
        with anyio.fail_after(20):
            await until_hung(child, liveness, ready, lambda: True, figures=figures)
        assert requests_for_figures(server) == 2


@pytest.mark.parametrize(
    "said",
    [
        "vllm:num_requests_running foo\nvllm:generation_tokens_total NaN\n",
        "vllm:num_requests_running NaN\nvllm:generation_tokens_total +Inf\nvllm:prompt_tokens_total -Inf\n",
        "vllm:generation_tokens_total 1e308\nvllm:prompt_tokens_total 1e308\n",
        'vllm:num_requests_running{a="b\n',
        b"\xff\xfe\x00",
        b"<html></html>",
        b"",
    ],
)
async def test_whatever_it_says_of_itself_it_is_only_looked_at(child: Child, said: bytes | str) -> None:
    async with serving(lambda path: says(said, path)) as server:
        ready = anyio.Event()
        ready.set()
        with anyio.fail_after(20):
            assert await until_hung(child, liveness_of(server), ready, lambda: True) == CANARY_FAILS
