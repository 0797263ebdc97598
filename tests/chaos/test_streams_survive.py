"""Endless streams while two workers are killed in turn: none is cut."""

from __future__ import annotations

import os
import random
import signal
import threading
from functools import partial

import pytest
from stack.harness import MOCKER, Dynkv, Status, pids
from stack.streams import Stream, stream

from .conftest import Report
from .test_chaos import KILLS, SEED, UNTIRING

pytestmark = pytest.mark.stack

CLIENTS = 6
OFTEN = ("--set", "frontend.migration_limit=100")
"""A stream survives several kills here, more than the profile's default of three."""


def test_one_of_two_workers_after_the_other(dynkv: Dynkv, report: Report) -> None:
    """Kill each time as soon as both are ready; in the end restart and change them."""
    words = (*MOCKER, "--no-lmcache", *UNTIRING, *OFTEN, "--set", "standby=always")
    dynkv.up("agg-router", *words)
    chance, over, ended = random.Random(SEED), threading.Event(), list[Stream]()

    def client(number: int) -> None:
        while not over.is_set():
            ended.append(stream(dynkv.port, number))

    clients = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in clients:
        thread.start()
    try:
        for _ in range(max(10, KILLS // 8)):
            victim = pids(ready(dynkv))[chance.choice(["worker-0", "worker-1"])]
            os.kill(victim, signal.SIGKILL)
            dynkv.wait_until(partial(has_seen_the_end_of, victim), "agg-router")
        ready(dynkv)
        dynkv.do("restart", "--rolling", "worker-0", "worker-1")
        dynkv.do(*dynkv.up_words("agg-router", *words, "--set", 'workers.env={"OTHER":"1"}'))
    finally:
        over.set()
        for thread in clients:
            thread.join()
    report(f"{len(ended)} streams, {sum(not it.is_whole for it in ended)} of them cut")
    assert len(ended) > CLIENTS
    assert [it for it in ended if not it.is_whole] == []
    assert [event for event in dynkv.events("agg-router") if event["kind"] == "cut"] == []


def ready(dynkv: Dynkv) -> Status:
    return dynkv.wait_until(lambda status: status["state"] == "ready", "agg-router")


def has_seen_the_end_of(pid: int, status: Status) -> bool:
    return pid not in pids(status).values()
