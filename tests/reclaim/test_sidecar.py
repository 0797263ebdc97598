"""Releasing a dead worker's registration, with a server that answers like LMCache's."""

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
from msgspec.structs import replace

from dynkv.host.processes import read_process
from dynkv.reclaim.sidecar import Outcome, Sidecar, registered, release

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def lmcache(
    tmp_path: Path, ids: list[int], *, heeds: bool = True, leaves: bool = False
) -> AsyncIterator[Sidecar]:
    """A server that holds `ids` until it is told of them by its client, a script in place of LMCache's; or `leaves`
    then."""
    told = tmp_path / "told"
    client = tmp_path / "python"
    client.write_text(f'#!/bin/sh\necho "$3" "$4" > {told if heeds else "/dev/null"}\n')
    client.chmod(0o755)

    async def answer(stream: SocketStream) -> None:
        async with stream:
            await stream.receive()
            if leaves and told.exists():
                return
            gone = told.read_text().split() if told.exists() else []
            left = [held for held in ids if str(held) not in gone]
            body = json.dumps({"registered_gpu_ids": left[:1], "registered_non_cuda_instance_ids": left[1:]}).encode()
            await stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, answer)
        port = listener.extra(SocketAttribute.local_port)
        yield Sidecar("lmcache", str(client), {}, 5555, port, 0.0, tmp_path / "log")
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


async def test_a_server_that_has_gone_meanwhile_keeps_nothing(tmp_path: Path) -> None:
    """Somebody stopped it: nothing that it held requires its restart."""
    async with lmcache(tmp_path, [7], leaves=True) as sidecar:
        assert await release(sidecar, frozenset({"7"}), holds_gpu=True) is Outcome.UNKNOWN


async def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    sidecar = Sidecar("lmcache", sys.executable, {}, 5555, free_port(), 0.0, tmp_path / "log")
    assert await registered(sidecar) is None
    assert await release(sidecar, frozenset({"7"}), holds_gpu=True) is Outcome.UNKNOWN


@pytest.mark.parametrize(
    "body",
    [
        "",
        "x",
        "[]",
        "7",
        "null",
        '{"registered_gpu_ids": 5}',
        '{"registered_non_cuda_instance_ids": true}',
        "[" * 10**5,
    ],
)
async def test_a_server_that_answers_with_nonsense_has_not_answered(tmp_path: Path, body: str) -> None:
    async def answer(stream: SocketStream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body.encode()))

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, answer)
        sidecar = Sidecar(
            "lmcache", "python", {}, 5555, listener.extra(SocketAttribute.local_port), 0.0, tmp_path / "log"
        )
        assert await registered(sidecar) is None
        tasks.cancel_scope.cancel()


async def test_where_the_client_cannot_be_started_it_is_kept(tmp_path: Path) -> None:
    async with lmcache(tmp_path, [7]) as sidecar:
        assert await release(replace(sidecar, python="/no/such"), frozenset({"7"}), holds_gpu=True) is Outcome.KEPT


async def test_a_client_does_not_outlive_whoever_waits_for_it(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    async with lmcache(tmp_path, [7]) as sidecar, anyio.create_task_group() as tasks:
        script = f"trap '' TERM; echo $$ > {begun}.new; mv {begun}.new {begun}; sleep 100"
        (tmp_path / "python").write_text(f"#!/bin/sh\n{script}\n")
        tasks.start_soon(lambda: release(sidecar, frozenset({"7"}), holds_gpu=False))
        with anyio.fail_after(20):
            while not begun.exists():  # noqa: ASYNC110 (another process creates it)
                await anyio.sleep(0.01)
        tasks.cancel_scope.cancel()
    assert read_process(int(begun.read_text())) is None
