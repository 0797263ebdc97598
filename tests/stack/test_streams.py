"""Requests in progress when their worker ends: none is cut while another worker of the role lives."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from .harness import MOCKER, Dynkv, pids, unit
from .streams import Stream, stream

pytestmark = pytest.mark.stack

STREAMS = 24
UNDER_WAY_S = 0.7
TWO_OF_EACH = ("--set", "workers.decode.replicas=2", "--set", "workers.prefill.replicas=2")


@pytest.fixture(scope="module", params=["agg-router", "disagg"])
def two_of_a_role(request: pytest.FixtureRequest, module_dynkv: Dynkv) -> Iterator[tuple[Dynkv, str]]:
    """A deployment with two workers of a role, and the role whose workers are ended."""
    topology: str = request.param
    module_dynkv.up(topology, *_words(topology))
    yield module_dynkv, "decode" if topology == "disagg" else "worker"
    module_dynkv.do("down", topology)


def _words(topology: str) -> tuple[str, ...]:
    return (*MOCKER, "--no-lmcache", *(TWO_OF_EACH if topology == "disagg" else ()))


@pytest.mark.parametrize(
    "words",
    [
        "kill -9 {}-0",
        "restart {}-1",
        "restart --rolling {}-0 {}-1",
        "scale {}=1 --wait",
        "scale {}=2 --wait",
        'up --set workers.env={{"OTHER":"1"}}',
    ],
)
def test_no_stream_is_cut(two_of_a_role: tuple[Dynkv, str], words: str) -> None:
    dynkv, role = two_of_a_role
    name = dynkv.status()["name"]
    with under_way(dynkv.port, STREAMS) as streams:
        verb, *rest = words.format(*[role] * 2).split()
        if verb == "kill":
            os.kill(pids(dynkv.status())[rest[-1]], signal.SIGKILL)
        elif verb == "up":
            dynkv.do(*dynkv.up_words(name, *_words(name), *rest))
        else:
            dynkv.do(verb, *rest)
        ended = [it.result() for it in streams]
    assert [it for it in ended if not it.is_whole] == []
    assert cuts(dynkv, name) == []
    dynkv.wait_until(lambda status: status["state"] == "ready", name)


@pytest.mark.parametrize("victim", ["worker-0", "frontend"])
def test_what_could_not_be_saved_is_counted(dynkv: Dynkv, victim: str) -> None:
    dynkv.up("agg", *MOCKER, "--no-lmcache")
    with under_way(dynkv.port, 5) as streams:
        os.kill(pids(dynkv.status())[victim], signal.SIGKILL)
        assert [it.result().reason for it in streams] == [None] * 5
    dynkv.wait_until(lambda status: unit(status, victim)["requests_cut"] > 0, "agg")
    assert cuts(dynkv, "agg") == [(victim, "5 requests were cut", {"requests": 5, "units": [victim]})]
    dynkv.wait_until(lambda status: status["state"] == "ready", "agg")
    os.kill(pids(dynkv.status())[victim], signal.SIGKILL)  # while no request runs
    dynkv.wait_until(lambda status: unit(status, victim)["restarts"] == 2 and status["state"] == "ready", "agg")
    time.sleep(1.5)
    assert unit(dynkv.status(), victim)["requests_cut"] == 5


@contextmanager
def under_way(port: int, count: int) -> Iterator[list[Future[Stream]]]:
    with ThreadPoolExecutor(count) as pool:
        streams = [pool.submit(stream, port, number) for number in range(count)]
        time.sleep(UNDER_WAY_S)
        assert [it.result() for it in streams if it.done()] == [], "all have to be under way"
        yield streams


def cuts(dynkv: Dynkv, name: str) -> list[tuple[str, str, dict[str, object]]]:
    told = [event for event in dynkv.events(name) if event["kind"] == "cut"]
    return [(event["unit"], event["message"], event["data"]) for event in told]
