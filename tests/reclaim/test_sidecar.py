"""Releasing a dead worker's registration, against a server that answers as LMCache's does."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream
from lab import free_port

from dynkv.reclaim.sidecar import Outcome, Sidecar, registered, registrations_in, release

pytestmark = pytest.mark.anyio


def test_a_log_names_the_registrations_of_its_incarnation(tmp_path: Path) -> None:
    log = tmp_path / "log"
    old = "adapter created with instance_id=1\n"
    log.write_text(old + "LMCache adapter created with instance_id=22 (rank 0)\nadapter created with instance_id=33\n")
    assert registrations_in(log, len(old)) == {"22", "33"}
    assert registrations_in(tmp_path / "none", 0) == frozenset()


@asynccontextmanager
async def lmcache(tmp_path: Path, ids: list[int], *, heeds: bool = True) -> AsyncIterator[Sidecar]:
    """Holds `ids` until its client, a script in place of LMCache's, has been told of them."""
    told = tmp_path / "told"
    client = tmp_path / "python"
    client.write_text(f'#!/bin/sh\necho "$3" "$4" > {told if heeds else "/dev/null"}\n')
    client.chmod(0o755)

    async def answer(stream: SocketStream) -> None:
        async with stream:
            await stream.receive()
            gone = told.read_text().split() if told.exists() else []
            left = [held for held in ids if str(held) not in gone]
            body = json.dumps({"registered_gpu_ids": left[:1], "registered_non_cuda_instance_ids": left[1:]}).encode()
            await stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, answer)
        port = listener.extra(SocketAttribute.local_port)
        yield Sidecar(str(client), {}, 5555, port, 0.0, tmp_path / "log")
        tasks.cancel_scope.cancel()


async def test_both_kinds_of_registration_are_seen(tmp_path: Path) -> None:
    async with lmcache(tmp_path, [7, 8]) as sidecar:
        assert await registered(sidecar) == frozenset({"7", "8"})


async def test_the_dead_are_released_and_the_living_are_not(tmp_path: Path) -> None:
    async with lmcache(tmp_path, [7, 8]) as sidecar:
        assert await release(sidecar, frozenset({"7", "9"}), holds_gpu=False) is Outcome.RELEASED
        assert await registered(sidecar) == frozenset({"8"})
        assert (tmp_path / "told").read_text().split() == ["7"]


async def test_nothing_is_told_where_nothing_is_held(tmp_path: Path) -> None:
    async with lmcache(tmp_path, [8]) as sidecar:
        assert await release(sidecar, frozenset({"7"}), holds_gpu=True) is Outcome.NOTHING
        assert not (tmp_path / "told").exists()


async def test_a_server_that_does_not_heed_keeps_it(tmp_path: Path) -> None:
    async with lmcache(tmp_path, [7], heeds=False) as sidecar:
        assert await release(sidecar, frozenset({"7"}), holds_gpu=True) is Outcome.KEPT


async def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    sidecar = Sidecar(sys.executable, {}, 5555, free_port(), 0.0, tmp_path / "log")
    assert await registered(sidecar) is None
    assert await release(sidecar, frozenset({"7"}), holds_gpu=True) is Outcome.UNKNOWN
