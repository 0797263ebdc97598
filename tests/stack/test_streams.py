"""Requests that are being answered when their worker ends: none is cut while another worker of the role lives."""

from __future__ import annotations

import http.client
import json
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from .harness import MOCKER, Dynkv, pids

pytestmark = pytest.mark.stack

STREAMS, TOKENS = 24, 400
"""At the pace of the mocker itself they take more than a second."""
UNDER_WAY_S = 0.7
TWO_OF_EACH = ("--set", "workers.decode.replicas=2", "--set", "workers.prefill.replicas=2")


@dataclass(frozen=True)
class Stream:
    tokens: int
    reason: str | None
    """Why it ended, as the frontend says it; None where it was cut."""


def stream(port: int, number: int) -> Stream:
    prompt = " ".join(f"{number} {word}" for word in range(40))
    asked = {"model": "tiny", "prompt": prompt, "max_tokens": TOKENS, "stream": True, "ignore_eos": True}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    tokens, reason = 0, None
    try:
        connection.request("POST", "/v1/completions", json.dumps(asked), {"Content-Type": "application/json"})
        for line in connection.getresponse():
            if line.startswith(b"data: {"):
                (choice,) = json.loads(line[6:])["choices"]
                tokens, reason = tokens + bool(choice.get("text")), choice.get("finish_reason") or reason
    except (OSError, http.client.HTTPException, ValueError, KeyError):
        return Stream(tokens, None)
    finally:
        connection.close()
    return Stream(tokens, reason)


@pytest.fixture(scope="module", params=["agg-router", "disagg"])
def two_of_a_role(request: pytest.FixtureRequest, module_dynkv: Dynkv) -> Iterator[tuple[Dynkv, str]]:
    """With the role whose workers are ended."""
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
    with ThreadPoolExecutor(STREAMS) as pool:
        streams = [pool.submit(stream, dynkv.port, number) for number in range(STREAMS)]
        time.sleep(UNDER_WAY_S)
        assert [it.result() for it in streams if it.done()] == [], "all have to be under way"
        verb, *rest = words.format(*[role] * 2).split()
        if verb == "kill":
            os.kill(pids(dynkv.status())[rest[-1]], signal.SIGKILL)
        elif verb == "up":
            dynkv.do(*dynkv.up_words(name, *_words(name), *rest))
        else:
            dynkv.do(verb, *rest)
        ended = [it.result() for it in streams]
    assert [it for it in ended if (it.tokens, it.reason) != (TOKENS, "length")] == []
    dynkv.wait_until(lambda status: status["state"] == "ready", name)
